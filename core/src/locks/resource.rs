use serde::{Deserialize, Serialize};

use crate::name::LockName;
use crate::namespace::Ino;

/// What is locked. Each is a space of its own: `flock` and `fcntl` on one file do not see each other, as on Linux.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Resource {
    /// A file, as flock(2) locks it.
    Flock(Ino),
    /// The bytes of a file, as fcntl(2) locks them.
    Range(Ino),
    /// A name.
    Named(LockName),
}
