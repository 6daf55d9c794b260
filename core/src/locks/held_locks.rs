use std::collections::BTreeMap;

use super::{FileLock, LockSpace};
use crate::namespace::Ino;

/// The locks of the processes of one mount, as the mount knows them: what it claims over a new stream, and whether
/// closing a file has anything to let go of.
///
/// What may be held (asked for, and not known to be refused) counts for closing and not for claiming.
#[derive(Debug, Default)]
pub struct HeldLocks {
    owners: BTreeMap<(Ino, u64), Owned>,
}

/// What one owner has of one file.
#[derive(Debug, Default)]
struct Owned {
    flock: Option<FileLock>,
    /// Disjoint.
    ranges: Vec<FileLock>,
    may_have_flock: bool,
    may_have_ranges: bool,
}

impl HeldLocks {
    /// A lock is about to be asked for.
    pub fn asked(&mut self, lock: &FileLock) {
        let owned = self.owners.entry((lock.ino, lock.owner)).or_default();
        match lock.space {
            LockSpace::Flock => owned.may_have_flock = true,
            LockSpace::Range(_) => owned.may_have_ranges = true,
        }
    }

    /// A lock is held. What its owner had of the same before becomes this.
    pub fn granted(&mut self, lock: FileLock) {
        self.asked(&lock);
        self.lost(lock.ino, lock.owner, lock.space);
        let Some(owned) = self.owners.get_mut(&(lock.ino, lock.owner)) else { return };
        let LockSpace::Range(mut range) = lock.space else {
            owned.flock = Some(lock);
            return;
        };
        owned.ranges.retain(|held| {
            let joins = held.mode == lock.mode && held.space.range().touches(range);
            if joins {
                range = range.union(held.space.range());
            }
            !joins
        });
        owned.ranges.push(FileLock { space: LockSpace::Range(range), ..lock });
    }

    /// An owner has nothing of this any more, but may be about to get it.
    pub fn lost(&mut self, ino: Ino, owner: u64, space: LockSpace) {
        let Some(owned) = self.owners.get_mut(&(ino, owner)) else { return };
        let LockSpace::Range(range) = space else {
            owned.flock = None;
            return;
        };
        let held = std::mem::take(&mut owned.ranges);
        owned.ranges = held
            .into_iter()
            .flat_map(|lock| {
                let rest = lock.space.range().minus(range);
                rest.into_iter().map(move |rest| FileLock { space: LockSpace::Range(rest), ..lock })
            })
            .collect();
    }

    /// An owner lets go of this.
    pub fn released(&mut self, ino: Ino, owner: u64, space: LockSpace) {
        self.lost(ino, owner, space);
        let Some(owned) = self.owners.get_mut(&(ino, owner)) else { return };
        match space {
            LockSpace::Flock => owned.may_have_flock = false,
            LockSpace::WHOLE => owned.may_have_ranges = false,
            LockSpace::Range(_) => {}
        }
        if !owned.may_have_flock && !owned.may_have_ranges {
            self.owners.remove(&(ino, owner));
        }
    }

    /// What an owner may have of a file: a lock of flock(2), and locks of fcntl(2).
    pub fn may_have(&self, ino: Ino, owner: u64) -> (bool, bool) {
        self.owners.get(&(ino, owner)).map_or((false, false), |owned| (owned.may_have_flock, owned.may_have_ranges))
    }

    /// Everything that is held.
    pub fn all(&self) -> impl Iterator<Item = FileLock> {
        self.owners.values().flat_map(|owned| owned.flock.into_iter().chain(owned.ranges.iter().copied()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locks::{ByteRange, Mode};

    const INO: Ino = Ino(7);

    fn lock(space: LockSpace, mode: Mode) -> FileLock {
        FileLock { ino: INO, space, mode, owner: 1, pid: 10 }
    }

    fn bytes(start: u64, end: u64) -> LockSpace {
        LockSpace::Range(ByteRange { start, end })
    }

    fn held(locks: &HeldLocks) -> Vec<(LockSpace, Mode)> {
        let mut held: Vec<_> = locks.all().map(|lock| (lock.space, lock.mode)).collect();
        held.sort_by_key(|&(space, _)| space);
        held
    }

    #[test]
    fn ranges_split_and_join_as_fcntl_has_it() {
        let mut locks = HeldLocks::default();
        locks.granted(lock(bytes(0, 9), Mode::Shared));
        locks.granted(lock(bytes(4, 5), Mode::Exclusive));
        assert_eq!(held(&locks), [(bytes(0, 3), Mode::Shared), (bytes(4, 5), Mode::Exclusive), (bytes(6, 9), Mode::Shared)]);
        locks.granted(lock(bytes(4, 5), Mode::Shared));
        assert_eq!(held(&locks), [(bytes(0, 9), Mode::Shared)]);
        locks.released(INO, 1, bytes(3, 3));
        assert_eq!(held(&locks), [(bytes(0, 2), Mode::Shared), (bytes(4, 9), Mode::Shared)]);
        locks.released(INO, 1, LockSpace::WHOLE);
        assert_eq!((held(&locks), locks.may_have(INO, 1)), (vec![], (false, false)));
    }

    #[test]
    fn what_was_asked_for_may_be_held_until_all_is_let_go() {
        let mut locks = HeldLocks::default();
        locks.asked(&lock(bytes(0, 9), Mode::Shared));
        locks.granted(lock(LockSpace::Flock, Mode::Shared));
        assert_eq!((held(&locks).len(), locks.may_have(INO, 1)), (1, (true, true)));
        locks.released(INO, 1, bytes(0, 9));
        assert_eq!(locks.may_have(INO, 1), (true, true), "other ranges may have been asked for");
        locks.released(INO, 1, LockSpace::WHOLE);
        assert_eq!(locks.may_have(INO, 1), (true, false));
        locks.lost(INO, 1, LockSpace::Flock);
        assert_eq!((held(&locks), locks.may_have(INO, 1)), (vec![], (true, false)), "a conversion waits");
        locks.released(INO, 1, LockSpace::Flock);
        assert_eq!(locks.may_have(INO, 2), (false, false));
        assert_eq!(locks.may_have(INO, 1), (false, false));
    }
}
