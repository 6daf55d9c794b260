use std::collections::VecDeque;

use artifacts_core::SegmentId;
use artifacts_core::mount::{self, Effects, LeaseEnd, Note, Settled, Steps};
use artifacts_core::namespace::{Errno, Ino, Op};
use artifacts_core::protocol::{ClientFrame, FenceReason, ServerFrame};
use artifacts_core::session::{Standing, Verdict};

use crate::kernel::Kernel;
use crate::steps::{Came, Step};
use crate::world::Planted;

/// A program waits until ops up to this one are durable.
#[derive(Debug)]
pub(crate) struct Synced {
    client: usize,
    seq: u64,
}

/// A mount and its session: the machine that decides, with the kernel above it and the right to serve.
#[derive(Debug)]
pub(crate) struct Mount {
    pub(crate) standing: Standing,
    machine: mount::Mount<usize, usize, Synced>,
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
            kernel: Kernel::new(planted == Planted::KernelsThatKeepBelieving),
            next_ino: first_ino,
            last_op_ns: 0,
            is_stalled: false,
            closed: Vec::new(),
            synced: 0,
            is_rash: planted == Planted::RashMounts,
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
                    self.last_op_ns = (self.last_op_ns + 1).max(now_us as i64 * 1_000);
                    time = Some(self.last_op_ns);
                    mount::Step::Commit(Op { mutation, time: self.last_op_ns }, client)
                }
                Step::Ask(request) => mount::Step::Ask(request, client),
                Step::Durable => mount::Step::Durable(Synced { client, seq: self.machine.last_seq() }),
                Step::Close(ino) => {
                    self.machine.close(ino);
                    self.closed.push(client);
                    continue;
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
            self.machine.interrupt(Errno::EIO, now_us / 1_000);
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
            self.machine.revive(now_us / 1_000);
        }
    }

    /// The session is over.
    pub(crate) fn fenced(&mut self, now_us: u64) {
        self.standing.fence(FenceReason::LeaseLost);
        self.kernel.drop_everything();
        self.machine.interrupt(Errno::EIO, now_us / 1_000);
    }

    /// The stream is gone.
    pub(crate) fn unlink(&mut self) {
        self.machine.unlink();
    }

    /// The session has been resumed over a new stream. Answers the frames with which that begins.
    pub(crate) fn relink(&mut self, durable_seq: u64, asked_at_ms: u64, now_us: u64) -> Vec<ClientFrame> {
        let no_locks = ClientFrame::ClaimLocks { held: Vec::new(), asked: Vec::new(), waiting: Vec::new() };
        let had_lapsed = matches!(self.verdict(now_us), Verdict::Fail(_)) && !self.is_rash;
        let first = self.machine.relink(durable_seq, no_locks, had_lapsed, now_us / 1_000);
        self.proven(asked_at_ms, now_us);
        first
    }

    /// A frame has come.
    pub(crate) fn receive(&mut self, frame: ServerFrame, now_us: u64) {
        match frame {
            ServerFrame::Proof { sent_ms } => self.proven(sent_ms, now_us),
            ServerFrame::Fenced(_) => self.fenced(now_us),
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
    pub(crate) fn take_out(&mut self) -> Out {
        let mut out = Out::default();
        loop {
            let Effects { beliefs, frames, settled, uploads, alone, ends, notes, .. } = self.machine.take_effects();
            assert!(uploads.is_empty() && alone.is_empty(), "nothing is so large");
            beliefs.into_iter().for_each(|belief| self.kernel.change(belief));
            out.frames.extend(frames);
            let came = settled.into_iter().map(|settled| match settled {
                Settled::Applied(client, result) => (client, Came::Applied(result)),
                Settled::Answered(client, result) => (client, Came::Answered(result)),
                Settled::Durable(Synced { client, seq }, result) => {
                    if result.is_ok() {
                        self.synced = self.synced.max(seq);
                    }
                    (client, Came::Durable(result))
                }
            });
            out.came.extend(came);
            out.came.extend(self.closed.drain(..).map(|client| (client, Came::Closed)));
            out.lost.extend(notes.into_iter().filter(|note| !matches!(note, Note::Alone(_))).map(|note| format!("{note:?}")));
            let mut is_over = true;
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
