//! The one thread that writes: it takes all writes that are waiting, records them in the journal with one write, makes
//! them visible and, if anybody wants durability, syncs once for all. While it does, the next group gathers, so the number
//! of syncs a second does not bound the number of writes.
//!
//! Writes that ask for visibility are answered before the sync, which follows by itself soon. The first error of the
//! journal or the database is kept and answers every later write, because a record may be half written and a failed
//! `fdatasync` cannot be repeated: the kernel may have dropped the pages.
//!
//! It also decides when the table is frozen and handed to the [`Applier`]: always right after a sync, so that nothing gets
//! into the database that the journal could still lose.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::applier::Applier;
use super::contents::Contents;
use crate::store::journal::{Log, Room};
use crate::store::{Batch, Durability, StoreError};
use crate::time::{Clock, SystemClock};

/// A group is committed when it reaches one of these, so that the first in it does not wait for ever more to come.
const MAX_GROUP_WRITES: usize = 1024;
const MAX_GROUP_BYTES: usize = 4 << 20;

/// The table is handed to the applier this long after the first batch went into it, if not earlier.
const APPLY_AFTER_MS: u64 = 1_000;
/// How long a visible write waits for a sync that somebody else wants. With the sync itself this has to stay below the
/// 500 ms that are promised.
const SYNC_AFTER_MS: u64 = 150;

/// When the table is brought into the database, and when writes wait for that. The journal has limits of its own.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Pace {
    /// The table is handed to the applier when it takes this much memory, in bytes, ...
    pub(in crate::store) apply_bytes: usize,
    /// ... or when this much was written to the journal since the last time, in bytes: overwritten keys take no memory.
    pub(in crate::store) apply_journal_bytes: usize,
    /// How much memory the table may take before writes wait, in bytes.
    pub(in crate::store) max_table_bytes: usize,
}

type Answer = oneshot::Sender<Result<(), StoreError>>;

pub(super) enum Command {
    Write(Write),
    /// Brings everything into the database, lets go of it, answers, ends.
    Close(Answer),
}

pub(super) struct Write {
    pub(super) batch: Batch,
    pub(super) durability: Durability,
    pub(super) answer: Answer,
    /// Its place in the queue, free again when it is dropped.
    pub(super) place: OwnedSemaphorePermit,
}

/// Starts the thread. It ends when it is told to close or when nobody can send to it any more.
pub(super) fn spawn(contents: Arc<Contents>, log: Log, pace: Pace, commands: Receiver<Command>) -> Result<(), StoreError> {
    let applier = Applier::spawn(Arc::clone(&contents))?;
    let committer = Committer {
        contents,
        log,
        pace,
        applier,
        commands,
        failed: None,
        unsynced_since_ms: None,
        unapplied_since_ms: None,
        journal_bytes: 0,
    };
    thread::Builder::new().name("store-committer".into()).spawn(move || committer.run()).map_err(StoreError::io)?;
    Ok(())
}

struct Committer {
    contents: Arc<Contents>,
    log: Log,
    pace: Pace,
    applier: Applier,
    commands: Receiver<Command>,
    failed: Option<StoreError>,
    /// When the oldest record was written that is not synced.
    unsynced_since_ms: Option<u64>,
    /// When the oldest batch came into the table that is not handed over.
    unapplied_since_ms: Option<u64>,
    /// How much was written to the journal since the table was last handed over.
    journal_bytes: usize,
}

/// A write without its batch.
struct Waiting {
    durability: Durability,
    answer: Answer,
}

