use artifacts_core::SessionId;
use artifacts_core::mount::LeaseEnd;
use artifacts_core::protocol::{ClientFrame, FenceReason, ServerFrame};
use artifacts_core::revocation::{News, Position, SignedRevocation};

use super::fault::Fault;
use crate::node::Durable;
use crate::ring::{HOSTS, Word};
use crate::store::Part;

/// Something that happens at its time.
#[derive(Debug)]
pub(super) enum Event {
    /// A program goes on.
    Act(usize),
    Beat(usize),
    /// A node looks at its clock.
    Tick {
        host: usize,
        host_life: u64,
    },
    /// A node's process starts.
    Start(usize),
    Gossip {
        to: usize,
        words: [Word; HOSTS],
        records: Vec<SignedRevocation>,
    },
    ToNode {
        life: usize,
        connection: u64,
        host: usize,
        frame: ClientFrame,
    },
    ToMount {
        life: usize,
        connection: u64,
        host: usize,
        frame: ServerFrame,
    },
    Hello {
        life: usize,
        connection: u64,
    },
    /// Whether a hello has been answered by now.
    HelloLate {
        life: usize,
        connection: u64,
    },
    Attach {
        life: usize,
        connection: u64,
        host: usize,
        resumes: bool,
    },
    Welcomed {
        life: usize,
        connection: u64,
        host: usize,
        durable_seq: u64,
    },
    Refused {
        life: usize,
        connection: u64,
        host: usize,
        reason: FenceReason,
    },
    /// The node does not serve the workspace; perhaps it knows who does.
    Elsewhere {
        life: usize,
        connection: u64,
        host: usize,
        owner: Option<usize>,
    },
    /// The kernel forgets what it believed under leases that are to end.
    LeaseEnds {
        life: usize,
        end: LeaseEnd,
    },
    /// The node that should have a shard asks who has it to let go.
    Yield {
        to: usize,
        part: Part,
    },
    /// A question reaches the object store.
    StoreOpens {
        host: usize,
        host_life: u64,
        part: Part,
        asked_ms: u64,
    },
    Opened {
        host: usize,
        host_life: u64,
        part: Part,
        asked_ms: u64,
        epoch: u64,
        had_let_go: bool,
    },
    StoreLooks {
        host: usize,
        host_life: u64,
        owned: Option<(Part, u64)>,
        asked_ms: u64,
    },
    Looked {
        host: usize,
        host_life: u64,
        owned: Option<(Part, u64)>,
        asked_ms: u64,
        is_owner: bool,
    },
    StoreFlushes {
        host: usize,
        unit: u64,
        number: u64,
        epoch: u64,
        durable: Box<Durable>,
        goes: Write,
    },
    Flushed {
        host: usize,
        unit: u64,
        number: u64,
        durable: Option<Box<Durable>>,
        is_owner: bool,
    },
    RecallExpired {
        host: usize,
        unit: u64,
        epoch: u64,
    },
    EndSession(usize),
    Broken {
        life: usize,
        connection: u64,
        for_us: u64,
    },
    Fault(Fault),
    /// The platform's backend revokes a grant, or asks again.
    Revoke(usize),
    RecordStored {
        host: usize,
        unit: u64,
        record: Box<SignedRevocation>,
    },
    Push {
        from: usize,
        to: usize,
        unit: u64,
        record: Box<SignedRevocation>,
    },
    Pushed {
        host: usize,
        by: usize,
        unit: u64,
        grant: usize,
    },
    AsksNews {
        from: usize,
        to: usize,
        asked_ms: u64,
        position: Position,
    },
    News {
        host: usize,
        news: Box<News>,
        asked_ms: u64,
    },
}

/// What becomes of a write to the object store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Write {
    Goes,
    Fails,
    /// It counts, and the answer is lost.
    Unanswered,
}

impl Event {
    /// The mount whose process it waits for.
    pub(super) const fn life(&self) -> Option<usize> {
        match self {
            Self::Beat(life)
            | Self::ToMount { life, .. }
            | Self::Hello { life, .. }
            | Self::HelloLate { life, .. }
            | Self::Welcomed { life, .. }
            | Self::Refused { life, .. }
            | Self::Elsewhere { life, .. }
            | Self::LeaseEnds { life, .. } => Some(*life),
            _ => None,
        }
    }

    /// The node whose process it waits for.
    pub(super) const fn host(&self) -> Option<usize> {
        match self {
            Self::Tick { host, .. }
            | Self::Gossip { to: host, .. }
            | Self::ToNode { host, .. }
            | Self::Attach { host, .. }
            | Self::Yield { to: host, .. }
            | Self::Opened { host, .. }
            | Self::Looked { host, .. }
            | Self::Flushed { host, .. }
            | Self::RecallExpired { host, .. }
            | Self::RecordStored { host, .. }
            | Self::Push { to: host, .. }
            | Self::Pushed { host, .. }
            | Self::AsksNews { to: host, .. }
            | Self::News { host, .. } => Some(*host),
            _ => None,
        }
    }

