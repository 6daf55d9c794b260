use bytes::Bytes;

use super::{Belief, Settled, Steps, Upload};
use crate::leases::Lease;
use crate::namespace::{Errno, Mutation, Source};
use crate::protocol::{ClientFrame, Request};

/// What the shell must do. First what may be believed, then the frames, both before anything else enters the machine; then the
/// rest, in any order.
#[derive(Debug)]
pub struct Effects<O, R, D> {
    /// What may be shown to be believed, in order.
    pub beliefs: Vec<Belief>,
    /// To the node, in order.
    pub frames: Vec<ClientFrame>,
    /// Waits that have come to their end.
    pub settled: Vec<Settled<O, R, D>>,
    /// Segments to put, each until it is durable: then [`super::Mount::uploaded`].
    pub uploads: Vec<Upload>,
    /// A segment to put, and the steps that go on once it is durable ([`super::Mount::run`]).
    pub alone: Vec<(Upload, Steps<O, R, D>)>,
    /// Blocks that are durable now, with their data, for readers.
    pub written: Vec<(Source, Bytes)>,
    /// Leases that are to end.
    pub ends: Vec<LeaseEnd>,
    /// What somebody should know.
    pub notes: Vec<Note>,
}

impl<O, R, D> Default for Effects<O, R, D> {
    fn default() -> Self {
        Self {
            beliefs: Vec::new(),
            frames: Vec::new(),
            settled: Vec::new(),
            uploads: Vec::new(),
            alone: Vec::new(),
            written: Vec::new(),
            ends: Vec::new(),
            notes: Vec::new(),
        }
    }
}

/// What leases are to end: everything that was decided under them has been sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseEnd {
    /// That on the whole workspace. Once the kernel's caches are dropped, [`super::Mount::return_lease`].
    Whole,
    /// These on single inodes. Once the kernel's caches of them are dropped, [`super::Mount::give_back`].
    Inodes(Vec<Lease>),
}

/// For people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The lease of this number on the whole workspace has begun.
    Alone(u64),
    /// An op that was answered came to nothing. That is a bug, or durable ops were lost.
    Lost(Box<Mutation>, Errno),
    /// The node answers this again and again, and still something is missing. That is a bug.
    Endless(Box<Request>),
}
