//! `artifacts platform session …`

use artifacts_core::SessionId;
use artifacts_core::name::{RuntimeId, TenantSlug, WorkspaceAddress};
use clap::{Args, Subcommand};

use crate::api::{Session, filters};
use crate::output::{Output, Table, or_dash, relative_or_dash};
use crate::settings::Settings;

/// What to do with sessions.
#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// List who has what mounted, from where, since when
    List(ListArgs),
    /// End a session: its mount fails within a second
    End(EndArgs),
}

/// Arguments of `platform session list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Of this tenant only
    #[arg(long, value_name = "SLUG")]
    tenant: Option<TenantSlug>,
    /// Of this runtime only
    #[arg(long, value_name = "ID")]
    runtime: Option<RuntimeId>,
    /// Of this workspace only
    #[arg(long, value_name = "WORKSPACE")]
    workspace: Option<WorkspaceAddress>,
}

/// Arguments of `platform session end`.
#[derive(Debug, Args)]
pub(crate) struct EndArgs {
    /// The session
    #[arg(value_name = "SESSION")]
    id: SessionId,
}

/// Does it.
pub(crate) async fn run(command: SessionCommand, output: Output) -> anyhow::Result<()> {
    let client = Settings::load()?.client()?;
    match command {
        SessionCommand::List(args) => {
            let filters = filters([
                ("tenant_slug", args.tenant.map(|tenant| tenant.to_string())),
                ("runtime_id", args.runtime.map(|runtime| runtime.to_string())),
                ("workspace", args.workspace.map(|workspace| workspace.to_string())),
            ]);
            output.list(&client.sessions(&filters).await?, table)
        }
        SessionCommand::End(args) => {
            let answer = client.end_session(&args.id.to_string()).await?;
            output.done(&answer, &format!("Ended {}.", args.id))
        }
    }
}

fn table(sessions: &[Session]) -> Table {
    let head = Table::new(
        ["SESSION", "WORKSPACE", "MODE", "STATE", "TENANT", "RUNTIME", "HOST", "FROM", "OPENED", "HEARD"],
        "Nothing is mounted.",
    );
    sessions.iter().fold(head, |table, session| {
        table.row([
            session.id.clone(),
            session.workspace.clone(),
            session.mode.to_string(),
            or_dash(session.state.as_ref()),
            or_dash(session.tenant_slug.as_ref()),
            or_dash(session.runtime_id.as_ref()),
            or_dash(session.host.as_ref()),
            or_dash(session.remote_addr.as_ref()),
            relative_or_dash(session.opened_at),
            relative_or_dash(session.last_heard_at),
        ])
    })
}
