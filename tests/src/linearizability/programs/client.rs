use std::fs::File;
use std::path::Path;

use anyhow::{Context as _, Result};
use rustix::fs::{FlockOperation, flock};

use super::{Access, DIRS, Group, Histories, NAMES, Performer};
use crate::crash::Random;
use crate::linearizability::files::{Call, FileId, Slot, Unit};

/// How many files one client has open at the most.
const OPEN_MAX: usize = 3;

#[derive(Debug)]
struct Open {
    group: Group,
    id: FileId,
    file: File,
    access: Access,
}

/// A program that asks for one thing after the other, by chance.
#[derive(Debug)]
pub struct Client {
    performer: Performer,
    random: Random,
    written: u32,
    open: Vec<Open>,
    /// The files on which it takes locks, one for each group.
    locks: Vec<File>,
    held: Option<Group>,
}

impl Client {
    /// A client on the mount at `root`. Numbers of clients are never used twice in a run.
    ///
    /// # Errors
    /// If the files for locks are not there.
    pub fn new(number: u16, root: &Path, seed: u64) -> Result<Self> {
        let locks = Group::all().map(|group| File::open(root.join(group.lock()))).collect::<Result<_, _>>().context("lock file")?;
        let performer = Performer::new(number, root);
        Ok(Self { performer, random: Random::new(seed), written: 0, open: Vec::new(), locks, held: None })
    }

    /// From now on a call that ends with EIO may have taken effect or not.
    #[must_use]
    pub fn bearing_loss(mut self) -> Self {
        self.performer.bears_loss = true;
        self
    }

    /// When the last call that got no answer was made, if there was one since this was asked last. What the client held then,
    /// it has given up: the mount may have lost it since.
    pub fn take_loss(&mut self) -> Option<u64> {
        let lost_ns = self.performer.lost_ns.take()?;
        if let Some(group) = self.held.take() {
            self.performer.note_lost(group, Call::Unlock { lock: 0, owner: self.performer.client }, lost_ns);
            // If the mount comes back with the lock, nobody else has had it, and somebody may want it.
            let _ = flock(&self.locks[group.0], FlockOperation::Unlock);
        }
        self.open.clear();
        Some(lost_ns)
    }

    /// What had no answer has happened by this moment, or never will: the mount has answered something since that comes behind it.
    /// A lock may be held still, because nobody knows what came of giving it back, and to take it anew would convert it: flock(2) lets
    /// others in between then. So all are given back once more.
    ///
    /// # Errors
    /// When an unlock has an answer that it cannot have.
    pub fn settle_losses(&mut self, until_ns: u64) -> Result<()> {
        self.performer.settle_losses(until_ns);
        for (group, lock) in Group::all().zip(&self.locks) {
            self.performer.unlock(group, lock)?;
        }
        Ok(())
    }

    /// Asks for one thing.
    ///
    /// # Errors
    /// If that fails for a reason that the model does not know.
    pub fn step(&mut self) -> Result<()> {
        let kind = self.random.below(100);
        if kind < 8 {
            return self.lock_or_unlock();
        }
        if (self.open.is_empty() && kind < 60) || (self.open.len() < OPEN_MAX && kind < 25) {
            return self.begin();
        }
        if kind < 75 && !self.open.is_empty() {
            let index = self.random.below(self.open.len() as u64) as usize;
            return if kind > 65 { self.close(index) } else { self.use_open(index) };
        }
        self.use_names()
    }

    /// Lets go of everything, and gives what was done.
    ///
    /// # Errors
    /// As [`Client::step`].
    pub fn finish(mut self) -> Result<Histories> {
        self.rest()?;
        Ok(self.performer.done)
    }

    /// Lets go of everything.
    fn rest(&mut self) -> Result<()> {
        while !self.open.is_empty() {
            self.close(0)?;
        }
        if let Some(group) = self.held.take() {
            self.performer.unlock(group, &self.locks[group.0])?;
        }
        Ok(())
    }

