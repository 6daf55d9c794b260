use std::fmt::{self, Display};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A stream breaks.
    Break {
        life: usize,
        for_us: u64,
    },
    /// A mount's process stands still, or its machine is suspended: its clock goes on.
    Freeze {
        life: usize,
        for_us: u64,
    },
    /// Whoever holds a lock stands still.
    FreezeHolder {
        for_us: u64,
    },
    Kill {
        life: usize,
    },
    /// A mount's machine sets its clock for people forward.
    Step {
        life: usize,
        by_us: u64,
    },
    /// A node's process dies and starts again.
    Crash {
        host: usize,
        for_us: u64,
    },
    /// A node's process stops in good order and starts again.
    Stop {
        host: usize,
        for_us: u64,
    },
    FreezeHost {
        host: usize,
        for_us: u64,
    },
    /// Nothing passes between a node and the other nodes, in one direction or both.
    CutHost {
        host: usize,
        from: bool,
        to: bool,
        for_us: u64,
    },
    /// Nothing passes between a node and anybody.
    Isolate {
        host: usize,
        for_us: u64,
    },
    /// Nothing passes between two nodes.
    CutPair {
        one: usize,
        other: usize,
        for_us: u64,
    },
    /// Nothing passes from a mount to a node, from the node to the mount, or both.
    CutMount {
        life: usize,
        host: usize,
        from: bool,
        to: bool,
        for_us: u64,
    },
    /// A node does not reach the object store.
    CutStore {
        host: usize,
        for_us: u64,
    },
    /// The object store is slow, and fails at times.
    Store {
        slow_us: u64,
        fails_percent: u64,
        for_us: u64,
    },
    /// Datagrams between nodes are lost, and late.
    Weather {
        loss_percent: u64,
        late_us: u64,
        for_us: u64,
    },
    /// The grant of a mount is revoked.
    Revoke {
        grant: usize,
    },
    /// Somebody who has no key to sign with sends a record that takes a grant.
    Forge {
        host: usize,
        grant: usize,
    },
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |us: u64| us as f64 / 1e3;
        let way = |from: bool, to: bool| match (from, to) {
            (true, true) => "in both directions",
            (true, false) => "from it",
            _ => "to it",
        };
        match *self {
            Self::Break { life, for_us } => write!(f, "FAULT: the stream of mount {life} breaks for {:.1} ms", ms(for_us)),
            Self::Freeze { life, for_us } => write!(f, "FAULT: mount {life} stands still for {:.1} ms", ms(for_us)),
            Self::FreezeHolder { for_us } => write!(f, "FAULT: a mount that holds a lock stands still for {:.1} ms", ms(for_us)),
            Self::Kill { life } => write!(f, "FAULT: mount {life} is killed"),
            Self::Step { life, by_us } => write!(f, "FAULT: the wall clock of mount {life} steps by {:.1} ms", ms(by_us)),
            Self::Crash { host, for_us } => write!(f, "FAULT: node {host} crashes, to start again in {:.1} ms", ms(for_us)),
            Self::Stop { host, for_us } => write!(f, "FAULT: node {host} is stopped, to start again in {:.1} ms", ms(for_us)),
            Self::FreezeHost { host, for_us } => write!(f, "FAULT: node {host} stands still for {:.1} ms", ms(for_us)),
            Self::CutHost { host, from, to, for_us } => {
                write!(f, "FAULT: nothing passes between node {host} and the other nodes, {}, for {:.1} ms", way(from, to), ms(for_us))
            }
            Self::Isolate { host, for_us } => write!(f, "FAULT: node {host} is cut off from everybody for {:.1} ms", ms(for_us)),
            Self::CutPair { one, other, for_us } => {
                write!(f, "FAULT: nothing passes between nodes {one} and {other} for {:.1} ms", ms(for_us))
            }
            Self::CutMount { life, host, from, to, for_us } => {
                write!(f, "FAULT: nothing passes between mount {life} and node {host}, {}, for {:.1} ms", way(from, to), ms(for_us))
            }
            Self::CutStore { host, for_us } => write!(f, "FAULT: node {host} does not reach the object store for {:.1} ms", ms(for_us)),
            Self::Store { slow_us, fails_percent, for_us } => {
                write!(
                    f,
                    "FAULT: the object store takes up to {:.1} ms and fails {fails_percent} % of writes, for {:.1} ms",
                    ms(slow_us),
                    ms(for_us)
                )
            }
            Self::Weather { loss_percent, late_us, for_us } => {
                write!(
                    f,
                    "FAULT: {loss_percent} % of datagrams are lost and the others up to {:.1} ms late, for {:.1} ms",
                    ms(late_us),
                    ms(for_us)
                )
            }
            Self::Revoke { grant } => write!(f, "grant {grant} is to be revoked"),
            Self::Forge { host, grant } => write!(f, "FAULT: a forged record against grant {grant} is sent to node {host}"),
        }
    }
}
