//! Leases on single inodes: going without, and giving them back.

use super::in_flight::{MayChange, Settled};
use super::mount::{Committer, Mode, Mount};
use super::{Belief, LeaseEnd, Step, Steps};
use crate::leases::Lease;
use crate::namespace::{Errno, Ino, Key, Mutation, Op, Outcome, Record, View as _};
use crate::protocol::{COME_AGAIN, ClientFrame};

/// With more leases than this all are given back, to begin anew.
const HELD_MAX: usize = 100_000;

impl<O, R, D> Mount<O, R, D> {
    /// An op that the node decides, and what comes after it.
    pub(super) fn commit_at_node(&mut self, op: Op, waiter: O, rest: Steps<O, R, D>, now_ms: u64) {
        let seq = self.in_flight.outbox.next_seq();
        let may_orphan = matches!(op.mutation, Mutation::Unlink { .. } | Mutation::RemoveDir { .. } | Mutation::Rename { .. });
        let may_change = self.may_change(&op.mutation);
        let committer = Committer { seq, op: op.clone(), waiter, rest };
        match self.in_flight.commit(op, may_change, committer, now_ms) {
            Ok(seq) => {
                self.traces.numbered(seq);
                let open = if may_orphan { self.in_flight.open.tell_all() } else { Vec::new() };
                let local = self.local_mut();
                // Opening was this mount's own business where it holds leases.
                local.opened(open);
                local.asked(seq);
                self.cut(true);
                self.queue_decided(now_ms);
            }
            Err((committer, errno)) => self.settle(vec![Settled::Applied(committer, Err(errno))], now_ms),
        }
    }

    /// What an op may change: the inodes that it names, and those that names which it takes or replaces stand for.
    fn may_change(&self, mutation: &Mutation) -> MayChange {
        if matches!(mutation, Mutation::Access { .. }) {
            // Nobody takes a time of access for an answer of another call.
            return MayChange::These(Vec::new());
        }
        let mut inodes = mutation.names();
        inodes.extend(mutation.creates());
        for (parent, name) in mutation.takes() {
            let entry = self.local().replica.get(&Key::Dentry(parent, name.clone()));
            match entry {
                _ if self.in_flight.may_change(parent) => return MayChange::Any,
                Ok(Some(Record::Dentry(ino, _))) => inodes.push(ino),
                Ok(_) => {}
                Err(_) => return MayChange::Any,
            }
        }
        MayChange::These(inodes)
    }

    /// The node has decided an op, or nobody waits for that any more.
    pub(super) fn node_has_decided(&mut self, committer: Committer<O, R, D>, result: Result<Box<Outcome>, Errno>, now_ms: u64) {
        let Committer { seq, op, waiter, rest: mut steps } = committer;
        if result.as_ref().is_err_and(|errno| *errno == COME_AGAIN) {
            self.in_flight.outbox.void(seq);
            steps.steps.push_front(Step::Commit(op, waiter));
            let is_told = self.told_early.remove(&seq) || seq <= self.resent;
            match self.in_flight.interrupted() {
                None if is_told => self.run(steps, now_ms),
                None => drop(self.come_again.insert(seq, steps)),
                Some(errno) => self.refuse(steps, errno),
            }
            return;
        }
        self.out.settled.push(Settled::Applied(waiter, result));
        if !steps.steps.is_empty() {
            self.run(steps, now_ms);
        }
    }

    /// What an op met is out of its way. The node may say so before it says that it was in the way: results wait for each other.
    pub(super) fn come_again(&mut self, seq: u64, now_ms: u64) {
        match self.come_again.remove(&seq) {
            Some(steps) => self.run(steps, now_ms),
            None if self.in_flight.is_undecided(seq) => drop(self.told_early.insert(seq)),
            None => {}
        }
    }

