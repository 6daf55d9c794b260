//! `artifacts platform …`: what a platform's backend does, from the command line.

pub(crate) mod account;
pub(crate) mod audit;
pub(crate) mod everything;
mod going;
pub(crate) mod grant;
pub(crate) mod key;
pub(crate) mod mesh_credential;
pub(crate) mod session;
pub(crate) mod tenant;
pub(crate) mod ticket;

use clap::Subcommand;

use crate::output::Output;

/// What to do for the platform.
#[derive(Debug, Subcommand)]
pub(crate) enum PlatformCommand {
    /// Accounts: create one with the node's admin token
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Tenants: the platform's customers
    #[command(subcommand)]
    Tenant(tenant::TenantCommand),
    /// Grants: who may mount which workspace
    #[command(subcommand)]
    Grant(grant::GrantCommand),
    /// Tickets: what a runtime mounts with
    #[command(subcommand)]
    Ticket(ticket::TicketCommand),
    /// Sessions: who has what mounted
    #[command(subcommand)]
    Session(session::SessionCommand),
    /// API keys
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Mesh credentials: what the agents of hosts join the mesh with
    #[command(subcommand)]
    MeshCredential(mesh_credential::MeshCredentialCommand),
    /// The audit trail: what happened, and who did it
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Revoke all grants, all sessions and all other API keys at once
    RevokeEverything(everything::EverythingArgs),
}

/// Does it.
pub(crate) async fn run(command: PlatformCommand, output: Output) -> anyhow::Result<()> {
    match command {
        PlatformCommand::Account(command) => account::run(command, output).await,
        PlatformCommand::Tenant(command) => tenant::run(command, output).await,
        PlatformCommand::Grant(command) => grant::run(command, output).await,
        PlatformCommand::Ticket(command) => ticket::run(command, output).await,
        PlatformCommand::Session(command) => session::run(command, output).await,
        PlatformCommand::Key(command) => key::run(command, output).await,
        PlatformCommand::MeshCredential(command) => mesh_credential::run(command, output).await,
        PlatformCommand::Audit(command) => audit::run(command, output).await,
        PlatformCommand::RevokeEverything(args) => everything::run(args, output).await,
    }
}
