use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use artifacts_core::ticket::TicketFile;
use artifacts_mount::daemon::MountInfo;
use artifacts_node::Node;
use artifacts_node::config::NodeConfig;
use tokio::task::JoinHandle;

use super::report::Silent;
use crate::mount_table;
use crate::mounting::{self, MountRequest};
use crate::time;

/// How long a mount that is being made is waited for before everything is taken down.
const LAST_MOUNT: Duration = Duration::from_secs(10);
/// How long an agent that has unmounted may take to end.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// All that the quickstart has started: a directory, a node, mounts. Whatever happens, it is gone in the end.
///
/// Always true: a mount point is on record before anything is mounted on it, and the directory is not removed while something
/// is mounted below it.
pub(super) struct Stage {
    root: PathBuf,
    state: Option<PathBuf>,
    node: Option<Node>,
    mountpoints: Vec<PathBuf>,
    mounting: Option<JoinHandle<anyhow::Result<MountInfo>>>,
    agents: Vec<u32>,
}

impl Stage {
    /// A stage in a temporary directory. `state` is where its mounts are registered, if not in that directory.
    pub(super) fn new(state: Option<PathBuf>) -> anyhow::Result<Self> {
        let root = tempfile::Builder::new().prefix("artifacts-quickstart-").tempdir().context("cannot make a temporary directory")?.keep();
        Ok(Self { root, state, node: None, mountpoints: Vec::new(), mounting: None, agents: Vec::new() })
    }

    /// The temporary directory.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Starts a node on a free port of this machine.
    pub(super) async fn start_node(&mut self) -> anyhow::Result<String> {
        let config = NodeConfig { data: self.root.join("node"), listen: ([127, 0, 0, 1], 0).into(), ..NodeConfig::default() };
        let node = Node::start(config).await?;
        let url = node.urls().first().cloned().unwrap_or_else(|| format!("http://{}", node.local_addr()));
        self.node = Some(node);
        Ok(url)
    }

    /// The node's admin token.
    pub(super) fn admin_token(&self) -> anyhow::Result<String> {
        let path = self.node.as_ref().map(Node::admin_token_path).context("the node does not run")?;
        let token = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(token.trim().to_owned())
    }

    /// Mounts in a process of its own; answers with the mount point.
    pub(super) async fn mount(&mut self, name: &str, ticket: TicketFile) -> anyhow::Result<Silent<PathBuf>> {
        let mountpoint = self.root.join(name);
        fs::create_dir(&mountpoint)?;
        let state = self.state_dir();
        let mut request = MountRequest::with_ticket(ticket, &mountpoint)?;
        request.options.state_dir = state;
        self.mountpoints.push(mountpoint.clone());
        // If the quickstart is told to end meanwhile, this goes on; `clear` waits for it.
        let mounting = self.mounting.insert(tokio::task::spawn_blocking(|| mounting::mount_quietly(request)));
        let mounted = mounting.await;
        self.mounting = None;
        self.agents.push(mounted??.pid);
        Ok(Silent(mountpoint))
    }

    /// Unmounts, stops the node, removes the directory. Goes on where a part fails, and answers with the first failure.
    pub(super) async fn clear(&mut self) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        let mut keep_first = |result: anyhow::Result<()>| {
            if outcome.is_ok() {
                outcome = result;
            }
        };
        if let Some(mounting) = self.mounting.take()
            && let Ok(Ok(Ok(mounted))) = tokio::time::timeout(LAST_MOUNT, mounting).await
        {
            self.agents.push(mounted.pid);
        }
        let (state, mountpoints) = (self.state_dir(), std::mem::take(&mut self.mountpoints));
        keep_first(tokio::task::spawn_blocking(move || unmount_all(&state, &mountpoints)).await?);
        // An agent says goodbye to the node after it has unmounted.
        wait_for_the_end_of(&self.agents).await;
        if let Some(node) = self.node.take() {
            keep_first(node.shutdown().await.map_err(anyhow::Error::from));
        }
        keep_first(self.remove_directory());
        outcome
    }

    fn state_dir(&self) -> PathBuf {
        self.state.clone().unwrap_or_else(|| self.root.join("state"))
    }

    fn remove_directory(&self) -> anyhow::Result<()> {
        let shown = self.root.display();
        if mount_table::any_below(&self.root) {
            anyhow::bail!("something is still mounted in {shown}, so it was not removed");
        }
        fs::remove_dir_all(&self.root).with_context(|| format!("cannot remove {shown}"))
    }
}

/// Waits for our own children, whom a thread of the mount's crate reaps, but not for long.
async fn wait_for_the_end_of(agents: &[u32]) {
    let begun = time::now();
    while agents.iter().any(|pid| fs::exists(format!("/proc/{pid}")).unwrap_or(false)) && begun.elapsed() < LAST_WORDS {
        time::sleep(Duration::from_millis(5)).await;
    }
}

/// For panics only: otherwise `clear` has done it.
impl Drop for Stage {
    fn drop(&mut self) {
        let mountpoints = std::mem::take(&mut self.mountpoints);
        if !mountpoints.is_empty() {
            let _ = unmount_all(&self.state_dir(), &mountpoints);
            let _ = self.remove_directory();
        }
    }
}

/// Unmounts what is mounted; goes on where a part fails, and answers with the first failure.
fn unmount_all(state: &Path, mountpoints: &[PathBuf]) -> anyhow::Result<()> {
    let outcomes: Vec<_> = mountpoints.iter().map(|mountpoint| mounting::unmount_by_all_means(state, mountpoint)).collect();
    outcomes.into_iter().collect()
}
