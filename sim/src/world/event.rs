use artifacts_core::mount::LeaseEnd;
use artifacts_core::protocol::{ClientFrame, ServerFrame};

use crate::node::Durable;

/// Something that happens at its time.
#[derive(Debug)]
pub(super) enum Event {
    /// A program goes on.
    Act(usize),
    Beat(usize),
    NodeTick,
    ToNode {
        life: usize,
        connection: u64,
        frame: ClientFrame,
    },
    ToMount {
        life: usize,
        connection: u64,
        frame: ServerFrame,
    },
    Hello {
        life: usize,
        connection: u64,
    },
    Attach {
        life: usize,
        connection: u64,
    },
    Welcomed {
        life: usize,
        connection: u64,
        durable_seq: u64,
    },
    Refused {
        life: usize,
        connection: u64,
    },
    /// The kernel forgets what it believed under leases that are to end.
    LeaseEnds {
        life: usize,
        end: LeaseEnd,
    },
    Flushed {
        node_life: u64,
        durable: Box<Durable>,
    },
    RecallExpired {
        node_life: u64,
        epoch: u64,
    },
    EndSession(usize),
    Broken {
        life: usize,
        connection: u64,
        for_us: u64,
    },
    Fault(Fault),
}

/// What goes wrong.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    Break { life: usize, for_us: u64 },
    Freeze { life: usize, for_us: u64 },
    Kill { life: usize },
    NodeCrash,
}
