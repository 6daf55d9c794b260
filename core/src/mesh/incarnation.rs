use std::fmt;

use serde::{Deserialize, Serialize};

/// One life of a member: from a start to the end, or to the next time it joins anew.
///
/// The generation grows from life to life. The salt is 16 random bytes: two lives never share one, even if a member
/// lost its disk and its clock went back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation {
    /// Which life of this member it is.
    pub generation: u64,
    /// What tells it from all others.
    pub salt: [u8; 16],
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:08x}", self.generation, u128::from_be_bytes(self.salt) >> 96)
    }
}
