//! The command line as a whole; each command's own arguments stand with the command.

use clap::{Args, Parser, Subcommand};

#[cfg(feature = "sim")]
use crate::commands::sim;
use crate::commands::{agent, completions, export, fsck, import, lock, login, mount, platform, stats, status, unmount, workspace};
#[cfg(feature = "node")]
use crate::commands::{node, quickstart};
use crate::output::Format;

const ENVIRONMENT: &str = "\
Environment:
  TONBO_API_KEY    the API key; goes before the stored login
  TONBO_API_URL    the node's address [default: http://127.0.0.1:7700]
  TONBO_CA_CERT    a PEM file of authorities to trust besides the system's
  TONBO_AGENT_SOCKET  where the host agent listens [default: /run/tonbo/artifacts/agent.sock]
  NO_COLOR         no colours
  XDG_CONFIG_HOME, XDG_STATE_HOME move ~/.config and ~/.local/state

Exit codes:
  0 done · 1 failed · 2 usage · 3 not authorised · 4 not found · 5 conflict · 6 unavailable, try again

Examples:
  artifacts quickstart                                  try everything on this machine
  artifacts workspace create task-1                     make a workspace
  artifacts platform ticket create acme run-1 --workspace task-1 --mode rw --ttl 1h --out ticket.json
  artifacts mount --ticket-file ticket.json /mnt/work   mount it, with the ticket alone
  artifacts lock run deploy --workspace task-1 -- ./deploy.sh
  artifacts platform grant revoke --tenant acme --runtime run-1";

/// Shared, isolated, revocable file storage for sandboxes and agents.
#[derive(Debug, Parser)]
#[command(name = "artifacts", version, propagate_version = true, max_term_width = 110, after_help = ENVIRONMENT)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// What holds for every command.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What holds for every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Say more: what is called and answered; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub(crate) verbose: u8,
    /// Print results and errors only
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// `text` for people, or `json`: one document on stdout, errors as JSON on stderr
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: Format,
    /// No colours
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Try everything on this machine: a node, two mounts, real work, a revocation
    #[cfg(feature = "node")]
    Quickstart(quickstart::QuickstartArgs),
    /// Run a control node
    #[cfg(feature = "node")]
    Node(node::NodeArgs),
    /// Store an API key for this user
    Login(login::LoginArgs),
    /// Forget the stored API key
    Logout,
    /// Show which account the API key belongs to
    Whoami,
    /// Create, list, show and delete workspaces
    #[command(subcommand)]
    Workspace(workspace::WorkspaceCommand),
    /// What a platform's backend does: accounts, tenants, grants, tickets, sessions, keys
    #[command(subcommand)]
    Platform(platform::PlatformCommand),
    /// Mount a workspace as a local directory
    Mount(mount::MountArgs),
    /// Serve all mounts of this machine from one process
    Agent(agent::AgentArgs),
    /// Save everything and unmount
    Unmount(unmount::UnmountArgs),
    /// Copy a directory or a file of this machine into a workspace
    Import(import::ImportArgs),
    /// Copy a workspace, or a part of it, to this machine
    Export(export::ExportArgs),
    /// Take locks of a workspace by name, and run commands under them
    #[command(subcommand)]
    Lock(lock::LockCommand),
    /// Show the mounts of this host and how they are
    Status(status::StatusArgs),
    /// Show what workspaces hold, and what they take
    Stats(stats::StatsArgs),
    /// Check that a workspace's metadata and data agree
    Fsck(fsck::FsckArgs),
    /// Simulate nodes, mounts and what goes wrong between them, and judge what came of it
    #[cfg(feature = "sim")]
    #[command(subcommand)]
    Sim(sim::SimCommand),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn global_options_may_stand_anywhere() {
        for line in ["artifacts --format json whoami", "artifacts whoami --format json", "artifacts platform --format=json tenant list"] {
            let arguments = Arguments::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(arguments.global.format, Format::Json, "{line}");
        }
    }
}
