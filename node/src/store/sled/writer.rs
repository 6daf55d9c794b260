//! The one thread that writes: it takes all writes that are waiting, applies them as one batch and, if anybody wants
//! durability, flushes once for all. While it flushes the next group gathers, so the number of commits a second does not
//! bound the number of writes.
//!
//! Writes that ask for visibility are answered before the flush. The first error of sled or the disk is kept and
//! answers every later write, because a batch may be half recorded and a failed `fdatasync` cannot be repeated: the
//! kernel may have dropped the pages.

use std::sync::Arc;
use std::thread;

use tokio::sync::{mpsc, oneshot};

use super::database::Database;
use crate::store::{Batch, Durability, StoreError};

/// A group is committed when it reaches one of these, so that the first in it does not wait for ever more to come.
const MAX_GROUP_WRITES: usize = 1024;
const MAX_GROUP_BYTES: usize = 8 << 20;

type Answer = oneshot::Sender<Result<(), StoreError>>;

pub(super) enum Command {
    Write(Write),
    /// Makes everything durable, lets go of the database, answers, ends.
    Close(Answer),
}

pub(super) struct Write {
    pub(super) batch: Batch,
    pub(super) durability: Durability,
    pub(super) answer: Answer,
}

/// Starts the thread. It ends when it is told to close or when nobody can send to it any more.
pub(super) fn spawn(database: Arc<Database>, commands: mpsc::Receiver<Command>) -> Result<(), StoreError> {
    let writer = Writer { database, commands, failed: None };
    thread::Builder::new().name("store-writer".into()).spawn(move || writer.run()).map_err(StoreError::io)?;
    Ok(())
}

struct Writer {
    database: Arc<Database>,
    commands: mpsc::Receiver<Command>,
    failed: Option<StoreError>,
}

impl Writer {
    fn run(mut self) {
        while let Some(first) = self.commands.blocking_recv() {
            let (group, close) = self.gather(first);
            self.commit(group);
            if let Some(answer) = close {
                let outcome = self.finish();
                // Whoever closed may open again at once, so the handle goes first.
                drop(self);
                let _ = answer.send(outcome);
                return;
            }
        }
        if let Err(error) = self.finish() {
            tracing::error!(%error, "the store could not be flushed when it was dropped");
        }
    }

    /// Takes what is waiting, up to a bound or up to a close.
    fn gather(&mut self, first: Command) -> (Vec<Write>, Option<Answer>) {
        let mut group = Vec::new();
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(command) = next {
            match command {
                Command::Close(answer) => return (group, Some(answer)),
                Command::Write(write) => {
                    bytes += write.batch.bytes();
                    group.push(write);
                }
            }
            let is_full = group.len() >= MAX_GROUP_WRITES || bytes >= MAX_GROUP_BYTES;
            next = if is_full { None } else { self.commands.try_recv().ok() };
        }
        (group, None)
    }

    fn commit(&mut self, group: Vec<Write>) {
        let (merged, waiting) = merge(self.admit(group));
        let applied = self.guarded(|database| merged.map_or(Ok(()), |merged| database.apply(merged)));
        let (durable, visible): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(durability, _)| *durability == Durability::Durable);
        answer_all(visible, &applied);
        if durable.is_empty() {
            return;
        }
        let synced = applied.and_then(|()| self.guarded(Database::sync));
        answer_all(durable, &synced);
    }

    /// Refuses the writes for which there is no room; those that only delete may always go on.
    fn admit(&self, group: Vec<Write>) -> Vec<Write> {
        if group.iter().all(|write| write.batch.only_deletes()) {
            return group;
        }
        let Err(full) = self.database.check_room() else {
            return group;
        };
        let (admitted, refused): (Vec<_>, Vec<_>) = group.into_iter().partition(|write| write.batch.only_deletes());
        for write in refused {
            let _ = write.answer.send(Err(full.clone()));
        }
        admitted
    }

    fn finish(&mut self) -> Result<(), StoreError> {
        self.guarded(Database::sync)
    }

    /// Runs one step unless one failed before.
    fn guarded(&mut self, step: impl FnOnce(&Database) -> Result<(), StoreError>) -> Result<(), StoreError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let outcome = step(&self.database);
        if let Err(error) = &outcome {
            tracing::error!(%error, "the store stops taking writes");
            self.failed = Some(error.clone());
        }
        outcome
    }
}

/// One batch of all entries in their order, in which the last entry for a key replaces the others, and who waits for it.
fn merge(group: Vec<Write>) -> (Option<::sled::Batch>, Vec<(Durability, Answer)>) {
    let mut merged = ::sled::Batch::default();
    let mut is_empty = true;
    let mut waiting = Vec::with_capacity(group.len());
    for write in group {
        for (key, value) in write.batch.into_entries() {
            is_empty = false;
            match value {
                Some(value) => merged.insert(&*key, &*value),
                None => merged.remove(&*key),
            }
        }
        waiting.push((write.durability, write.answer));
    }
    ((!is_empty).then_some(merged), waiting)
}

fn answer_all(waiting: Vec<(Durability, Answer)>, outcome: &Result<(), StoreError>) {
    for (_, answer) in waiting {
        // A caller that has gone away wants no answer.
        let _ = answer.send(outcome.clone());
    }
}
