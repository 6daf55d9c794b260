//! `artifacts agent`

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use artifacts_core::mesh::CredentialFile;
use artifacts_mount::MeshOptions;
use artifacts_mount::daemon::SERVICE;
use artifacts_mount::host::HostAgent;
use artifacts_mount::metrics::MetricsListener;
use artifacts_trace::TraceOptions;
use clap::Args;
use serde_json::json;

use crate::failure::Failure;
use crate::logging::LogFormat;
use crate::output::Output;
use crate::paths::Paths;
use crate::traces::{self, TraceArgs};

/// Arguments of `agent`.
#[derive(Debug, Args)]
#[command(after_help = "\
While it runs, `artifacts mount` of the same user hands its mounts to it, and returns when they serve, as ever.
`status` and `unmount` know no difference. SIGTERM and SIGINT save and unmount everything. A mount whose
agent has died is recovered by mounting it again. Processes in other mount or network namespaces than the
agent's, such as containers, go on serving their mounts themselves.

With a mesh credential (`artifacts platform mesh-credential create`) the agent gossips with other hosts of the account and with
control nodes, over UDP, so that its mounts hear of revocations, and that there are none, also where their own nodes are out of reach.
It is for hosts that the platform runs, not for customers' sandboxes.

Examples:
  artifacts agent                                     in the foreground, for a service manager
  artifacts agent --mesh-credential-file mesh.json    with a place in the mesh
  artifacts mount --no-agent task-1 /mnt/work         a mount with a process of its own")]
pub(crate) struct AgentArgs {
    /// Where to listen [default: /run/tonbo/artifacts/agent.sock, or below $XDG_RUNTIME_DIR]
    #[arg(long, value_name = "PATH", env = "TONBO_AGENT_SOCKET")]
    socket: Option<PathBuf>,
    /// Join the mesh with the credential in this file
    #[arg(long, value_name = "FILE", env = "TONBO_MESH_CREDENTIAL_FILE")]
    mesh_credential_file: Option<PathBuf>,
    /// Where to receive datagrams of the mesh (UDP) [default: the address that leads to the nodes, any port]
    #[arg(long, value_name = "ADDRESS", requires = "mesh_credential_file")]
    mesh_listen: Option<SocketAddr>,
    /// Where others reach that, if it is another address
    #[arg(long, value_name = "ADDRESS", requires = "mesh_credential_file")]
    mesh_advertise: Option<SocketAddr>,
    /// Answer Prometheus at http://ADDRESS/metrics with the metrics of all mounts; without a credential, so take 127.0.0.1:PORT
    #[arg(long, value_name = "ADDRESS", env = "TONBO_METRICS_LISTEN")]
    metrics_listen: Option<SocketAddr>,
    #[command(flatten)]
    traces: TraceArgs,
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
    let tracing = traces::start(&args.traces.clone().over(TraceOptions::default()), SERVICE)?;
    let metrics = args.metrics_listen.map(MetricsListener::bind).transpose()?;
    let agent = HostAgent::listen(&socket, mesh(args)?)?;
    if let Some(metrics) = metrics {
        agent.tell_metrics(metrics)?;
    }
    let pid = std::process::id();
    output.done(&json!({ "socket": socket, "pid": pid }), &format!("Serving mounts handed over at {}.", socket.display()))?;
    // A daemon keeps no directory busy.
    std::env::set_current_dir("/")?;
    let report = agent.serve();
    tracing.finish();
    if report.left > 0 {
        return Err(Failure::failed(format!("{} mounts did not end in time", report.left)).into());
    }
    match report.unsaved.as_slice() {
        [] => Ok(()),
        unsaved => Err(Failure::unsaved("changes could not be saved", unsaved).into()),
    }
}

/// How to take part in the mesh, if at all.
fn mesh(args: &AgentArgs) -> anyhow::Result<Option<MeshOptions>> {
    let Some(file) = &args.mesh_credential_file else { return Ok(None) };
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read the mesh credential {}", file.display()))?;
    let credential: CredentialFile =
        serde_json::from_str(&text).with_context(|| format!("{} is no mesh credential file", file.display()))?;
    if credential.version != CredentialFile::VERSION {
        let reason = format!("{} is of version {}, which this program does not know", file.display(), credential.version);
        return Err(Failure::failed(reason).into());
    }
    Ok(Some(MeshOptions { credential, listen: args.mesh_listen, advertise: args.mesh_advertise, ca_cert: None }))
}
