use artifacts_core::namespace::{Context, Ino, Limits};
use artifacts_core::protocol::ServerFrame;
use artifacts_core::session::{Inbox, InodeRanges};
use artifacts_core::ticket::Mode;

use super::message::Outbound;

/// An attached session, as its workspace knows it.
pub(super) struct Member {
    pub(super) mode: Mode,
    pub(super) root: Ino,
    pub(super) inodes: InodeRanges,
    pub(super) inbox: Inbox,
    /// The last op that is durable, as the mount has been told.
    pub(super) durable: u64,
    /// How far it had come when the flush under way began.
    pub(super) flushing: u64,
    /// While it sends ops again: inodes that lost their last link by them. What it does with them may be among what is
    /// still to come, and what it has open it says at the end.
    pub(super) resending: Option<Vec<Ino>>,
    /// It was away while others were served: what it held others may have been given.
    pub(super) is_outlived: bool,
    /// It is being fenced: nothing of it is accepted any more.
    pub(super) is_refused: bool,
    outbound: Outbound,
}

impl Member {
    pub(super) fn new(mode: Mode, root: Ino, inodes: InodeRanges, inbox: Inbox, outbound: Outbound) -> Self {
        let durable = inbox.applied();
        Self { mode, root, inodes, inbox, durable, flushing: durable, resending: None, is_outlived: false, is_refused: false, outbound }
    }

    /// The session has a new connection.
    pub(super) fn reconnect(&mut self, outbound: Outbound) {
        self.outbound = outbound;
    }

    /// Where its frames go.
    pub(super) fn outbound(&self) -> &Outbound {
        &self.outbound
    }

    /// Sends a frame; if the connection is gone the mount asks again over its next one.
    pub(super) fn send(&self, frame: ServerFrame) {
        let _ = self.outbound.send(frame);
    }

    pub(super) fn context(&self, limits: &Limits) -> Context {
        Context { scope: self.root, limits: limits.clone() }
    }
}
