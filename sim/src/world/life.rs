use crate::linearizability::Operation;
use crate::linearizability::files::{Answer, Call};

use crate::clock::Clock;
use crate::kernel::Moment;
use crate::link::Link;
use crate::mount::Mount;
use crate::program::{Program, Running};

/// One mount, from its hello to its end.
pub(super) struct Life {
    /// On which its session stands.
    pub(super) grant: usize,
    pub(super) clock: Clock,
    /// The node that it goes to.
    pub(super) target: usize,
    pub(super) mount: Option<Mount>,
    pub(super) link: Link,
    /// The node that has attached it, and the connection.
    pub(super) attached: Option<(usize, u64)>,
    /// When its node was heard last, by its clock.
    pub(super) heard_us: u64,
    pub(super) hello_ms: u64,
    pub(super) frozen_until_us: u64,
    /// When the last of the leases has ended that are to end.
    pub(super) ends_at_us: u64,
    pub(super) is_dead: bool,
    pub(super) is_sealed: bool,
    pub(super) sealed_us: Option<u64>,
    pub(super) has_been_revoked: bool,
    /// Its mount takes it to be over, and the store does not know that yet.
    pub(super) runs_out: bool,
    /// When it had not been heard for its lease, for the first time in this segment.
    pub(super) lapsed_us: Option<u64>,
    /// What its mount has answered, in order: the record, and the time of the op that it made.
    pub(super) answered: Vec<(usize, Option<i64>)>,
    /// Answers that may not be given while the mount stalls.
    pub(super) held: Vec<(usize, Option<Answer>)>,
}

impl Life {
    pub(super) fn new(grant: usize, clock: Clock, target: usize) -> Self {
        Self {
            grant,
            clock,
            target,
            mount: None,
            link: Link::default(),
            attached: None,
            heard_us: 0,
            hello_ms: 0,
            frozen_until_us: 0,
            ends_at_us: 0,
            is_dead: false,
            is_sealed: false,
            sealed_us: None,
            has_been_revoked: false,
            runs_out: false,
            lapsed_us: None,
            answered: Vec::new(),
            held: Vec::new(),
        }
    }

    /// Whether its session is over because access was revoked, as its node knows.
    pub(super) const fn is_revoked(&self) -> bool {
        self.is_sealed && self.has_been_revoked
    }

    /// Whether it is over and knows it, or goes on and has nothing left to do.
    pub(super) fn is_at_rest(&self) -> bool {
        match &self.mount {
            Some(mount) if self.is_sealed => mount.standing.fenced().is_some(),
            Some(mount) => !self.is_dead && mount.is_at_rest(),
            None => self.is_sealed,
        }
    }
}

/// A program in a segment.
pub(super) struct Client {
    pub(super) life: usize,
    pub(super) program: Program,
    pub(super) calls_left: usize,
    pub(super) is_over: bool,
    pub(super) running: Option<Running>,
    /// When its call began, as its kernel counts.
    pub(super) moment: Moment,
    /// Where its call is recorded; `None` for one that changes and shows nothing.
    pub(super) record: Option<usize>,
}

pub(super) struct Recorded {
    pub(super) group: u8,
    pub(super) life: usize,
    pub(super) op: Operation<Call, Answer>,
    /// The time of the op that it made.
    pub(super) op_time: Option<i64>,
    /// It never was: its mount died with it.
    pub(super) is_lost: bool,
}
