use std::fmt::{self, Display};
use std::str::FromStr;

use crate::node::Faults;

/// A fault in the simulated product that has to be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// None.
    Nothing,
    /// A session that is over goes on: what it held is given to others, and what it sends is taken.
    SkipFencing,
    /// Who takes a workspace over waits neither for the owner before nor for the sessions on record.
    SkipGrace,
    /// Nodes take records of revocation without looking at the signature.
    AcceptUnsigned,
    /// Mounts answer without knowing that their session stands.
    ServeWithoutProof,
    /// The lock of a mount that was silent is given to another, and the mount may come back.
    ForgetLockFence,
    /// A node says that ops are durable when it begins to write them.
    AckBeforeDurable,
    /// Kernels go on believing what they know of an inode when the lease on it is given back.
    KernelsThatKeepBelieving,
    /// The node grants the right to decide while others believe.
    NodeThatForgetsReaders,
}

impl Planted {
    /// All faults.
    pub const ALL: [Self; 8] = [
        Self::SkipFencing,
        Self::SkipGrace,
        Self::AcceptUnsigned,
        Self::ServeWithoutProof,
        Self::ForgetLockFence,
        Self::AckBeforeDurable,
        Self::KernelsThatKeepBelieving,
        Self::NodeThatForgetsReaders,
    ];

    /// What it is called on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::SkipFencing => "skip-fencing",
            Self::SkipGrace => "skip-grace",
            Self::AcceptUnsigned => "accept-unsigned",
            Self::ServeWithoutProof => "serve-without-proof",
            Self::ForgetLockFence => "forget-lock-fence",
            Self::AckBeforeDurable => "ack-before-durable",
            Self::KernelsThatKeepBelieving => "keep-believing",
            Self::NodeThatForgetsReaders => "forget-readers",
        }
    }

    /// What a node does wrong.
    pub(crate) fn of_node(self) -> Faults {
        Faults {
            forgets_readers: self == Self::NodeThatForgetsReaders,
            skips_fence: self == Self::SkipFencing,
            forgets_lock_fence: self == Self::ForgetLockFence,
            acks_before_durable: self == Self::AckBeforeDurable,
            skips_grace: self == Self::SkipGrace,
        }
    }
}

impl Display for Planted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no fault of this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownFault(String);

impl Display for UnknownFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Planted::ALL.iter().map(|planted| planted.name()).collect();
        write!(f, "there is no fault `{}` to plant; there are {}", self.0, names.join(", "))
    }
}

impl std::error::Error for UnknownFault {}

impl FromStr for Planted {
    type Err = UnknownFault;

    fn from_str(name: &str) -> Result<Self, UnknownFault> {
        Self::ALL.into_iter().find(|planted| planted.name() == name).ok_or_else(|| UnknownFault(name.to_owned()))
    }
}
