//! How a mount ends: saving, unmounting, saying goodbye.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use artifacts_core::mount::touched;

use crate::agent::Agent;
use crate::kernel::{self, Unmounting};

/// Waits until everything is durable. False if that did not come about in time; it cannot once the session is over.
pub(super) fn save(agent: &Agent, patience: Duration) -> bool {
    if agent.gate.fenced().is_some() {
        return unsaved(agent).is_empty();
    }
    let (sent, seen) = mpsc::channel();
    agent.session.send(|batch| {
        batch.make_durable(move |result| {
            // Nobody may wait any more.
            let _ = sent.send(result);
        });
    });
    matches!(seen.recv_timeout(patience), Ok(Ok(()))) && unsaved(agent).is_empty()
}

/// The files that would be lost if the mount ended now, relative to the mount point.
pub(super) fn unsaved(agent: &Agent) -> Vec<PathBuf> {
    let (ops, losses) = agent.session.unsaved();
    let mut inodes: BTreeSet<_> = losses.into_iter().collect();
    inodes.extend(ops.iter().filter_map(|op| touched(&op.op.mutation).first().copied()));
    let paths: BTreeSet<_> = inodes.into_iter().map(|ino| agent.inodes.path_of(ino, agent.numbers.root())).collect();
    paths.into_iter().collect()
}

/// How the mount point is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// Nothing of it is left.
    Down,
    /// Out of sight; programs still have files open.
    Detached,
    /// In use, and left as it is.
    Busy,
}

/// Takes the mount away, in use or not if `at_any_cost`.
pub(super) fn take_down(path: &Path, at_any_cost: bool) -> io::Result<Taken> {
    match kernel::unmount(path, Unmounting::IfUnused) {
        Ok(()) => Ok(Taken::Down),
        // Somebody was faster.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput || error.kind() == io::ErrorKind::NotFound => Ok(Taken::Down),
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy && !at_any_cost => Ok(Taken::Busy),
        Err(_) if at_any_cost => kernel::unmount(path, Unmounting::Detach).map(|()| Taken::Detached),
        Err(error) => Err(error),
    }
}
