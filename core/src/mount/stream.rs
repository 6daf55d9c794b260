//! What the node says, and streams that break and are resumed.

use super::Note;
use super::mount::{Claims, Mode, Mount};
use super::questions::Asker;
use crate::namespace::{Errno, Limits};
use crate::protocol::{Answer, ClientFrame, Request, ServerFrame};

impl<O, R, D> Mount<O, R, D> {
    /// The stream is gone.
    pub fn unlink(&mut self) {
        self.linked = false;
        self.out.frames.clear();
    }

    /// The session has been resumed over a new stream, on which it holds or asks for these locks. Everything up to `durable` is
    /// durable. Answers the frames with which the stream begins, before all that come later.
    ///
    /// A session that `had_lapsed` is welcome all the same, but if the node has restarted meanwhile it does not know what this
    /// mount holds, and may have served others. So nothing is served here before the node has gone along with what is claimed.
    pub fn relink(&mut self, durable: u64, locks: ClientFrame, had_lapsed: bool, now_ms: u64) -> Vec<ClientFrame> {
        if had_lapsed {
            self.doubt();
            self.claims = Claims::Doubted;
        }
        let mut settled = Vec::new();
        self.in_flight.durable(durable, &mut settled);
        let frames = self.resume(locks);
        self.traces.relinked();
        self.linked = true;
        self.is_stale = self.in_flight.has_undecided();
        self.settle(settled, now_ms);
        self.resent = self.in_flight.last_sent();
        self.told_early.clear();
        self.ask_for_claims(now_ms);
        for steps in std::mem::take(&mut self.come_again).into_values() {
            self.run(steps, now_ms);
        }
        frames
    }

    /// Asks something that the node answers only if it has taken the claims.
    pub(super) fn ask_for_claims(&mut self, now_ms: u64) {
        if self.claims != Claims::Doubted || self.in_flight.interrupted().is_some() {
            return;
        }
        self.claims = Claims::Asked;
        self.ask_node(Request::Acquire { inodes: Vec::new() }, Asker::Claims, now_ms);
    }

    pub(super) fn claims_answered(&mut self, result: &Result<Answer, Errno>, now_ms: u64) {
        // The node says no such thing: the wait was ended here.
        if *result == Err(Errno::EIO) {
            self.claims = Claims::Doubted;
            return;
        }
        self.claims = Claims::Taken;
        self.run_held(now_ms);
    }

    /// What a new stream of this session begins with.
    fn resume(&mut self, locks: ClientFrame) -> Vec<ClientFrame> {
        let mut frames = Vec::new();
        let Self { mode, in_flight, .. } = self;
        let (Mode::Shared(local) | Mode::Local(local) | Mode::Draining(local)) = mode;
        local.reopened(|ino| in_flight.open.is_open(ino));
        let (held, closing) = match &mut self.mode {
            Mode::Local(local) | Mode::Draining(local) => (local.epoch(), local.closing()),
            Mode::Shared(local) => {
                let leases = local.leases().map(|leases| leases.claims()).unwrap_or_default();
                frames.push(ClientFrame::ClaimLeases { leases });
                (self.returning, local.closing())
            }
        };
        self.coming = None;
        frames.extend(self.in_flight.resume(held, &closing, locks));
        if held.is_none() && self.takes_leases {
            frames.push(ClientFrame::WantLease);
        }
        frames
    }

    /// A frame has come. Proofs, fences and what is about locks are the shell's.
    pub fn receive(&mut self, frame: ServerFrame, now_ms: u64) {
        let mut settled = Vec::new();
        match frame {
            ServerFrame::Reply { id, result } => {
                self.in_flight.answered(id, result, &mut settled);
                self.settle(settled, now_ms);
            }
            ServerFrame::Applied(results) => {
                let lost = self.in_flight.applied(results, &mut settled);
                if !lost.is_empty() {
                    self.out.notes.extend(lost.into_iter().map(|(op, errno)| Note::Lost(Box::new(op.mutation), errno)));
                    // What this mount believes of the workspace is not so: it begins anew.
                    self.recalled(now_ms);
                    self.give_up_inodes(now_ms);
                }
                self.settle(settled, now_ms);
                self.decided_at_node(now_ms);
            }
            ServerFrame::Durable { seq } => {
                self.in_flight.durable(seq, &mut settled);
                self.settle(settled, now_ms);
            }
            ServerFrame::Lease { epoch, bytes, inodes } => {
                self.granted(epoch, Limits { bytes, inodes, exceeded: Errno::EDQUOT }, now_ms);
            }
            ServerFrame::Recall { epoch } => self.recall(epoch, now_ms),
            ServerFrame::RecallLeases { leases, keep_read } => self.recall_inodes(leases, keep_read, now_ms),
            ServerFrame::Changed { inodes } => self.changed(&inodes),
            ServerFrame::ComeAgain { seq } => self.come_again(seq, now_ms),
            ServerFrame::Proof { .. } | ServerFrame::Fenced(_) | ServerFrame::Closing | ServerFrame::LockSettled { .. } => {}
        }
    }

    /// The heartbeat: sends what was decided, reports closed inodes, asks for a proof.
    pub fn beat(&mut self, now_ms: u64) {
        self.ask_for_claims(now_ms);
        self.stop_idle(now_ms);
        self.send_decided(now_ms);
        if self.linked && self.in_flight.open.closed_len() > 0 {
            let inodes = self.in_flight.open.take_closed();
            self.say(ClientFrame::Closed { inodes });
        }
        self.say(ClientFrame::Heartbeat { sent_ms: now_ms });
    }
}
