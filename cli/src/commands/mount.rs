//! `artifacts mount`

use std::net::SocketAddr;
use std::path::PathBuf;

use artifacts_core::name::WorkspaceAddress;
use artifacts_core::ticket::Mode;
use artifacts_mount::GuestMesh;
use artifacts_trace::TraceOptions;
use clap::Args;

use crate::mounting::{self, MountRequest};
use crate::output::Output;
use crate::settings::Settings;
use crate::size::Size;
use crate::traces::TraceArgs;

/// Arguments of `mount`.
#[derive(Debug, Args)]
#[command(
    allow_missing_positional = true,
    override_usage = "artifacts mount [OPTIONS] [--ticket-file <FILE> | <WORKSPACE>] <DIR>",
    after_help = "\
Returns when the directory serves. With neither a ticket file nor a workspace, the ticket is
expected in /run/tonbo/artifacts/mount-ticket.json. A directory whose mount has died is recovered.
Where a host agent runs for this user, it serves the mount.

In a cluster that lets guests into the mesh (`artifacts node --mesh-admit all`) the mount gossips over UDP with nodes and with other
mounts of its tenant, to hear of revocations, and that there are none, also where no stream of its own gets through.

Examples:
  artifacts mount /mnt/work                           with the ticket that the platform put in place
  artifacts mount --ticket-file mount-ticket.json /mnt/work
  artifacts mount task-1 /mnt/work --read-only        with the API key
  artifacts mount /mnt/work --cache-dir /var/cache/artifacts --cache-size 20GiB"
)]
pub(crate) struct MountArgs {
    /// Mount this workspace by right of the API key: `name`, `handle/name` or `artifacts://handle/name`
    #[arg(conflicts_with = "ticket_file")]
    workspace: Option<WorkspaceAddress>,
    /// An existing directory to mount on
    #[arg(value_name = "DIR")]
    mountpoint: PathBuf,
    /// The mount ticket [default: /run/tonbo/artifacts/mount-ticket.json]
    #[arg(long, value_name = "FILE")]
    ticket_file: Option<PathBuf>,
    /// Serve in this process instead of in the background
    #[arg(long)]
    pub(crate) foreground: bool,
    /// Serve in a process of its own, also where a host agent runs (`artifacts agent`)
    #[arg(long)]
    no_agent: bool,
    /// Refuse every change
    #[arg(long)]
    read_only: bool,
    /// Keep blocks of files on disk as well, in this directory, which mounts may share [default: in memory only]
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    /// How much to keep in the directory [default: 4GiB], or in memory if there is none [default: 32MiB, at most 64MiB]
    #[arg(long, value_name = "SIZE")]
    cache_size: Option<Size>,
    /// Whether to take part in the mesh, where no host agent does for this machine: as the nodes have it, or not at all
    #[arg(long, value_name = "WHEN", value_parser = ["auto", "off"], default_value = "auto", env = "TONBO_MESH")]
    mesh: String,
    /// Where to receive datagrams of the mesh (UDP) [default: the address that leads to the nodes, any port]
    #[arg(long, value_name = "ADDRESS")]
    mesh_listen: Option<SocketAddr>,
    /// Where others reach that, if it is another address
    #[arg(long, value_name = "ADDRESS")]
    mesh_advertise: Option<SocketAddr>,
    /// A PEM file of authorities to trust besides the system's
    #[arg(long, value_name = "FILE")]
    ca_cert: Option<PathBuf>,
    /// Answer Prometheus at http://ADDRESS/metrics, without a credential, so take 127.0.0.1:PORT; with a process of its own
    #[arg(long, value_name = "ADDRESS")]
    metrics_listen: Option<SocketAddr>,
    #[command(flatten)]
    traces: TraceArgs,
}

impl MountArgs {
    fn request(self) -> anyhow::Result<MountRequest> {
        let mut request = match self.workspace {
            None => MountRequest::with_ticket(mounting::read_ticket(self.ticket_file.as_deref())?, &self.mountpoint)?,
            Some(workspace) => {
                let mode = if self.read_only { Mode::Ro } else { Mode::Rw };
                MountRequest::with_key(&Settings::load()?, workspace, mode, &self.mountpoint)?
            }
        };
        // A host agent has one address for all its mounts.
        if self.no_agent || self.metrics_listen.is_some() {
            request.host_agent = None;
        }
        let options = &mut request.options;
        options.read_only = self.read_only;
        options.cache_dir = self.cache_dir.map(std::path::absolute).transpose()?;
        let is_for = if options.cache_dir.is_some() { &mut options.disk_cache_bytes } else { &mut options.cache_bytes };
        *is_for = self.cache_size.map_or(*is_for, Size::bytes);
        options.mesh = GuestMesh { enabled: self.mesh != "off", listen: self.mesh_listen, advertise: self.mesh_advertise };
        options.metrics_listen = self.metrics_listen;
        options.traces = self.traces.over(TraceOptions::default());
        options.ca_cert = self.ca_cert.map(std::path::absolute).transpose()?;
        Ok(request)
    }
}

/// Mounts.
pub(crate) fn run(args: MountArgs, output: Output) -> anyhow::Result<()> {
    mounting::check_mountpoint(&args.mountpoint)?;
    let foreground = args.foreground;
    let request = args.request()?;
    if foreground {
        return mounting::serve(request, output);
    }
    let mounted = mounting::mount(request, output)?;
    output.done(&mounted, &mounting::sentence(&mounted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        mount: MountArgs,
    }

    fn parsed(line: &str) -> Result<MountArgs, clap::Error> {
        Line::try_parse_from(line.split(' ')).map(|line| line.mount)
    }

    #[test]
    fn one_place_is_the_directory_two_are_workspace_and_directory() {
        let args = parsed("mount /mnt").unwrap();
        assert!(args.workspace.is_none() && args.ticket_file.is_none() && args.mountpoint.as_os_str() == "/mnt");
        let args = parsed("mount --ticket-file t.json /mnt").unwrap();
        assert!(args.workspace.is_none() && args.ticket_file == Some("t.json".into()) && args.mountpoint.as_os_str() == "/mnt");
        let args = parsed("mount acme/task-1 /mnt --read-only").unwrap();
        assert!(args.workspace.is_some_and(|address| address.to_string() == "acme/task-1") && args.mountpoint.as_os_str() == "/mnt");
    }

    #[test]
    fn the_mesh_is_joined_unless_it_is_turned_off() {
        let mesh = |line| {
            let args = parsed(line).unwrap();
            (args.mesh, args.mesh_listen.map(|listen| listen.port()))
        };
        assert_eq!(mesh("mount /mnt"), ("auto".to_owned(), None));
        assert_eq!(mesh("mount --mesh off /mnt"), ("off".to_owned(), None));
        assert_eq!(mesh("mount /mnt --mesh-listen 0.0.0.0:7703"), ("auto".to_owned(), Some(7703)));
        assert!(parsed("mount /mnt --mesh on").is_err());
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for line in
            ["mount", "mount a b c", "mount --ticket-file t.json task-1 /mnt", "mount /not/a/workspace /mnt", "mount /mnt --cache-size big"]
        {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