    /// The way that something takes over a stream, which keeps what it carries while the way is cut.
    pub(super) const fn way(&self) -> Option<(End, End)> {
        match self {
            Self::ToNode { life, host, .. } | Self::Attach { life, host, .. } => Some((End::Mount(*life), End::Host(*host))),
            Self::ToMount { life, host, .. }
            | Self::Welcomed { life, host, .. }
            | Self::Refused { life, host, .. }
            | Self::Elsewhere { life, host, .. } => Some((End::Host(*host), End::Mount(*life))),
            _ => None,
        }
    }

    /// What happens, for people; nothing of what happens all the time.
    pub(super) fn tell(&self) -> Option<String> {
        Some(match self {
            Self::Act(_) | Self::Beat(_) | Self::Tick { .. } | Self::Gossip { .. } | Self::HelloLate { .. } => return None,
            Self::StoreLooks { .. } | Self::AsksNews { .. } | Self::News { .. } | Self::Revoke(_) | Self::Looked { is_owner: true, .. } => {
                return None;
            }
            Self::Looked { owned: None, .. } => return None,
            Self::ToNode { frame: ClientFrame::Heartbeat { .. }, .. } | Self::ToMount { frame: ServerFrame::Proof { .. }, .. } => {
                return None;
            }
            Self::Start(host) => format!("node {host} starts"),
            Self::ToNode { life, host, frame, .. } => format!("node {host} gets from mount {life}: {frame:?}"),
            Self::ToMount { life, host, frame, .. } => format!("mount {life} gets from node {host}: {frame:?}"),
            Self::Hello { life, .. } => format!("mount {life} opens a stream"),
            Self::Attach { life, host, resumes, .. } => {
                format!("mount {life} says hello to node {host}{}", if *resumes { " to resume its session" } else { "" })
            }
            Self::Welcomed { life, host, durable_seq, .. } => {
                format!("node {host} welcomes mount {life}, of which {durable_seq} ops are durable")
            }
            Self::Refused { life, host, reason, .. } => format!("node {host} refuses mount {life}: {}", reason.text()),
            Self::Elsewhere { life, host, owner, .. } => match owner {
                Some(owner) => format!("node {host} sends mount {life} to node {owner}"),
                None => format!("node {host} does not serve mount {life}"),
            },
            Self::LeaseEnds { life, end } => format!("the kernel of mount {life} has forgotten what it believed under {end:?}"),
            Self::Yield { to, part } => format!("node {to} is asked to let go of the {}", part.name()),
            Self::StoreOpens { host, part, .. } => format!("the store lets node {host} open the {}", part.name()),
            Self::Opened { host, part, epoch, had_let_go, .. } => {
                let how = if *had_let_go { "which its owner had let go of" } else { "and fenced its owner" };
                format!("node {host} has opened the {} (epoch {epoch}), {how}", part.name())
            }
            Self::Looked { host, owned, .. } => {
                let part = owned.map_or("store", |(part, _)| part.name());
                format!("node {host} learns that the {part} is another's")
            }
            Self::StoreFlushes { host, epoch, goes, .. } => match goes {
                Write::Goes => format!("a flush of node {host} (epoch {epoch}) reaches the store"),
                Write::Fails => format!("a flush of node {host} (epoch {epoch}) fails"),
                Write::Unanswered => format!("a flush of node {host} (epoch {epoch}) reaches the store, whose answer is lost"),
            },
            Self::Flushed { host, durable, .. } if durable.is_some() => format!("node {host} knows its flush to be durable"),
            Self::Flushed { host, .. } => format!("node {host} knows that its flush failed"),
            Self::RecallExpired { .. } => return None,
            Self::EndSession(life) => format!("the session of mount {life}, which is gone, is to end"),
            Self::Broken { life, .. } => format!("the stream of mount {life} breaks"),
            Self::Fault(fault) => fault.to_string(),
            Self::RecordStored { host, record, .. } => format!("node {host} has stored the record {:?}", record.record.target),
            Self::Push { from, to, .. } => format!("node {to} is told by node {from} what was revoked"),
            Self::Pushed { host, by, .. } => format!("node {host} hears that node {by} has enforced it"),
        })
    }
}

/// One end of a way through the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    Host(usize),
    Mount(usize),
    Store,
}

/// Sessions are numbered as the lives of mounts are.
pub(super) const fn session_of(life: usize) -> SessionId {
    SessionId::from_bits(life as u128 + 1)
}
