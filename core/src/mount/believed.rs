use crate::hashing::HashMap;
use crate::namespace::Ino;

/// A change of what may be shown to be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Belief {
    /// Leases on these inodes have been got; one that was there already stays.
    Got(Vec<Ino>),
    /// An inode was made here, so nobody else has ever changed it.
    Made(Ino),
    /// The lease on everything has been got, and whatever was held before is part of it.
    Everything,
    /// Nothing more is shown to be believed of these.
    Revoked(Vec<Ino>),
    /// Nothing more is shown to be believed.
    Nothing,
}

/// On what leases are held, and since when, to know what may be shown to be believed.
///
/// Something that was found in the course of a call may be believed if this mount has held leases on all inodes that it says
/// something of since before the call began, and holds them when it is shown: then nobody else has changed them in between.
///
/// Times are those of a counter of the caller's, which grows with each change.
#[derive(Debug, Default)]
pub struct Believed {
    /// When the lease on everything was got.
    everything: Option<u64>,
    /// When those on single inodes were got.
    inodes: HashMap<Ino, u64>,
}

impl Believed {
    /// Takes in a change, which comes at this time.
    pub fn change(&mut self, belief: Belief, now: u64) {
        match belief {
            Belief::Got(inodes) => {
                for ino in inodes {
                    self.inodes.entry(ino).or_insert(now);
                }
            }
            Belief::Made(ino) => drop(self.inodes.insert(ino, 0)),
            Belief::Everything => *self = Self { everything: Some(now), inodes: HashMap::default() },
            Belief::Revoked(inodes) => {
                for ino in inodes {
                    self.inodes.remove(&ino);
                }
            }
            Belief::Nothing => *self = Self::default(),
        }
    }

    /// Whether that may be believed which a call that began at `stamp` has found about these inodes.
    pub fn may_show(&self, stamp: u64, inodes: &[Ino]) -> bool {
        inodes.iter().all(|&ino| self.since(ino).is_some_and(|since| since < stamp))
    }

    /// Whether nobody else can have changed anything since a call began at `stamp`.
    pub fn has_everything(&self, stamp: u64) -> bool {
        self.everything.is_some_and(|since| since < stamp)
    }

    fn since(&self, ino: Ino) -> Option<u64> {
        match (self.everything, self.inodes.get(&ino).copied()) {
            (Some(everything), Some(inode)) => Some(everything.min(inode)),
            (everything, inode) => everything.or(inode),
        }
    }
}
