use std::collections::{BTreeSet, VecDeque};

use super::holder::Identity;
use super::{ByteRange, Holder, Mode, WaiterId};

/// Something that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// By whom.
    pub holder: Holder,
    /// Which bytes.
    pub range: ByteRange,
    /// How.
    pub mode: Mode,
    /// Given with it; of ranges that grew together the greatest.
    pub fencing_token: u64,
    /// Since when.
    pub since_ms: u64,
    /// Until when, of a named lock.
    pub expires_ms: Option<u64>,
}

/// Somebody who waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiter {
    /// The wait's name.
    pub id: WaiterId,
    /// Who.
    pub holder: Holder,
    /// For which bytes.
    pub range: ByteRange,
    /// How.
    pub mode: Mode,
    /// Since when.
    pub since_ms: u64,
    /// Earlier waiters it does not wait for, because they wait for it.
    pub(super) passes: BTreeSet<WaiterId>,
}

/// The holders and the queue of one [`super::Resource`].
#[derive(Debug, Clone, Default)]
pub(super) struct Space {
    /// By range, those of one holder disjoint.
    held: Vec<Held>,
    queue: VecDeque<Waiter>,
}

impl Space {
    pub(super) fn held(&self) -> &[Held] {
        &self.held
    }

    pub(super) fn queue(&self) -> &VecDeque<Waiter> {
        &self.queue
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty() && self.queue.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.held.len() + self.queue.len()
    }

    /// All who hold or wait.
    pub(super) fn holders(&self) -> impl Iterator<Item = &Holder> {
        self.held.iter().map(|held| &held.holder).chain(self.queue.iter().map(|waiter| &waiter.holder))
    }

    /// How it is in use, if not so that `mode` fits.
    pub(super) fn mismatch(&self, mode: Mode) -> Option<Mode> {
        let used = self.held.first().map(|held| held.mode).or(self.queue.front().map(|waiter| waiter.mode))?;
        (!used.fits(mode)).then_some(used)
    }

    /// What is held and keeps this from being held, too. Of a semaphore, all that hold a permit when none is free.
    pub(super) fn blocking(&self, who: Identity, range: ByteRange, mode: Mode) -> impl Iterator<Item = &Held> {
        let full = matches!(mode, Mode::Semaphore { permits } if self.held.len() >= permits as usize);
        self.held.iter().filter(move |held| {
            let in_the_way = full || (mode.excludes(held.mode) && held.range.overlaps(range));
            in_the_way && held.holder.identity() != who
        })
    }

    /// Who was earlier than the waiter at `position` and wants what it cannot have at the same time.
    pub(super) fn ahead(&self, position: usize) -> impl Iterator<Item = &Waiter> {
        let waiter = &self.queue[position];
        self.queue.iter().take(position).filter(move |earlier| {
            let permit = matches!(waiter.mode, Mode::Semaphore { .. });
            let in_the_way = permit || (waiter.mode.excludes(earlier.mode) && earlier.range.overlaps(waiter.range));
            in_the_way && earlier.holder.identity() != waiter.holder.identity() && !waiter.passes.contains(&earlier.id)
        })
    }

    pub(super) fn position(&self, waiter: WaiterId) -> Option<usize> {
        self.queue.iter().position(|queued| queued.id == waiter)
    }

    pub(super) fn enqueue(&mut self, waiter: Waiter) {
        self.queue.push_back(waiter);
    }

    pub(super) fn dequeue(&mut self, position: usize) -> Option<Waiter> {
        self.queue.remove(position)
    }

    /// Lets a waiter pass an earlier one.
    pub(super) fn pass(&mut self, waiter: WaiterId, earlier: WaiterId) {
        if let Some(position) = self.position(waiter) {
            self.queue[position].passes.insert(earlier);
        }
    }

    /// Whether the waiter at `position` has nothing to wait for.
    pub(super) fn may_have(&self, position: usize) -> bool {
        let waiter = &self.queue[position];
        self.ahead(position).next().is_none() && self.blocking(waiter.holder.identity(), waiter.range, waiter.mode).next().is_none()
    }

    /// What one holds of a range, if it holds any of it.
    pub(super) fn held_by(&self, who: Identity, range: ByteRange) -> Option<&Held> {
        self.held.iter().find(|held| held.holder.identity() == who && held.range.overlaps(range))
    }

    pub(super) fn held_by_mut(&mut self, who: Identity) -> Option<&mut Held> {
        self.held.iter_mut().find(|held| held.holder.identity() == who)
    }

    /// What the holder had of the range becomes this: fcntl(2) splits what reaches beyond it, and ranges of one mode that
    /// touch become one.
    pub(super) fn put(&mut self, mut new: Held) {
        let range = new.range;
        let who = new.holder.identity();
        let mut kept = Vec::with_capacity(self.held.len() + 2);
        for held in self.held.drain(..) {
            if held.holder.identity() != who {
                kept.push(held);
            } else if held.mode == new.mode && held.range.touches(range) {
                new.range = new.range.union(held.range);
                new.fencing_token = new.fencing_token.max(held.fencing_token);
            } else if held.range.overlaps(range) {
                kept.extend(held.range.without(range).map(|rest| Held { range: rest, ..held.clone() }));
            } else {
                kept.push(held);
            }
        }
        kept.push(new);
        kept.sort_by_key(|held| held.range.start);
        self.held = kept;
    }

    /// Takes a range from those that `whose` picks. Says whose was taken.
    pub(super) fn take(&mut self, range: ByteRange, whose: impl Fn(&Holder) -> bool) -> Vec<Holder> {
        let mut taken = Vec::new();
        let mut kept = Vec::with_capacity(self.held.len() + 1);
        for held in self.held.drain(..) {
            if whose(&held.holder) && held.range.overlaps(range) {
                kept.extend(held.range.without(range).map(|rest| Held { range: rest, ..held.clone() }));
                taken.push(held.holder);
            } else {
                kept.push(held);
            }
        }
        kept.sort_by_key(|held| held.range.start);
        self.held = kept;
        taken
    }

    /// Those that `whose` picks wait no longer. Says who.
    pub(super) fn stop_waiting(&mut self, whose: impl Fn(&Holder) -> bool) -> Vec<Waiter> {
        let (gone, queue) = self.queue.drain(..).partition(|waiter| whose(&waiter.holder));
        self.queue = queue;
        let gone: VecDeque<Waiter> = gone;
        gone.into()
    }
}