impl Committer {
    fn run(mut self) {
        loop {
            match self.receive() {
                Ok(first) => {
                    let (group, close) = self.gather(first);
                    self.commit(group);
                    if let Some(answer) = close {
                        let outcome = self.finish();
                        let _ = answer.send(outcome);
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.keep_house();
        }
        if let Err(error) = self.finish() {
            tracing::error!(%error, "the store could not be flushed when it was dropped");
        }
    }

    /// Waits for a command, no longer than until something is due.
    fn receive(&self) -> Result<Command, RecvTimeoutError> {
        let sync_at_ms = self.unsynced_since_ms.map(|since_ms| since_ms + SYNC_AFTER_MS);
        let apply_at_ms = self.unapplied_since_ms.map(|since_ms| since_ms + APPLY_AFTER_MS);
        match [sync_at_ms, apply_at_ms].into_iter().flatten().min() {
            Some(due_ms) if self.failed.is_none() => {
                // While the applier is busy something may be overdue: look again soon.
                let patience_ms = due_ms.saturating_sub(SystemClock.monotonic_ms()).max(10);
                self.commands.recv_timeout(Duration::from_millis(patience_ms))
            }
            _ => self.commands.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// Takes what is waiting, up to a bound or up to a close.
    fn gather(&self, first: Command) -> (Vec<Write>, Option<Answer>) {
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
        let (batches, waiting) = split(self.admit(group));
        let recorded = self.record(batches);
        let (durable, visible): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|waiting| waiting.durability == Durability::Durable);
        answer_all(visible, &recorded);
        if durable.is_empty() {
            return;
        }
        let synced = recorded.and_then(|()| self.sync());
        answer_all(durable, &synced);
    }

    /// Refuses the writes for which there is no room; those that only delete may always go on.
    fn admit(&self, group: Vec<Write>) -> Vec<Write> {
        if group.iter().all(|write| write.batch.only_deletes()) {
            return group;
        }
        let unapplied_bytes = self.contents.table.read().bytes();
        let Err(full) = self.contents.database.check_room(unapplied_bytes as u64) else {
            return group;
        };
        let (admitted, refused): (Vec<_>, Vec<_>) = group.into_iter().partition(|write| write.batch.only_deletes());
        for write in refused {
            let _ = write.answer.send(Err(full.clone()));
        }
        admitted
    }

    /// Writes batches to the journal and makes them visible.
    fn record(&mut self, batches: Vec<Batch>) -> Result<(), StoreError> {
        if batches.is_empty() {
            return self.failed.clone().map_or(Ok(()), Err);
        }
        let bytes: usize = batches.iter().map(Log::bytes_of).sum();
        self.make_room(bytes)?;
        self.guarded(|committer| committer.log.append(batches.iter()))?;
        let mut table = self.contents.table.write();
        for batch in batches {
            table.insert(batch);
        }
        drop(table);
        self.journal_bytes += bytes;
        let now_ms = SystemClock.monotonic_ms();
        self.unsynced_since_ms.get_or_insert(now_ms);
        self.unapplied_since_ms.get_or_insert(now_ms);
        Ok(())
    }

    /// Waits until the table and the journal can take `bytes` more. On [`StoreError::Full`] nothing has happened.
    fn make_room(&mut self, bytes: usize) -> Result<(), StoreError> {
        loop {
            // Asked first: what it was busy with is freed below only if it has ended before.
            let is_idle = self.applier.is_idle();
            self.free()?;
            let held_bytes = self.contents.table.read().bytes();
            let room = if held_bytes > 0 && held_bytes + bytes > self.pace.max_table_bytes {
                Room::Wait
            } else {
                self.guarded(|committer| committer.log.reserve(bytes))?
            };
            let reason = match room {
                Room::Ready => return Ok(()),
                Room::Wait => "the journal is in use".to_owned(),
                Room::DiskFull(error) => error.to_string(),
            };
            if is_idle && held_bytes == 0 {
                return Err(StoreError::Full { reason });
            }
            self.apply_now()?;
        }
    }

    /// Syncs and applies when it is time.
    fn keep_house(&mut self) {
        // An error is kept, and told to the next writer.
        let _ = self.try_keep_house();
    }

    fn try_keep_house(&mut self) -> Result<(), StoreError> {
        self.free()?;
        let now_ms = SystemClock.monotonic_ms();
        let is_due = |since_ms: Option<u64>, after_ms| since_ms.is_some_and(|since_ms: u64| now_ms >= since_ms + after_ms);
        if is_due(self.unsynced_since_ms, SYNC_AFTER_MS) {
            self.sync()?;
        }
        let is_large =
            self.contents.table.read().active_bytes() >= self.pace.apply_bytes || self.journal_bytes >= self.pace.apply_journal_bytes;
        if (is_large || is_due(self.unapplied_since_ms, APPLY_AFTER_MS)) && self.applier.is_idle() {
            self.hand_over()?;
        }
        Ok(())
    }

    /// Gives the table to the applier, which must be idle.
    fn hand_over(&mut self) -> Result<(), StoreError> {
        self.sync()?;
        let group = self.contents.table.write().freeze(self.log.last_sequence());
        self.applier.hand_over(group);
        self.unapplied_since_ms = None;
        self.journal_bytes = 0;
        Ok(())
    }

    /// Waits until something was applied, and frees it in the journal: what the applier has, or else the whole table.
    fn apply_now(&mut self) -> Result<(), StoreError> {
        // It may take a while, longer than visible writes may stay unsynced.
        self.sync()?;
        if self.applier.is_idle() {
            self.hand_over()?;
        }
        self.applier.wait();
        self.free()
    }

    fn free(&mut self) -> Result<(), StoreError> {
        self.guarded(|committer| {
            let applied = committer.applier.applied()?;
            committer.log.free(applied);
            Ok(())
        })
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.guarded(|committer| committer.log.sync())?;
        self.unsynced_since_ms = None;
        Ok(())
    }

    /// Brings everything into the database and lets go of it: whoever closed may open again at once.
    fn finish(mut self) -> Result<(), StoreError> {
        self.applier.wait();
        self.free()?;
        self.apply_now()?;
        self.guarded(|committer| committer.log.checkpoint())
    }

    /// Runs one step unless one failed before.
    fn guarded<T>(&mut self, step: impl FnOnce(&mut Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let outcome = step(self);
        if let Err(error) = &outcome {
            tracing::error!(%error, "the store stops taking writes");
            self.failed = Some(error.clone());
        }
        outcome
    }
}

/// The batches that say something, in their order, and who waits for them.
fn split(group: Vec<Write>) -> (Vec<Batch>, Vec<Waiting>) {
    let mut batches = Vec::with_capacity(group.len());
    let mut waiting = Vec::with_capacity(group.len());
    for Write { batch, durability, answer, place } in group {
        drop(place);
        if !batch.is_empty() {
            batches.push(batch);
        }
        waiting.push(Waiting { durability, answer });
    }
    (batches, waiting)
}

fn answer_all(waiting: Vec<Waiting>, outcome: &Result<(), StoreError>) {
    for Waiting { answer, .. } in waiting {
        // A caller that has gone away wants no answer.
        let _ = answer.send(outcome.clone());
    }
}
