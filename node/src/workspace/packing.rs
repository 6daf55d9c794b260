//! Small data moves from the store into segments.
//!
//! A write of up to 64 KiB is an inline extent: one commit, no object. It stays in the store until it has not changed for
//! a moment; then the node packs it, with that of other files, in the order of the keys: files that were made together have
//! neighbouring numbers, so what is read together lies together.

use std::collections::VecDeque;

use artifacts_core::SegmentId;
use artifacts_core::namespace::{self, Ino, Key, Record, Relocation, Source};
use ractor::{ActorRef, RpcReplyPort};

use super::actor::WorkspaceState;
use super::errand::ErrandContext;
use super::layers::{Failure, Flushed};
use super::message::WorkspaceMessage;
use super::packer::Packer;
use super::upkeep::{Errand, UpkeepMessage, millis};
use crate::store::{Batch, KeyRange, StoreError};

/// How many small extents are remembered; more are found by reading all extents.
const REMEMBERED_MAX: usize = 64 * 1024;
/// How many stretches are put in their new place between two other messages.
const RELOCATED_AT_ONCE: usize = 16;
/// How long the rest waits while the store does not keep up.
const RELOCATION_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

impl WorkspaceState {
    pub(super) fn errand_context(&self, myself: &ActorRef<WorkspaceMessage>) -> ErrandContext {
        ErrandContext { context: self.context.clone(), keys: self.keys, actor: myself.clone() }
    }

    /// Takes the mark that small data waits into a batch, or out of the store. `inline`: whether the batch holds any.
    pub(super) fn mark_unpacked(&mut self, batch: &mut Batch, inline: bool) {
        let upkeep = &mut self.upkeep;
        let waits = inline || upkeep.pack_all || !upkeep.unpacked.is_empty() || !upkeep.packing.is_empty();
        if waits && !upkeep.marked {
            batch.put(self.keys.unpacked(), Vec::new());
        } else if !waits && upkeep.marked {
            batch.delete(self.keys.unpacked());
        }
        upkeep.marked = waits;
    }

    /// Learns what a flush has made durable.
    pub(super) fn note_flushed(&mut self, flushed: Flushed) {
        let now_ms = self.now_ms();
        let upkeep = &mut self.upkeep;
        upkeep.changed = true;
        for (ino, offset, inline_bytes) in flushed.extents {
            let place = (ino, offset);
            match inline_bytes {
                Some(_) if upkeep.unpacked.len() >= REMEMBERED_MAX && !upkeep.unpacked.contains_key(&place) => upkeep.pack_all = true,
                Some(len) => drop(upkeep.unpacked.insert(place, (now_ms, len))),
                None => drop(upkeep.unpacked.remove(&place)),
            }
        }
    }

    /// Begins to pack what has settled, if it is enough.
    pub(super) fn begin_packing(&mut self, myself: &ActorRef<WorkspaceMessage>) -> bool {
        let now_ms = self.now_ms();
        let (settle_ms, pack_after_ms, pack_bytes) =
            (millis(self.rules().settle), millis(self.rules().pack_after), self.rules().pack_bytes);
        let settled = |since: u64| now_ms.saturating_sub(since) >= settle_ms;
        let (mut bytes, mut waited) = (0, false);
        for (since, len) in self.upkeep.unpacked.values().copied().filter(|(since, _)| settled(*since)) {
            bytes += u64::from(len);
            waited |= now_ms.saturating_sub(since) >= pack_after_ms;
        }
        if bytes < pack_bytes && !waited {
            return false;
        }
        let (packing, rest) = std::mem::take(&mut self.upkeep.unpacked).into_iter().partition(|(_, (since, _))| settled(*since));
        (self.upkeep.packing, self.upkeep.unpacked) = (packing, rest);
        let places: Vec<(Ino, u64)> = self.upkeep.packing.keys().copied().collect();
        let errand = self.errand_context(myself);
        self.begin(myself, Errand::Pack, async move {
            let (mut packer, mut reader) = (Packer::default(), errand.reader());
            for (ino, offset) in places {
                if let Some(extent) = errand.extent(ino, offset).await?
                    && matches!(extent.source, Source::Inline { .. })
                {
                    errand.take_in(&mut packer, &mut reader, ino, offset, extent).await?;
                }
            }
            errand.put(&mut packer).await
        });
        true
    }

    /// Packing has ended. What failed waits again, unless it has changed: then it waits anyway.
    pub(super) fn packed(&mut self, failed: bool) {
        let packing = std::mem::take(&mut self.upkeep.packing);
        if failed {
            for (place, waits) in packing {
                self.upkeep.unpacked.entry(place).or_insert(waits);
            }
        }
    }

    /// Reads all extents for small data: after a restart, or when there was more than can be remembered.
    pub(super) fn begin_packing_all(&mut self, myself: &ActorRef<WorkspaceMessage>) {
        self.upkeep.pack_all = false;
        let errand = self.errand_context(myself);
        self.begin(myself, Errand::PackAll, async move {
            let (mut packer, mut reader) = (Packer::default(), errand.reader());
            let mut next = Some(KeyRange::prefix(&errand.keys.namespace(&Key::extents())));
            while let Some(range) = next {
                let (records, rest) = errand.page(range).await?;
                next = rest;
                for (key, record) in records {
                    if let (Key::Extent(ino, offset), Record::Extent(extent)) = (key, record)
                        && matches!(extent.source, Source::Inline { .. })
                    {
                        errand.take_in(&mut packer, &mut reader, ino, offset, extent).await?;
                    }
                }
            }
            errand.put(&mut packer).await
        });
    }

    /// Puts stretches in their new place, a few at a time: ops come in between.
    pub(super) async fn relocate(
        &mut self,
        myself: &ActorRef<WorkspaceMessage>,
        segment: SegmentId,
        mut left: VecDeque<Relocation>,
        mut moved: u64,
        reply: RpcReplyPort<Result<u64, StoreError>>,
    ) {
        if let Some(Source::Block { block_offset, block_len, .. }) = left.back().map(|last| &last.to.source) {
            // What was packed last ends where the segment does.
            self.layers.know_segment(segment, u64::from(*block_offset) + u64::from(*block_len));
        }
        let waits = self.falls_behind() || self.recovery.is_some();
        for _ in 0..if waits { 0 } else { RELOCATED_AT_ONCE } {
            let Some(relocation) = left.pop_front() else { break };
            match self.run(|view| namespace::repoint(view, &relocation)).await {
                Ok(_) => moved += 1,
                // It has changed since it was read; what holds it now is noted when it is flushed.
                Err(Failure::Refused(_)) => {}
                Err(Failure::Store(error)) => {
                    let _ = reply.send(Err(error));
                    return;
                }
            }
        }
        self.maybe_flush(myself, false);
        if !left.is_empty() {
            let next = move || WorkspaceMessage::Upkeep(UpkeepMessage::Relocate { segment, left, moved, reply });
            if waits {
                myself.send_after(RELOCATION_PAUSE, next);
            } else {
                let _ = myself.cast(next());
            }
            return;
        }
        if moved == 0 {
            // Nobody else knows its id.
            self.delete_objects(myself, vec![segment]);
        }
        let _ = reply.send(Ok(moved));
    }
}