    /// Results of ops have come, and those who waited for them have been told.
    pub(super) fn decided_at_node(&mut self, now_ms: u64) {
        if self.in_flight.has_undecided() {
            return;
        }
        self.forget_stale(now_ms);
        if self.coming.is_none() {
            self.run_held(now_ms);
        }
        self.all_sent(now_ms);
    }

    /// What ops changed whose results came over a new stream is forgotten, as soon as nothing waits to be sent that was decided on
    /// what is known.
    pub(super) fn forget_stale(&mut self, now_ms: u64) {
        if !self.is_stale || self.in_flight.has_undecided() {
            return;
        }
        self.cut(true);
        self.queue_decided(now_ms);
        if let Mode::Shared(local) = &mut self.mode {
            if !local.is_drained() {
                return;
            }
            local.replica.forget_all();
            self.forgotten.forget_all();
        }
        self.is_stale = false;
    }

    /// What waited tries again.
    pub(super) fn run_held(&mut self, now_ms: u64) {
        for steps in std::mem::take(&mut self.held) {
            self.run(steps, now_ms);
        }
    }

    /// Ops of this mount that the node has decided have changed these inodes.
    pub(super) fn changed(&mut self, inodes: &[Ino]) {
        if let Mode::Shared(local) = &mut self.mode {
            inodes.iter().for_each(|&ino| local.replica.forget(ino));
        }
    }

    /// Somebody waits for leases: everything that was decided is sent, and then they end.
    pub(super) fn recall_inodes(&mut self, leases: Vec<Lease>, keep_read: bool, now_ms: u64) {
        if !matches!(self.mode, Mode::Shared(_)) {
            return;
        }
        let lost = self.leases().map(|held| held.recall(leases, keep_read, now_ms)).unwrap_or_default();
        self.forget(lost);
        self.send_decided(now_ms);
    }

    /// All leases on single inodes end.
    pub(super) fn give_up_inodes(&mut self, now_ms: u64) {
        let Mode::Shared(local) = &mut self.mode else { return };
        let lost = local.leases().map(super::held_leases::HeldLeases::give_up_all).unwrap_or_default();
        local.replica.forget_all();
        self.forgotten.forget_all();
        self.out.beliefs.push(Belief::Revoked(lost));
        self.send_decided(now_ms);
    }

    /// Nothing of these is known and believed any more.
    fn forget(&mut self, lost: Vec<Ino>) {
        if !lost.is_empty() {
            self.changed(&lost);
            self.forgotten.forget(&lost);
            self.out.beliefs.push(Belief::Revoked(lost));
        }
    }

    /// Leases end, now that everything has been sent. Before somebody else takes the last link of what is open here, the node
    /// is told that it is.
    pub(super) fn end_inode_leases(&mut self, leaving: Vec<(Vec<Lease>, bool)>) {
        for (leases, keep_read) in leaving {
            if keep_read {
                self.say(ClientFrame::GiveBack { leases, keep_read });
                continue;
            }
            let inodes = self.in_flight.open.tell_of(leases.iter().map(|lease| lease.ino));
            if !inodes.is_empty() {
                self.say(ClientFrame::Opened { inodes });
            }
            self.out.ends.push(LeaseEnd::Inodes(leases));
        }
    }

    /// The kernel's caches of these are dropped: somebody else may change them.
    pub fn give_back(&mut self, leases: Vec<Lease>) {
        self.say(ClientFrame::GiveBack { leases, keep_read: false });
    }

    /// Now and then: where nothing is decided any more the right to is given back.
    pub(super) fn stop_idle(&mut self, now_ms: u64) {
        let Some(leases) = self.leases() else { return };
        leases.stop_idle(now_ms);
        if leases.len() > HELD_MAX {
            self.give_up_inodes(now_ms);
        }
    }

    /// The session has not been heard for a while. What this mount only believes may not be so any more when it is heard again,
    /// if the node has restarted meanwhile.
    pub fn doubt(&mut self) {
        let lost = self.leases().map(super::held_leases::HeldLeases::drop_reads).unwrap_or_default();
        self.forget(lost);
    }
}
