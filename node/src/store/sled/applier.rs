//! The thread that brings groups from the table into the database: apply, flush, then let go of the group.
//!
//! It works on one group at a time, which is handed to it by the committer. Its first error is kept: nothing more is
//! applied, and the committer stops taking writes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parking_lot::{Condvar, Mutex};

use super::contents::Contents;
use crate::store::StoreError;
use crate::store::journal::Frozen;

/// The committer's end.
pub(super) struct Applier {
    desk: Arc<Desk>,
    /// Gone when it is dropped.
    thread: Option<JoinHandle<()>>,
}

/// Where groups are handed over.
#[derive(Default)]
struct Desk {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The group being worked on.
    group: Option<Arc<Frozen>>,
    /// The last sequence that is durable in the database.
    applied: u64,
    failed: Option<StoreError>,
    is_closing: bool,
}

impl Applier {
    pub(super) fn spawn(contents: Arc<Contents>) -> Result<Self, StoreError> {
        let desk = Arc::<Desk>::default();
        let its_desk = Arc::clone(&desk);
        let thread = thread::Builder::new().name("store-applier".into()).spawn(move || its_desk.work(&contents));
        Ok(Self { desk, thread: Some(thread.map_err(StoreError::io)?) })
    }

    /// Whether it has nothing to do.
    pub(super) fn is_idle(&self) -> bool {
        self.desk.state.lock().group.is_none()
    }

    /// Hands over a group. It must be idle.
    pub(super) fn hand_over(&self, group: Arc<Frozen>) {
        self.desk.state.lock().group = Some(group);
        self.desk.changed.notify_all();
    }

    /// The last sequence that is durable in the database.
    pub(super) fn applied(&self) -> Result<u64, StoreError> {
        let state = self.desk.state.lock();
        state.failed.clone().map_or(Ok(state.applied), Err)
    }

    /// Waits until it is idle.
    pub(super) fn wait(&self) {
        let mut state = self.desk.state.lock();
        self.desk.changed.wait_while(&mut state, |state| state.group.is_some());
    }
}

impl Drop for Applier {
    /// Ends the thread after the group it works on; it lets go of the contents.
    fn drop(&mut self) {
        self.desk.state.lock().is_closing = true;
        self.desk.changed.notify_all();
        // Whatever went wrong in it was caught and kept.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Desk {
    fn work(&self, contents: &Contents) {
        while let Some(group) = self.next() {
            let outcome = catch_unwind(AssertUnwindSafe(|| apply(contents, &group)));
            let outcome = outcome.unwrap_or_else(|_| Err(StoreError::Corrupt { reason: "sled panicked".into() }));
            let mut state = self.state.lock();
            match outcome {
                Ok(()) => state.applied = group.last_sequence,
                Err(error) => {
                    tracing::error!(%error, "what is in the journal could not be applied to the database");
                    state.failed = Some(error);
                }
            }
            state.group = None;
            self.changed.notify_all();
        }
    }

    fn next(&self) -> Option<Arc<Frozen>> {
        let mut state = self.state.lock();
        self.changed.wait_while(&mut state, |state| state.group.is_none() && !state.is_closing);
        state.group.clone()
    }
}

/// After an error the group stays in the table, where readers go on finding it.
fn apply(contents: &Contents, group: &Frozen) -> Result<(), StoreError> {
    contents.database.apply_in_parts(group.iter())?;
    contents.database.sync()?;
    let thawed = contents.table.write().thaw();
    drop(thawed);
    Ok(())
}
