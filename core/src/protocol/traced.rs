use serde::{Deserialize, Serialize};

use crate::trace::TraceContext;

/// Which calls of programs the next frame serves, of those that are traced. A mount says so only to a node that has asked for it
/// ([`super::Welcome::wants_traces`]); nothing else depends on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traced {
    /// The span of the next frame's own way over the stream.
    pub carrier: Option<TraceContext>,
    /// By the number of the op or the question that the next frame holds, or of the op that it wants durable: the call's span.
    pub calls: Vec<(u64, TraceContext)>,
}

impl Traced {
    /// So many calls are looked at of one frame: as many as ops travel together.
    pub const CALLS_MAX: usize = 512;
}
