use std::sync::{Arc, Weak};

use artifacts_core::SegmentId;
use artifacts_core::trace::TraceContext;
use artifacts_trace::within;
use bytes::Bytes;
use tokio::runtime::Handle;

use super::{BlockId, Blocks};
use crate::gate::Gate;
use crate::session::Uploader;
use crate::time::pause;

/// How long a put that failed for good waits before it is begun anew.
const PAUSE_MS: u64 = 500;

/// Puts the segments of a mount that decides by itself. What was decided must not vanish, so a put is tried until it
/// works or the session is over.
#[derive(Debug)]
pub(crate) struct SegmentUploader {
    blocks: Weak<Blocks>,
    gate: Arc<Gate>,
    work: Handle,
}

impl SegmentUploader {
    /// Puts through `blocks`, in tasks of `work`, while `gate` may open again.
    pub(crate) fn new(blocks: &Arc<Blocks>, gate: Arc<Gate>, work: Handle) -> Self {
        Self { blocks: Arc::downgrade(blocks), gate, work }
    }
}

impl Uploader for SegmentUploader {
    fn upload(&self, segment: SegmentId, data: Bytes, call: Option<TraceContext>, done: Box<dyn FnOnce() + Send>) {
        let (blocks, gate) = (Weak::clone(&self.blocks), Arc::clone(&self.gate));
        let put = async move {
            while let Some(blocks) = blocks.upgrade() {
                match blocks.store_segment(segment, data.clone()).await {
                    Ok(()) => return done(),
                    Err(_) if gate.fenced().is_some() => return,
                    Err(errno) => tracing::error!(%segment, %errno, "data that was written cannot be stored yet"),
                }
                drop(blocks);
                pause(PAUSE_MS).await;
            }
        };
        self.work.spawn(within(call, put));
    }

    fn keep(&self, kept: Vec<(BlockId, Bytes)>) {
        if let Some(blocks) = self.blocks.upgrade() {
            for (id, bytes) in kept {
                blocks.keep(id, &bytes);
            }
        }
    }
}
