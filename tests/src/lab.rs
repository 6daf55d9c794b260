use std::sync::Arc;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::{Api, Backend, Credential, Mount, NodeOptions, NodeProcess, Scratch};

/// The account that most tests work in.
const HANDLE: &str = "acme";

/// A node with one account, and shorthands for what nearly every test does there.
#[derive(Debug)]
pub struct Lab {
    /// The node.
    pub node: NodeProcess,
    /// The account's own unscoped key.
    pub api: Api,
    scratch: Arc<Scratch>,
}

impl Lab {
    /// Starts a node with `config`, and segments where the environment says, and makes the account `acme`.
    ///
    /// # Errors
    /// If either fails.
    pub fn start(scratch: &Arc<Scratch>, config: &Value) -> Result<Self> {
        Self::start_on(Backend::of_environment()?, scratch, config)
    }

    /// As [`Lab::start`], with segments in the place that is named, whatever the environment says.
    ///
    /// # Errors
    /// As [`Lab::start`].
    pub fn start_on(backend: Backend, scratch: &Arc<Scratch>, config: &Value) -> Result<Self> {
        Self::start_with(scratch, NodeOptions { config: backend.configure(config)?, ..NodeOptions::default() })
    }

    /// As [`Lab::start`], with more options for the node, and segments where these say.
    ///
    /// # Errors
    /// If that fails.
    pub fn start_with(scratch: &Arc<Scratch>, options: NodeOptions) -> Result<Self> {
        let node = NodeProcess::start_with(scratch, options)?;
        let api = Api::new(&node.url())?;
        let mut lab = Self { node, api, scratch: Arc::clone(scratch) };
        lab.api = lab.account(HANDLE)?;
        Ok(lab)
    }

    /// Makes an account and gives a client with its first key.
    ///
    /// # Errors
    /// If that fails.
    pub fn account(&self, handle: &str) -> Result<Api> {
        let admin = self.api.with_token(&self.node.admin_token()?);
        let made = admin.post("/v1/accounts", &json!({ "handle": handle }))?;
        Ok(self.api.with_token(made["api_key"]["key"].as_str().context("no key for the new account")?))
    }

    /// Makes a workspace of the account and gives its address.
    ///
    /// # Errors
    /// If that fails.
    pub fn workspace(&self, name: &str) -> Result<String> {
        self.api.post("/v1/workspaces", &json!({ "name": name }))?;
        Ok(format!("{HANDLE}/{name}"))
    }

    /// Makes a ticket that lives for ten minutes.
    ///
    /// # Errors
    /// If that fails.
    pub fn ticket(&self, tenant: &str, runtime: &str, workspace: &str, mode: &str) -> Result<Value> {
        self.ticket_with(tenant, runtime, &json!({ "workspace": workspace, "mode": mode, "ttl_seconds": 600 }))
    }

    /// Makes a ticket as `body` says.
    ///
    /// # Errors
    /// If that fails.
    pub fn ticket_with(&self, tenant: &str, runtime: &str, body: &Value) -> Result<Value> {
        let made = self.api.post(&format!("/v1/tenants/{tenant}/runtimes/{runtime}/mount-tickets"), body)?;
        Ok(made["mount_ticket"].clone())
    }

    /// Mounts `workspace` on `mnt/NAME`, read-write, with a new ticket of tenant `NAME`.
    ///
    /// # Errors
    /// If that fails.
    pub fn mount(&self, name: &str, workspace: &str) -> Result<Mount> {
        let ticket = self.ticket(name, "runtime-1", workspace, "rw")?;
        Mount::new(&self.scratch, name, &Credential::Ticket(ticket))
    }

    /// The id of the one live session whose record mentions `text`, such as a tenant or a ticket.
    ///
    /// # Errors
    /// If there is none.
    pub fn session_of(&self, text: &str) -> Result<String> {
        let sessions = self.api.list("/v1/sessions")?;
        let quoted = format!("\"{text}\"");
        let found = sessions.iter().find(|session| session.to_string().contains(&quoted));
        let id = found.and_then(|session| session["id"].as_str());
        Ok(id.with_context(|| format!("no session mentions {text} in {sessions:?}"))?.to_owned())
    }

    /// The id of the grant of this tenant and runtime.
    ///
    /// # Errors
    /// If there is none.
    pub fn grant_of(&self, tenant: &str, runtime: &str) -> Result<String> {
        let grants = self.api.list(&format!("/v1/grants?tenant_slug={tenant}&runtime_id={runtime}"))?;
        let id = grants.first().and_then(|grant| grant["id"].as_str());
        Ok(id.with_context(|| format!("no grant of {tenant}/{runtime}"))?.to_owned())
    }
}
