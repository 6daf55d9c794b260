use std::collections::VecDeque;

use artifacts_core::SegmentId;
use artifacts_core::locks::FileLock;
use artifacts_core::mount::{self, Effects, LeaseEnd, Locks, Note, Settled, Steps};
use artifacts_core::namespace::{Errno, Ino, Op};
use artifacts_core::protocol::{Answer, ClientFrame, FenceReason, Request, ServerFrame};
use artifacts_core::session::{Standing, Verdict};

use crate::Planted;
use crate::kernel::Kernel;
use crate::steps::{Came, Step};

/// A program waits until ops up to this one are durable.
#[derive(Debug)]
pub(crate) struct Synced {
    client: usize,
    seq: u64,
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Asker {
    Program(usize),
    /// A program, for a lock.
    Lock(u64, FileLock),
    Unlock(usize),
    Nobody,
}

/// A mount and its session: the machine that decides, with the kernel above it and the right to serve.
#[derive(Debug)]
pub(crate) struct Mount {
    pub(crate) standing: Standing,
    machine: mount::Mount<usize, Asker, Synced>,
    locks: Locks<usize>,
    /// What locks have come to.
    locked: Vec<(usize, Result<(), Errno>)>,
    /// How far its clock for people was set forward.
    pub(crate) stepped_us: u64,
    pub(crate) kernel: Kernel,
    next_ino: u64,
    /// The time of the last op: no two have the same.
    last_op_ns: i64,
    is_stalled: bool,
    closed: Vec<usize>,
    /// Everything up to here was said to be durable.
    pub(crate) synced: u64,
    /// It answers whether or not its session stands: a fault that must be found.
    pub(crate) is_rash: bool,
}

/// What comes of something.
#[derive(Debug, Default)]
pub(crate) struct Out {
    /// To the node.
    pub(crate) frames: Vec<ClientFrame>,
    /// To programs.
    pub(crate) came: Vec<(usize, Came)>,
    /// Leases that end once the kernel has forgotten what it believed under them.
    pub(crate) ends: Vec<LeaseEnd>,
    /// An op that was answered has come to nothing.
    pub(crate) lost: Vec<String>,
}

impl Mount {
    pub(crate) fn new(standing: Standing, first_ino: u64, planted: Planted) -> Self {
        // Nothing here is so large that it needs a segment.
        let mut machine = mount::Mount::new(|| SegmentId::from_bits(0));
        machine.take_leases();
        Self {
            standing,
            machine,
            locks: Locks::default(),
            locked: Vec::new(),
            stepped_us: 0,
            kernel: Kernel::new(planted == Planted::KernelsThatKeepBelieving),
            next_ino: first_ino,
            last_op_ns: 0,
            is_stalled: false,
            closed: Vec::new(),
            synced: 0,
            is_rash: planted == Planted::ServeWithoutProof,
        }
    }

    pub(crate) fn take_ino(&mut self) -> Ino {
        self.next_ino += 1;
        Ino(self.next_ino - 1)
    }

    /// Whether everything that was done is durable, and nothing is on its way to being so.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.machine.is_at_rest()
    }

    pub(crate) fn last_seq(&self) -> u64 {
        self.machine.last_seq()
    }

    /// The times of ops behind `applied` that this mount has decided.
    pub(crate) fn decided_behind(&self, applied: u64) -> Vec<i64> {
        let unsaved = self.machine.unsaved();
        unsaved.into_iter().filter(|op| op.seq > applied && self.machine.is_decided(op.seq)).map(|op| op.op.time).collect()
    }

    /// Does several things one after the other for a program. Answers the time of the op among them.
    pub(crate) fn run(&mut self, client: usize, steps: VecDeque<Step>, now_us: u64) -> Option<i64> {
        let mut time = None;
        let mut todo = VecDeque::new();
        for step in steps {
            todo.push_back(match step {
                Step::Commit(mutation) => {
                    self.last_op_ns = (self.last_op_ns + 1).max((now_us + self.stepped_us) as i64 * 1_000);
                    time = Some(self.last_op_ns);
                    mount::Step::Commit(Op { mutation, time: self.last_op_ns }, client)
                }
                Step::Ask(request) => mount::Step::Ask(request, Asker::Program(client)),
                Step::Durable => mount::Step::Durable(Synced { client, seq: self.machine.last_seq() }),
                Step::Close(ino) => {
                    self.machine.close(ino);
                    self.closed.push(client);
                    continue;
                }
                Step::Lock { lock, wait } => {
                    let id = self.locks.begin(now_us + self.stepped_us, lock, wait.then_some(0), client);
                    mount::Step::Ask(Request::Lock { id, lock, wait }, Asker::Lock(id, lock))
                }
                Step::Unlock(FileLock { ino, owner, space, .. }) => {
                    self.locks.held.released(ino, owner, space);
                    mount::Step::Ask(Request::Unlock { ino, owner, space }, Asker::Unlock(client))
                }
            });
        }
        self.machine.run(Steps::from(todo), now_us / 1_000);
        time
    }

    /// Whether calls may be served. If not, nothing is believed any more.
    pub(crate) fn verdict(&mut self, now_us: u64) -> Verdict {
        let verdict = self.standing.verdict(now_us / 1_000);
        let is_stalled = !matches!(verdict, Verdict::Serve { .. }) && !self.is_rash;
        if is_stalled && !self.is_stalled {
            self.machine.doubt();
            self.kernel.drop_everything();
        }
        self.is_stalled = is_stalled;
        verdict
    }

