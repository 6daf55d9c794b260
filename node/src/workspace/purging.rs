//! Removes inodes without links that nobody has open, a bounded part at a time: ops come in between.

use artifacts_core::SessionId;
use artifacts_core::namespace::{self, Ino};
use ractor::ActorRef;

use super::actor::{WorkspaceState, store_error};
use super::layers::Failure;
use super::message::WorkspaceMessage;
use super::upkeep::UpkeepMessage;
use crate::store::StoreError;

/// How many orphans one step of a search brings.
const PAGE: usize = 256;
/// How many inodes are looked at between two other messages; of one that is long only a part is removed.
const AT_ONCE: usize = 32;

impl WorkspaceState {
    /// Removes the inodes without links that nobody has open, once every session on record has said what it has open, or is over:
    /// what one that was away too long has open it still has when it comes back.
    pub(super) async fn purge_orphans_if_all_are_back(&mut self, myself: &ActorRef<WorkspaceMessage>) -> Result<(), StoreError> {
        self.orphans_wait = true;
        self.purge_waiting_orphans(myself).await
    }

    /// See [`Self::purge_orphans_if_all_are_back`].
    pub(super) async fn purge_waiting_orphans(&mut self, myself: &ActorRef<WorkspaceMessage>) -> Result<(), StoreError> {
        let may_be_open =
            self.recovery.is_some() || self.absent.is_anybody_away() || self.members.values().any(|member| member.resending.is_some());
        if !self.orphans_wait || may_be_open {
            return Ok(());
        }
        self.orphans_wait = false;
        self.purge_orphans(myself).await
    }

    /// Removes the inodes without links that nobody has open: those of mounts that died with the node.
    pub(super) async fn purge_orphans(&mut self, myself: &ActorRef<WorkspaceMessage>) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let page = self.layers.ask(|view| namespace::orphans(view, after, PAGE)).await.map_err(store_error)?;
            self.upkeep.purging.extend(page.iter().map(|&ino| (ino, 0)));
            after = page.last().copied();
            if page.len() < PAGE {
                break;
            }
        }
        self.purge_some(myself).await
    }

    /// A session is over: what it had open nobody else may have.
    pub(super) async fn let_go(&mut self, myself: &ActorRef<WorkspaceMessage>, session: SessionId) -> Result<(), StoreError> {
        let closed = self.open.close_all(session);
        self.upkeep.purging.extend(closed.into_iter().map(|ino| (ino, 0)));
        self.purge_some(myself).await
    }

    /// An inode has lost its last link. A program on another mount may just have found its name and be about to open it, so it
    /// stays a moment where there are others than who removed it, unless its room is counted.
    pub(super) async fn purge_soon(&mut self, myself: &ActorRef<WorkspaceMessage>, ino: Ino, has_others: bool) -> Result<(), StoreError> {
        let has_quota = self.limits.bytes.is_some() || self.limits.inodes.is_some();
        if !has_others || has_quota {
            return self.purge_if_orphan(myself, ino).await;
        }
        self.upkeep.lingering[0].push(ino);
        self.schedule_end_of_lingering(myself);
        Ok(())
    }

    fn schedule_end_of_lingering(&mut self, myself: &ActorRef<WorkspaceMessage>) {
        if !std::mem::replace(&mut self.upkeep.linger_scheduled, true) {
            myself.send_after(LINGER, || WorkspaceMessage::Upkeep(UpkeepMessage::EndLingering));
        }
    }

    /// Removes what has lost its last link a while ago.
    pub(super) async fn end_lingering(&mut self, myself: &ActorRef<WorkspaceMessage>) -> Result<(), StoreError> {
        self.upkeep.linger_scheduled = false;
        let [young, old] = &mut self.upkeep.lingering;
        let gone = std::mem::replace(old, std::mem::take(young));
        if !old.is_empty() {
            self.schedule_end_of_lingering(myself);
        }
        self.upkeep.purging.extend(gone.into_iter().map(|ino| (ino, 0)));
        self.purge_some(myself).await
    }

    /// Removes an inode, or its first part, if it is an orphan that nobody has open.
    pub(super) async fn purge_if_orphan(&mut self, myself: &ActorRef<WorkspaceMessage>, ino: Ino) -> Result<(), StoreError> {
        self.upkeep.purging.push_back((ino, 0));
        self.purge_some(myself).await
    }

    /// Goes on with what is to be removed. The rest waits for its turn behind the messages that are there.
    pub(super) async fn purge_some(&mut self, myself: &ActorRef<WorkspaceMessage>) -> Result<(), StoreError> {
        if self.recovery.is_some() {
            // What comes back may still have them open; the end of the grace looks for orphans anew.
            self.upkeep.purging.clear();
            return Ok(());
        }
        for _ in 0..AT_ONCE {
            if self.falls_behind() {
                break;
            }
            let Some((ino, offset)) = self.upkeep.purging.pop_front() else { return Ok(()) };
            if self.open.is_open(ino) {
                continue;
            }
            let mut rest = None;
            let purged = self.run(|view| {
                namespace::purge(view, ino, offset).map(|(applied, from)| {
                    rest = from;
                    applied
                })
            });
            match purged.await {
                // With an inode the directory may have to go that waited for its end.
                Ok(outcome) => {
                    if rest.is_none() {
                        self.inode_is_gone(myself, ino);
                    }
                    self.upkeep.purging.extend(outcome.orphaned.into_iter().map(|ino| (ino, 0)));
                }
                // Still linked, or gone already.
                Err(Failure::Refused(_)) => {}
                Err(Failure::Store(error)) => return Err(error),
            }
            if let Some(offset) = rest {
                self.upkeep.purging.push_back((ino, offset));
                break;
            }
        }
        if !self.upkeep.purging.is_empty() && !self.upkeep.purge_scheduled {
            self.upkeep.purge_scheduled = true;
            let next = || WorkspaceMessage::Upkeep(UpkeepMessage::Purge);
            if self.falls_behind() {
                myself.send_after(PAUSE, next);
            } else {
                let _ = myself.cast(next());
            }
        }
        self.maybe_flush(myself, false);
        Ok(())
    }
}

/// An inode without a link stays so long at least where several sessions are attached, and twice as long at the most.
const LINGER: std::time::Duration = std::time::Duration::from_millis(500);
/// How long the rest waits while the store does not keep up.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(50);
