//! The lease on the whole workspace: when it begins, and how it ends.

use super::held_leases::HeldLeases;
use super::local::{Local, Tenure};
use super::mount::{Mode, Mount};
use super::{Belief, LeaseEnd, Note};
use crate::namespace::Limits;
use crate::protocol::ClientFrame;

impl<O, R, D> Mount<O, R, D> {
    /// From now on this mount takes leases, on the whole workspace and on single inodes.
    pub fn take_leases(&mut self) {
        self.takes_leases = true;
        if let Mode::Shared(local) = &mut self.mode {
            local.tenure = Tenure::Inodes(HeldLeases::to_be_asked_for());
        }
        self.say(ClientFrame::WantLease);
    }

    /// The lease on the whole workspace, while this mount decides under it.
    pub fn whole_lease(&self) -> Option<u64> {
        if let Mode::Local(local) = &self.mode { local.epoch() } else { None }
    }

    /// The node has granted the lease. It begins once what was decided under leases on single inodes has been sent.
    pub(super) fn granted(&mut self, epoch: u64, limits: Limits, now_ms: u64) {
        if matches!(self.mode, Mode::Shared(_)) && self.returning.is_none() && self.takes_leases {
            self.coming = Some((epoch, limits));
            self.send_decided(now_ms);
        }
    }

    /// Somebody waits for the end of this lease.
    pub(super) fn recall(&mut self, epoch: u64, now_ms: u64) {
        let Self { mode, coming, returning, .. } = self;
        let is_held = match mode {
            Mode::Local(local) => local.epoch() == Some(epoch),
            Mode::Draining(_) => false,
            Mode::Shared(local) if coming.take_if(|coming| coming.0 == epoch).is_some() => {
                // The node has taken the leases on single inodes for it, so all that is known goes with it.
                local.tenure = Tenure::Whole(epoch);
                if let Mode::Shared(local) = std::mem::replace(mode, Mode::shared()) {
                    *mode = Mode::Local(local);
                }
                true
            }
            Mode::Shared(_) => {
                if returning.is_none() {
                    // Whatever the node believes, nothing is decided here.
                    self.say(ClientFrame::ReturnLease);
                }
                false
            }
        };
        if is_held {
            self.recalled(now_ms);
        }
    }

    /// The lease is to end: everything is sent, and then the node decides again.
    pub(super) fn recalled(&mut self, now_ms: u64) {
        if !matches!(self.mode, Mode::Local(_)) {
            return;
        }
        self.out.beliefs.push(Belief::Nothing);
        if let Mode::Local(local) = std::mem::replace(&mut self.mode, Mode::shared()) {
            self.mode = Mode::Draining(local);
        }
        self.send_decided(now_ms);
    }

    /// Perhaps everything that was decided has been sent: then leases end that are to end, and that on the whole workspace
    /// begins if it is to begin.
    pub(super) fn all_sent(&mut self, now_ms: u64) {
        if !self.local().is_drained() {
            return;
        }
        self.forget_stale(now_ms);
        match &mut self.mode {
            Mode::Local(_) => return,
            Mode::Draining(local) => {
                self.returning = local.epoch();
                self.mode = Mode::shared();
                let inodes = self.in_flight.open.tell_all();
                if !inodes.is_empty() {
                    self.say(ClientFrame::Opened { inodes });
                }
                self.out.ends.push(LeaseEnd::Whole);
            }
            Mode::Shared(local) => {
                let leaving = local.leases().map(HeldLeases::take_leaving).unwrap_or_default();
                let begins = self.coming.is_some() && !self.in_flight.has_undecided();
                if leaving.is_empty() && !begins && self.held.is_empty() {
                    return;
                }
                self.end_inode_leases(leaving);
                if begins && let Some((epoch, limits)) = self.coming.take() {
                    self.in_flight.outbox.saw(epoch);
                    self.forgotten.forget_all();
                    self.mode = Mode::Local(Box::new(Local::whole(epoch, limits)));
                    self.out.beliefs.push(Belief::Everything);
                    self.out.notes.push(Note::Alone(epoch));
                }
            }
        }
        self.run_held(now_ms);
    }

    /// The kernel's caches are dropped: somebody else may change the workspace.
    pub fn return_lease(&mut self) {
        if self.returning.take().is_some() {
            self.say(ClientFrame::ReturnLease);
            self.say(ClientFrame::WantLease);
        }
    }
}
