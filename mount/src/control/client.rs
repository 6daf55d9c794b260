use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::{Answer, DeadMount, ListedMount, MountStatus, Question, UnmountReport, exchange};
use crate::daemon::{MountRecord, StateDir};
use crate::error::MountError;
use crate::kernel::{self, MountPoint, Unmounting};

/// How long an agent may take to tell how it is.
const STATUS: Duration = Duration::from_secs(2);
/// How long it may take to save everything and unmount.
const UNMOUNT: Duration = Duration::from_secs(90);

/// Why there is no answer.
enum Silence {
    /// Nobody listens: no agent, or a dead one.
    Nobody,
    /// The agent does not answer in time, or not in our language.
    Stuck(String),
}

fn ask(socket: &Path, question: &Question, patience: Duration) -> Result<Answer, Silence> {
    let stream = UnixStream::connect(socket).map_err(|_| Silence::Nobody)?;
    exchange(stream, question, STATUS, patience).map_err(|error| Silence::Stuck(error.to_string()))
}

/// The mounts of this host that `state_dir` knows of, in the order of their directories. Records of mounts that are
/// neither served nor mounted any more are removed.
///
/// # Errors
/// When the state directory cannot be read.
pub fn list(state_dir: &Path) -> Result<Vec<ListedMount>, MountError> {
    let state = StateDir::new(state_dir);
    let mut mounts = Vec::new();
    for record in state.records().map_err(MountError::io("cannot read the state directory"))? {
        match ask(&state.socket(&record.mountpoint), &Question::Status, STATUS) {
            Ok(Answer::Status(status)) => mounts.push(ListedMount::Live(status)),
            Err(Silence::Nobody) if !is_mounted(&record.mountpoint) => state.forget(&record.mountpoint),
            _ => mounts.push(ListedMount::Dead(dead(record))),
        }
    }
    Ok(mounts)
}

fn dead(record: MountRecord) -> DeadMount {
    DeadMount { mountpoint: record.mountpoint, workspace: record.workspace, pid: record.pid, since: record.since }
}

fn is_mounted(path: &Path) -> bool {
    MountPoint::resolve(path).is_ok_and(|point| point.mounted().is_ok_and(|mounted| mounted.is_some()))
}

fn resolve(dir: &Path) -> Result<MountPoint, MountError> {
    MountPoint::resolve(dir).map_err(|error| MountError::mount_point(dir, error))
}

/// How the mount on this directory is.
///
/// # Errors
/// [`MountError::NotMounted`], or [`MountError::Agent`] when its agent is dead or stuck.
pub fn status(state_dir: &Path, dir: &Path) -> Result<MountStatus, MountError> {
    let point = resolve(dir)?;
    match ask(&StateDir::new(state_dir).socket(point.path()), &Question::Status, STATUS) {
        Ok(Answer::Status(status)) => Ok(*status),
        Ok(Answer::Error(error)) => Err(error),
        Ok(Answer::Unmounted(_)) => Err(MountError::agent("gave an answer to another question")),
        Err(Silence::Nobody) if point.mounted()?.is_some() => {
            Err(MountError::agent(format!("of {} has died; `artifacts mount` on it recovers it", point.path().display())))
        }
        Err(Silence::Nobody) => Err(MountError::NotMounted { path: point.path().to_owned() }),
        Err(Silence::Stuck(reason)) => Err(MountError::agent(format!("does not answer: {reason}"))),
    }
}

/// Saves what the mount on this directory has not saved, and unmounts it. `force` unmounts also when programs use it
/// or something cannot be saved.
///
/// # Errors
/// [`MountError::NotMounted`], [`MountError::Busy`], [`MountError::Unsaved`]; the mount is as before then.
pub fn unmount(state_dir: &Path, dir: &Path, force: bool) -> Result<UnmountReport, MountError> {
    let point = resolve(dir)?;
    let state = StateDir::new(state_dir);
    match ask(&state.socket(point.path()), &Question::Unmount { force }, UNMOUNT) {
        Ok(Answer::Unmounted(report)) => Ok(report),
        Ok(Answer::Error(error)) => Err(error),
        Ok(Answer::Status(_)) => Err(MountError::agent("gave an answer to another question")),
        Err(Silence::Stuck(reason)) if !force => Err(MountError::agent(format!("does not answer: {reason}; --force unmounts without it"))),
        Err(silence) => {
            if point.mounted()?.is_none() {
                state.forget(point.path());
                return Err(MountError::NotMounted { path: point.path().to_owned() });
            }
            kernel::unmount(point.path(), Unmounting::Detach).map_err(|error| MountError::mount_point(point.path(), error))?;
            let agent_was_dead = matches!(silence, Silence::Nobody);
            if agent_was_dead {
                state.forget(point.path());
            }
            Ok(UnmountReport { agent_was_dead, ..UnmountReport::default() })
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_directory_without_a_mount_is_told_as_such() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        assert_eq!(list(&state).unwrap(), []);
        assert!(matches!(status(&state, dir.path()), Err(MountError::NotMounted { .. })));
        assert!(matches!(unmount(&state, dir.path(), true), Err(MountError::NotMounted { .. })));
    }
}
