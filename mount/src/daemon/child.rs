use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

use super::MountInfo;
use super::serve::serve;
use crate::error::MountError;
use crate::options::MountOptions;

/// The one line that the child says to its parent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Announcement {
    /// It serves.
    Ready(MountInfo),
    /// It does not, and ends.
    Failed(MountError),
}

/// What the hidden argument [`super::CHILD_ARGUMENT`] does: takes its options from the standard input, tells on the standard
/// output whether it serves, and serves until unmounted. Logs go where the caller has sent `tracing`; the parent has
/// pointed the standard error at the mount's log file. Fails when the mount never served or lost something.
pub fn serve_child() -> ExitCode {
    let report = read_options().and_then(|options| {
        // A daemon keeps no directory busy.
        std::env::set_current_dir("/").map_err(MountError::io("cannot change to the root directory"))?;
        serve(options, |info| announce(&Announcement::Ready(info.clone())))
    });
    match report {
        Ok(report) if report.unsaved.is_empty() => ExitCode::SUCCESS,
        Ok(report) => {
            tracing::error!(files = ?report.unsaved, "the mount ended and could not save everything");
            ExitCode::FAILURE
        }
        Err(error) => {
            tracing::error!(%error, "the mount ended");
            // Heard only by a parent that still waits.
            announce(&Announcement::Failed(error));
            ExitCode::FAILURE
        }
    }
}

fn read_options() -> Result<MountOptions, MountError> {
    let mut text = Vec::new();
    std::io::stdin().read_to_end(&mut text).map_err(MountError::io("cannot read the options"))?;
    serde_json::from_slice(&text).map_err(|error| MountError::system("cannot read the options", error))
}

/// Says it, and lets go of the pipe, so that whoever reads the caller's output does not wait for the agent.
fn announce(announcement: &Announcement) {
    let mut stdout = std::io::stdout();
    if let Ok(mut line) = serde_json::to_vec(announcement) {
        line.push(b'\n');
        // A parent that is gone will not miss it.
        let _ = stdout.write_all(&line).and_then(|()| stdout.flush());
    }
    if let Ok(null) = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdout(&null);
        let _ = rustix::stdio::dup2_stdin(&null);
    }
}
