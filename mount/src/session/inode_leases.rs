//! Leases on single inodes: asking for them, going without, and giving them back.

use std::sync::Arc;

use artifacts_core::leases::{Kind, Lease};
use artifacts_core::namespace::{Errno, Ino, Mutation, Op};
use artifacts_core::protocol::{Answer, COME_AGAIN, ClientFrame, Request};

use super::batch::{OpDone, Ready, Step, Steps};
use super::local::Local;
use super::mount_session::{LeaseEnd, Mode, MountSession, Shared};
use super::open_counts::OpenCounts;
use super::steps::Done;

/// Nothing needs so many fetches that ends at all.
const FETCHES_MAX: u32 = 100_000;
/// With more leases than this all are given back, to begin anew.
const HELD_MAX: usize = 100_000;

impl MountSession {
    /// Asks for what the replica lacks, or for leases; then the steps go on.
    pub(super) fn learn(self: &Arc<Self>, shared: &mut Shared, mut steps: Steps, request: Request, now_ms: u64, done: &mut Done) {
        steps.fetches += 1;
        if steps.fetches > FETCHES_MAX {
            tracing::error!(?request, "the node answers, and still something is missing");
            done.ready.extend(steps.steps.into_iter().map(|step| step.refused(Errno::EIO)));
            return;
        }
        let epoch = shared.local().epoch();
        let session = Arc::clone(self);
        let asked = request.clone();
        let answered = Box::new(move |result| session.learnt(epoch, &asked, result, steps));
        match shared.in_flight.ask(request, answered, now_ms) {
            Ok(frame) => done.frames.push(frame),
            Err((waiter, errno)) => done.ready.push(Ready::Answered(waiter, Err(errno))),
        }
    }

    fn learnt(self: &Arc<Self>, epoch: Option<u64>, asked: &Request, result: Result<Answer, Errno>, steps: Steps) {
        let now_ms = self.clock.boot_ms();
        let refused = {
            let mut shared = self.shared.lock();
            // Who decides may have changed: then the answer is of no use, and whoever decides now answers.
            let is_current = shared.local().epoch() == epoch;
            match (&mut shared.mode, result) {
                (Mode::Local(local), Ok(Answer::Records(records))) => {
                    if let (true, Request::Fetch(fetch)) = (is_current, asked) {
                        local.replica.learn(fetch, records);
                    }
                    None
                }
                (Mode::Shared(local), Ok(answer @ (Answer::Learnt { .. } | Answer::Leases(_)))) => {
                    if is_current {
                        self.leased(local, asked, answer, now_ms);
                    }
                    None
                }
                (Mode::Shared(local), Err(Errno::EPERM)) if is_current => {
                    denied_for_good(local, asked);
                    None
                }
                (_, Ok(Answer::Records(_) | Answer::Learnt { .. } | Answer::Leases(_))) => None,
                (_, Err(Errno::EPERM)) if !is_current => None,
                (Mode::Shared(_) | Mode::Draining(_), Err(Errno::EPERM)) => None,
                (_, Err(errno)) => Some(errno),
                (_, Ok(_)) => Some(Errno::EIO),
            }
        };
        match refused {
            None => self.run(steps),
            Some(errno) => steps.steps.into_iter().for_each(|step| step.refused(errno).run()),
        }
    }

    /// Leases have come, with records or without; or not.
    fn leased(&self, local: &mut Local, asked: &Request, answer: Answer, now_ms: u64) {
        let (granted, records) = match answer {
            Answer::Learnt { leases, records } => (leases, Some(records)),
            Answer::Leases(leases) => (leases, None),
            _ => return,
        };
        let wanted = match asked {
            Request::Learn { fetch, .. } => fetch.owner().into_iter().collect(),
            Request::Acquire { inodes } => inodes.clone(),
            _ => Vec::new(),
        };
        let Some(leases) = local.leases() else { return };
        leases.got(&granted, now_ms);
        let is_granted = |ino: &Ino| granted.iter().any(|lease| lease.ino == *ino);
        let missed: Vec<Ino> = wanted.into_iter().filter(|ino| !is_granted(ino)).collect();
        missed.iter().for_each(|&ino| leases.deny(ino, now_ms));
        self.beliefs.got(granted.iter().map(|lease| lease.ino));
        if let (Request::Learn { fetch, .. }, Some(records), true) = (asked, records, missed.is_empty()) {
            local.replica.learn(fetch, records);
        }
    }

    /// An op that the node decides, and what comes after it.
    pub(super) fn commit_at_node(
        self: &Arc<Self>,
        shared: &mut Shared,
        op: Op,
        waiter: OpDone,
        steps: Steps,
        now_ms: u64,
        done: &mut Done,
    ) {
        let seq = shared.in_flight.outbox.next_seq();
        let (session, again) = (Arc::clone(self), op.clone());
        let decided = Box::new(move |result| session.node_has_decided(seq, again, waiter, steps, result));
        let may_orphan = matches!(op.mutation, Mutation::Unlink { .. } | Mutation::RemoveDir { .. } | Mutation::Rename { .. });
        match shared.in_flight.commit(op, decided, now_ms) {
            Ok(seq) => {
                let Shared { mode, in_flight, .. } = &mut *shared;
                let (Mode::Shared(local) | Mode::Local(local) | Mode::Draining(local)) = mode;
                if may_orphan {
                    // Opening was this mount's own business where it holds leases.
                    local.opened(in_flight.open.tell_all());
                }
                local.asked(seq);
                done.uploads.extend(shared.cut(true));
                let frames = shared.decided(self.clock.boot_ms());
                done.frames.extend(frames);
            }
            Err((waiter, errno)) => done.ready.push(Ready::Applied(waiter, Err(errno))),
        }
    }

