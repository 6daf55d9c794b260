use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use artifacts_core::name::WorkspaceAddress;
use artifacts_core::ticket::Mode;
use artifacts_mount::{MountError, control};

use crate::mounting::{self, MountRequest};
use crate::output::Output;
use crate::paths::Paths;
use crate::random;
use crate::settings::Settings;
use crate::time;

/// How often a mount that somebody else uses is tried again, and how long the pauses are.
const BUSY_LOOKS: u32 = 50;
const BUSY_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// A mount for one command: below the state directory, where only this user may go. Gone when it is dropped, whatever
/// happened meanwhile; of a command that was killed, the next one takes it away.
#[derive(Debug)]
pub(crate) struct PrivateMount {
    state: PathBuf,
    directory: PathBuf,
}

impl PrivateMount {
    /// Mounts a workspace by right of the API key. Blocks.
    ///
    /// # Errors
    /// There is no key, or the mount is refused.
    pub(crate) fn new(workspace: &WorkspaceAddress, mode: Mode, output: Output) -> anyhow::Result<Self> {
        let state = Paths::of_this_user()?.state;
        let all = state.join("transfers");
        DirBuilder::new().recursive(true).mode(0o700).create(&all).context("cannot make a directory to mount on")?;
        clear_left_behind(&state, &all);
        let directory = all.join(format!("{}-{}", std::process::id(), random::idempotency_key()?));
        let request = MountRequest::with_key(&Settings::load()?, workspace.clone(), mode, &directory)?;
        DirBuilder::new().mode(0o700).create(&directory).context("cannot make a directory to mount on")?;
        // From here on dropping it clears up.
        let mount = Self { state, directory };
        mounting::mount(request, output)?;
        Ok(mount)
    }

    /// The workspace's root.
    pub(crate) fn root(&self) -> &Path {
        &self.directory
    }

    /// Saves everything and unmounts. Blocks.
    ///
    /// # Errors
    /// Something could not be saved.
    pub(crate) fn end(self) -> anyhow::Result<()> {
        let mut looks = 0;
        let report = loop {
            match control::unmount(&self.state, &self.directory, false) {
                // Some program looks into every mount that comes up.
                Err(MountError::Busy { .. }) if looks < BUSY_LOOKS => looks += 1,
                outcome => break outcome?,
            }
            time::pause(BUSY_PAUSE);
        };
        Ok(mounting::saved(&report.unsaved, Path::new("the workspace"))?)
    }
}

impl Drop for PrivateMount {
    fn drop(&mut self) {
        take_away(&self.state, &self.directory);
    }
}

/// Takes away the mounts of commands that are dead.
fn clear_left_behind(state: &Path, all: &Path) {
    for left in fs::read_dir(all).into_iter().flatten().flatten() {
        let name = left.file_name();
        let pid = name.to_str().and_then(|name| name.split('-').next()?.parse().ok()).and_then(rustix::process::Pid::from_raw);
        let is_alive = pid.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH));
        if !is_alive {
            take_away(state, &left.path());
        }
    }
}

fn take_away(state: &Path, directory: &Path) {
    if let Err(error) = mounting::unmount_by_all_means(state, directory) {
        tracing::warn!(%error, "{} is still mounted", directory.display());
    } else if let Err(error) = fs::remove_dir(directory) {
        tracing::debug!(%error, "{} stays behind", directory.display());
    }
}
