use std::fmt::{self, Display};

/// Which ways a revocation can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// All three.
    AllWays,
    /// Nodes and agents are told on streams. No datagram carries it, and every proof is given as if nothing had been revoked.
    PushAlone,
    /// It is said in the ring and in cells. No stream carries it, and every proof is given.
    GossipAlone,
    /// Nodes learn of it from the feed of its owner, and give no more proofs. Nobody is told.
    ProofsAlone,
}

/// What ended access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A fence that came on a stream.
    Push,
    /// A record that came in the cell.
    Gossip,
    /// That no newer proof came in time.
    Proof,
}

impl Case {
    /// All.
    pub const ALL: [Self; 4] = [Self::AllWays, Self::PushAlone, Self::GossipAlone, Self::ProofsAlone];
    /// Those whose records are said in gossip.
    pub(super) const GOSSIPED: [Self; 2] = [Self::AllWays, Self::GossipAlone];

    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AllWays => "all ways",
            Self::PushAlone => "push alone",
            Self::GossipAlone => "gossip alone",
            Self::ProofsAlone => "proofs alone",
        }
    }

    /// Whether fences go out on streams.
    pub(super) const fn is_pushed(self) -> bool {
        matches!(self, Self::AllWays | Self::PushAlone)
    }

    /// Where it is among those that are said in gossip, if it is.
    pub(super) const fn gossiped(self) -> Option<usize> {
        match self {
            Self::AllWays => Some(0),
            Self::GossipAlone => Some(1),
            Self::PushAlone | Self::ProofsAlone => None,
        }
    }

    /// Whether nodes that know of it stop giving proofs.
    pub(super) const fn ends_proofs(self) -> bool {
        matches!(self, Self::AllWays | Self::ProofsAlone)
    }
}

impl Way {
    /// All.
    pub const ALL: [Self; 3] = [Self::Push, Self::Gossip, Self::Proof];

    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Gossip => "gossip",
            Self::Proof => "no proof",
        }
    }
}

impl Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