    fn node_has_decided(
        self: &Arc<Self>,
        seq: u64,
        op: Op,
        waiter: OpDone,
        mut steps: Steps,
        result: Result<Box<artifacts_core::namespace::Outcome>, Errno>,
    ) {
        if result.as_ref().is_err_and(|errno| *errno == COME_AGAIN) {
            let mut shared = self.shared.lock();
            shared.in_flight.outbox.void(seq);
            steps.steps.push_front(Step::Commit(op, waiter));
            match shared.in_flight.interrupted() {
                None => drop(shared.come_again.insert(seq, steps)),
                Some(errno) => {
                    drop(shared);
                    steps.steps.into_iter().for_each(|step| step.refused(errno).run());
                }
            }
            return;
        }
        waiter(result);
        if !steps.steps.is_empty() {
            self.run(steps);
        }
    }

    /// What an op met is out of its way.
    pub(super) fn come_again(self: &Arc<Self>, seq: u64) {
        let steps = self.shared.lock().come_again.remove(&seq);
        if let Some(steps) = steps {
            self.run(steps);
        }
    }

    /// Results of ops have come.
    pub(super) fn decided_at_node(self: &Arc<Self>, ready: &mut Vec<Ready>) {
        std::mem::take(ready).into_iter().for_each(Ready::run);
        let held = {
            let mut shared = self.shared.lock();
            if shared.in_flight.has_undecided() {
                return;
            }
            if std::mem::take(&mut shared.is_stale)
                && let Mode::Shared(local) = &mut shared.mode
            {
                local.replica.forget_all();
            }
            if shared.coming.is_some() { Default::default() } else { std::mem::take(&mut shared.held) }
        };
        held.into_iter().for_each(|steps| self.run(steps));
        self.all_sent();
    }

    /// Ops of this mount that the node has decided have changed these inodes.
    pub(super) fn changed(&self, inodes: &[Ino]) {
        if let Mode::Shared(local) = &mut self.shared.lock().mode {
            inodes.iter().for_each(|&ino| local.replica.forget(ino));
        }
    }

    /// Somebody waits for leases: everything that was decided is sent, and then they end.
    pub(super) fn recall_inodes(self: &Arc<Self>, leases: Vec<Lease>, keep_read: bool) {
        {
            let mut shared = self.shared.lock();
            let Mode::Shared(local) = &mut shared.mode else { return };
            let now_ms = self.clock.boot_ms();
            let lost = local.leases().map(|held| held.recall(leases, keep_read, now_ms)).unwrap_or_default();
            lost.iter().for_each(|&ino| local.replica.forget(ino));
            self.beliefs.revoke(lost);
        }
        self.send_decided();
    }

    /// All leases on single inodes end.
    pub(super) fn give_up_inodes(self: &Arc<Self>) {
        {
            let mut shared = self.shared.lock();
            let Mode::Shared(local) = &mut shared.mode else { return };
            let lost = local.leases().map(super::held_leases::HeldLeases::give_up_all).unwrap_or_default();
            local.replica.forget_all();
            self.beliefs.revoke(lost);
        }
        self.send_decided();
    }

    /// Leases end, now that everything has been sent. Before somebody else takes the last link of what is open here, the node
    /// is told that it is.
    pub(super) fn end_inode_leases(
        &self,
        leaving: Vec<(Vec<Lease>, bool)>,
        open: &mut OpenCounts,
        frames: &mut Vec<ClientFrame>,
        ends: &mut Vec<LeaseEnd>,
    ) {
        for (leases, keep_read) in leaving {
            if keep_read {
                frames.push(ClientFrame::GiveBack { leases, keep_read });
                continue;
            }
            let inodes = open.tell_of(leases.iter().map(|lease| lease.ino));
            if !inodes.is_empty() {
                frames.push(ClientFrame::Opened { inodes });
            }
            ends.push(LeaseEnd::Inodes(leases));
        }
    }

    /// The kernel's caches of these are dropped: somebody else may change them.
    pub(crate) fn give_back(&self, leases: Vec<Lease>) {
        self.send_frame(&ClientFrame::GiveBack { leases, keep_read: false });
    }

    /// Now and then: where nothing is decided any more the right to is given back.
    pub(super) fn stop_idle(self: &Arc<Self>) {
        let has_too_many = {
            let mut shared = self.shared.lock();
            let Mode::Shared(local) = &mut shared.mode else { return };
            let now_ms = self.clock.boot_ms();
            let Some(leases) = local.leases() else { return };
            leases.stop_idle(now_ms);
            leases.len() > HELD_MAX
        };
        if has_too_many {
            self.give_up_inodes();
        }
    }

    /// The session has not been heard for a while. What this mount only believes may not be so any more when it is heard again,
    /// if the node has restarted meanwhile.
    pub(crate) fn doubt(&self) {
        let mut shared = self.shared.lock();
        let Mode::Shared(local) = &mut shared.mode else { return };
        let lost = local.leases().map(super::held_leases::HeldLeases::drop_reads).unwrap_or_default();
        lost.iter().for_each(|&ino| local.replica.forget(ino));
        self.beliefs.revoke(lost);
    }
}

/// The node gives this session no such lease, now or ever.
fn denied_for_good(local: &mut Local, asked: &Request) {
    let Some(leases) = local.leases() else { return };
    if !matches!(asked, Request::Learn { kind: Kind::Read, .. }) {
        leases.may_decide = false;
    } else {
        leases.may_believe = false;
    }
}
