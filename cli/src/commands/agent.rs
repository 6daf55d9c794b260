//! `artifacts agent`

use std::path::PathBuf;

use artifacts_mount::host::HostAgent;
use clap::Args;
use serde_json::json;

use crate::failure::Failure;
use crate::logging::LogFormat;
use crate::output::Output;
use crate::paths::Paths;

/// Arguments of `agent`.
#[derive(Debug, Args)]
#[command(after_help = "\
While it runs, `artifacts mount` of the same user hands its mounts to it, and returns when they serve, as ever.
`status` and `unmount` know no difference. SIGTERM and SIGINT save and unmount everything. A mount whose
agent has died is recovered by mounting it again. Processes in other mount or network namespaces than the
agent's, such as containers, go on serving their mounts themselves.

Examples:
  artifacts agent                                     in the foreground, for a service manager
  artifacts mount --no-agent task-1 /mnt/work         a mount with a process of its own")]
pub(crate) struct AgentArgs {
    /// Where to listen [default: /run/tonbo/artifacts/agent.sock, or below $XDG_RUNTIME_DIR]
    #[arg(long, value_name = "PATH", env = "TONBO_AGENT_SOCKET")]
    socket: Option<PathBuf>,
    /// How to write the log to stderr
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,
}

/// Serves mounts until it is told to end.
pub(crate) fn run(args: &AgentArgs, output: Output) -> anyhow::Result<()> {
    let socket = match &args.socket {
        Some(socket) => std::path::absolute(socket)?,
        None => Paths::of_this_user()?.agent_socket,
    };
    let agent = HostAgent::listen(&socket)?;
    let pid = std::process::id();
    output.done(&json!({ "socket": socket, "pid": pid }), &format!("Serving mounts handed over at {}.", socket.display()))?;
    // A daemon keeps no directory busy.
    std::env::set_current_dir("/")?;
    let report = agent.serve();
    if report.left > 0 {
        return Err(Failure::failed(format!("{} mounts did not end in time", report.left)).into());
    }
    match report.unsaved.as_slice() {
        [] => Ok(()),
        unsaved => Err(Failure::unsaved("changes could not be saved", unsaved).into()),
    }
}