    fn group(&mut self) -> Group {
        Group(self.random.below(self.locks.len() as u64) as usize)
    }

    fn slot(&mut self) -> Slot {
        Slot::new(self.random.below(u64::from(DIRS)) as u8, self.random.below(u64::from(NAMES)) as u8)
    }

    /// Units that nobody else writes.
    fn units(&mut self, most: u64) -> Vec<Unit> {
        let count = 1 + self.random.below(most);
        (0..count)
            .map(|_| {
                self.written += 1;
                (u32::from(self.performer.client) + 1) << 16 | self.written & 0xffff
            })
            .collect()
    }

    fn begin(&mut self) -> Result<()> {
        let (group, slot) = (self.group(), self.slot());
        let (opened, access) = if self.random.below(3) == 0 {
            (self.performer.create(group, slot)?, Access::ReadWrite)
        } else {
            // Many pages are read at one instant only past the kernel's cache.
            let access = match self.random.below(3) {
                0 if !group.is_wide() => Access::Read,
                1 => Access::Append,
                _ => Access::ReadWrite,
            };
            (self.performer.open(group, slot, access)?, access)
        };
        if let Some((file, id)) = opened {
            self.open.push(Open { group, id, file, access });
        }
        Ok(())
    }

    fn close(&mut self, index: usize) -> Result<()> {
        let Open { group, id, file, .. } = self.open.swap_remove(index);
        self.performer.close(group, file, id)
    }

    fn use_open(&mut self, index: usize) -> Result<()> {
        let what = self.random.below(10);
        let at = self.random.below(4) as u32;
        let units = self.units(3);
        let Open { group, id, file, access } = &self.open[index];
        let (group, id, performer) = (*group, *id, &mut self.performer);
        match access {
            _ if what == 0 => performer.length(group, file, id),
            Access::Append if what < 3 => performer.truncate(group, file, id, at),
            Access::Append => performer.append(group, file, id, units),
            Access::ReadWrite if what < 5 => performer.write(group, file, id, at, units),
            Access::ReadWrite if what == 5 => performer.truncate(group, file, id, at),
            Access::Read => performer.read_pages(group, file, id, at, units.len() as u32),
            // Most look at everything.
            _ if what < 8 => performer.read(group, file, id, 0, 60),
            _ => performer.read(group, file, id, at, units.len() as u32),
        }
    }

    fn use_names(&mut self) -> Result<()> {
        let (group, slot, other, what) = (self.group(), self.slot(), self.slot(), self.random.below(16));
        match what {
            0..3 => self.performer.lookup(group, slot),
            3..6 => self.performer.stat(group, slot),
            6..8 => self.performer.unlink(group, slot),
            8..12 if slot != other => self.performer.rename(group, slot, other, what < 11),
            _ => self.performer.list(group, slot.dir()),
        }
    }

    fn lock_or_unlock(&mut self) -> Result<()> {
        if let Some(group) = self.held.take() {
            return self.performer.unlock(group, &self.locks[group.0]);
        }
        let group = self.group();
        let shared = self.random.below(3) == 0;
        // Behind whoever waits in the queue even a lock that could be shared is not given at once.
        let wait = shared || self.random.below(2) == 0;
        if self.performer.lock(group, &self.locks[group.0], shared, wait)? {
            self.held = Some(group);
        }
        Ok(())
    }
}

/// Looks at everything once, by name.
///
/// # Errors
/// As [`Client::step`].
pub fn survey(number: u16, root: &Path) -> Result<Histories> {
    let mut performer = Performer::new(number, root);
    for group in Group::all() {
        for dir in 0..DIRS {
            performer.list(group, dir)?;
        }
        for slot in Group::slots() {
            if let Some((file, id)) = performer.open(group, slot, Access::ReadWrite)? {
                performer.length(group, &file, id)?;
                performer.read(group, &file, id, 0, 400)?;
                performer.close(group, file, id)?;
            }
        }
    }
    Ok(performer.done)
}