    /// The heartbeat.
    pub(crate) fn beat(&mut self, now_us: u64) {
        if matches!(self.verdict(now_us), Verdict::Fail(_)) && !self.is_rash {
            self.interrupt(now_us);
        }
        self.machine.beat(now_us / 1_000);
    }

    /// Leaves in good order.
    pub(crate) fn say_goodbye(&mut self) {
        self.machine.say(ClientFrame::Goodbye);
    }

    fn proven(&mut self, asked_at_ms: u64, now_us: u64) {
        self.standing.prove(asked_at_ms);
        if self.standing.fenced().is_none() {
            let was_interrupted = self.machine.interrupted().is_some();
            self.machine.revive(now_us / 1_000);
            if was_interrupted {
                // What was let go of meanwhile the node has not been told.
                let locks = self.locks.claims();
                self.machine.say(locks);
            }
        }
    }

    fn interrupt(&mut self, now_us: u64) {
        self.machine.interrupt(Errno::EIO, now_us / 1_000);
        self.locked.extend(self.locks.interrupt(Errno::EIO));
    }

    /// A question for a lock was answered.
    fn lock_answered(&mut self, id: u64, lock: FileLock, result: Result<Answer, Errno>, now_us: u64) {
        let answer = result.and_then(|answer| if let Answer::Lock(answer) = answer { Ok(answer) } else { Err(Errno::EIO) });
        let Some((client, result)) = self.locks.answered(id, answer) else { return };
        if result == Err(Errno::EIO) {
            // Not known to be refused: whatever the node makes of it, nobody waits for it.
            let FileLock { ino, owner, space, .. } = lock;
            let asks = [Request::CancelLock { id }, Request::Unlock { ino, owner, space }];
            self.locks.held.released(ino, owner, space);
            let steps: VecDeque<_> = asks.into_iter().map(|request| mount::Step::Ask(request, Asker::Nobody)).collect();
            self.machine.run(Steps::from(steps), now_us / 1_000);
        }
        self.locked.push((client, result));
    }

    /// The session is over.
    pub(crate) fn fenced(&mut self, reason: FenceReason, now_us: u64) {
        self.standing.fence(reason);
        self.kernel.drop_everything();
        self.interrupt(now_us);
    }

    /// The stream is gone.
    pub(crate) fn unlink(&mut self) {
        self.machine.unlink();
    }

    /// The session has been resumed over a new stream. Answers the frames with which that begins.
    pub(crate) fn relink(&mut self, durable_seq: u64, asked_at_ms: u64, now_us: u64) -> Vec<ClientFrame> {
        let had_lapsed = matches!(self.verdict(now_us), Verdict::Fail(_)) && !self.is_rash;
        let first = self.machine.relink(durable_seq, self.locks.claims(), had_lapsed, now_us / 1_000);
        self.proven(asked_at_ms, now_us);
        first
    }

    /// A frame has come.
    pub(crate) fn receive(&mut self, frame: ServerFrame, now_us: u64) {
        match frame {
            ServerFrame::Proof { sent_ms } => self.proven(sent_ms, now_us),
            ServerFrame::Fenced(reason) => self.fenced(reason, now_us),
            ServerFrame::LockSettled { id, result } => self.locked.extend(self.locks.settled(id, result)),
            frame => self.machine.receive(frame, now_us / 1_000),
        }
    }

    /// The kernel forgets what it believed under these leases, and they go back.
    pub(crate) fn end_lease(&mut self, end: LeaseEnd) {
        match end {
            LeaseEnd::Whole => {
                self.kernel.drop_everything();
                self.machine.return_lease();
            }
            LeaseEnd::Inodes(leases) => {
                self.kernel.drop_inodes(&leases);
                self.machine.give_back(leases);
            }
        }
    }

    /// What has come of all that.
    pub(crate) fn take_out(&mut self, now_us: u64) -> Out {
        let mut out = Out::default();
        loop {
            let Effects { beliefs, frames, settled, ends, notes, .. } = self.machine.take_effects();
            beliefs.into_iter().for_each(|belief| self.kernel.change(belief));
            out.frames.extend(frames);
            let mut is_over = true;
            for settled in settled {
                out.came.push(match settled {
                    Settled::Applied(client, result) => (client, Came::Applied(result)),
                    Settled::Answered(Asker::Program(client), result) => (client, Came::Answered(result)),
                    Settled::Answered(Asker::Lock(id, lock), result) => {
                        self.lock_answered(id, lock, result, now_us);
                        is_over = false;
                        continue;
                    }
                    Settled::Answered(Asker::Unlock(client), result) => (client, Came::Locked(result.map(drop))),
                    Settled::Answered(Asker::Nobody, _) => continue,
                    Settled::Durable(Synced { client, seq }, result) => {
                        if result.is_ok() {
                            self.synced = self.synced.max(seq);
                        }
                        (client, Came::Durable(result))
                    }
                });
            }
            out.came.extend(self.locked.drain(..).map(|(client, result)| (client, Came::Locked(result))));
            out.came.extend(self.closed.drain(..).map(|client| (client, Came::Closed)));
            out.lost.extend(notes.into_iter().filter(|note| !matches!(note, Note::Alone(_))).map(|note| format!("{note:?}")));
            for end in ends {
                match end {
                    LeaseEnd::Inodes(leases) if !self.kernel.knows_any(&leases) => {
                        self.machine.give_back(leases);
                        is_over = false;
                    }
                    end => out.ends.push(end),
                }
            }
            if is_over {
                return out;
            }
        }
    }
}
