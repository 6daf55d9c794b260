use artifacts_core::ticket::TicketFile;
use serde_json::json;

use super::report::{Outcome, Silent};
use crate::api::Client;
use crate::failure::Failure;

const HANDLE: &str = "quickstart";
const WORKSPACE: &str = "demo";
const TENANT: &str = "acme";
const TICKET_TTL_SECONDS: u64 = 3600;

/// The backend of a platform: it alone holds the API key.
pub(super) struct Platform {
    client: Client,
    key: String,
}

impl Platform {
    /// Makes an account.
    pub(super) async fn sign_up(url: &str, admin_token: String) -> anyhow::Result<Self> {
        let created = Client::new(url, &admin_token, None)?.create_account(&json!({ "handle": HANDLE })).await?;
        let key = created.api_key.key.ok_or_else(|| Failure::failed("the node made an account without a key"))?;
        Ok(Self { client: Client::new(url, &key, None)?, key })
    }

    /// The node's address.
    pub(super) fn url(&self) -> &str {
        self.client.url()
    }

    /// The API key.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// `handle/name`
    pub(super) fn workspace(&self) -> String {
        format!("{HANDLE}/{WORKSPACE}")
    }

    /// Makes the workspace.
    pub(super) async fn create_workspace(&self) -> anyhow::Result<String> {
        Ok(self.client.create_workspace(&json!({ "name": WORKSPACE })).await?.address())
    }

    /// Makes the tenant.
    pub(super) async fn create_tenant(&self) -> anyhow::Result<String> {
        Ok(self.client.create_tenant(&json!({ "slug": TENANT })).await?.slug)
    }

    /// Makes a grant and a ticket for each of the two runtimes.
    pub(super) async fn create_tickets(&self) -> anyhow::Result<Silent<(TicketFile, TicketFile)>> {
        Ok(Silent((self.create_ticket("run-1").await?, self.create_ticket("run-2").await?)))
    }

    async fn create_ticket(&self, runtime: &str) -> anyhow::Result<TicketFile> {
        let body = json!({ "workspace": self.workspace(), "mode": "rw", "ttl_seconds": TICKET_TTL_SECONDS });
        Ok(self.client.create_ticket(TENANT, runtime, &body).await?.mount_ticket)
    }

    /// Revokes what the first runtime has.
    pub(super) async fn revoke_first(&self) -> anyhow::Result<String> {
        let revoked = self.client.revoke_grants(&json!({ "tenant_slug": TENANT, "runtime_id": "run-1" })).await?.sessions;
        if revoked.matched != 1 || revoked.fenced != 1 {
            return Err(Failure::failed(format!("of 1 mount {} were found and {} fenced", revoked.matched, revoked.fenced)).into());
        }
        Ok(format!("its mount is fenced{}", if revoked.confirmed == 1 { " and has confirmed it" } else { "" }))
    }
}

impl Outcome for Platform {
    fn detail(&self) -> Option<String> {
        Some(HANDLE.to_owned())
    }
}
