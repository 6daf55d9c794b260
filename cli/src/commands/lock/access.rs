use std::path::{Path, PathBuf};

use anyhow::Context as _;
use artifacts_core::name::WorkspaceAddress;
use clap::Args;

use crate::api::Client;
use crate::failure::Failure;
use crate::mounting;
use crate::paths::DEFAULT_TICKET_FILE;
use crate::settings::Settings;

/// Whose locks, and by what right.
#[derive(Debug, Args)]
pub(crate) struct Access {
    /// The workspace, by right of the API key: `name`, `handle/name` or `artifacts://handle/name`
    #[arg(long, short, value_name = "WORKSPACE", conflicts_with = "ticket_file")]
    workspace: Option<WorkspaceAddress>,
    /// A mount ticket of the workspace [default: /run/tonbo/artifacts/mount-ticket.json]
    #[arg(long, value_name = "FILE")]
    ticket_file: Option<PathBuf>,
}

/// The locks of one workspace, at a node.
pub(crate) struct Locks {
    /// Speaks to the node.
    pub(crate) client: Client,
    /// The workspace.
    pub(crate) workspace: WorkspaceAddress,
}

impl Access {
    /// Finds the node and the credential.
    ///
    /// # Errors
    /// There is none.
    pub(crate) async fn locks(self) -> anyhow::Result<Locks> {
        if let Some(workspace) = self.workspace {
            return Ok(Locks { client: Settings::load()?.client()?, workspace });
        }
        if self.ticket_file.is_none() && !Path::new(DEFAULT_TICKET_FILE).exists() {
            return Err(Failure::usage("it is not said whose locks").hint("give --workspace W, or --ticket-file FILE").into());
        }
        let ticket = mounting::read_ticket(self.ticket_file.as_deref())?;
        let workspace = ticket.workspace.parse().context("the ticket names no workspace")?;
        let mut clients = Vec::new();
        for endpoint in &ticket.endpoints {
            clients.push(Settings::for_node(endpoint).client_with(&ticket.token)?);
        }
        // The first that answers; where there is one only, it is asked what is wanted at once.
        for client in &clients {
            if clients.len() > 1 && client.health().await.is_ok() {
                return Ok(Locks { client: client.clone(), workspace });
            }
        }
        let client = clients.into_iter().next().ok_or_else(|| Failure::usage("the ticket names no node"))?;
        Ok(Locks { client, workspace })
    }
}
