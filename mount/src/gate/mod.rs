//! The door that every call passes twice: when it comes from the kernel, and when its answer goes back.
//!
//! It is closed unless a proof of standing says otherwise ([`Standing`]), so whatever fails, fails closed:
//! - while the proof is fresh, a call passes with one reading of the clock and one of an atomic;
//! - without a fresh proof calls and answers are held, until a proof comes or the lease is over;
//! - once the session is fenced, no success passes any more. Answers go out under the read lock that closing the
//!   gate takes for writing, so after [`Gate::close`] has returned none is still on its way. Calls are then held
//!   while the kernel's caches are dropped, and fail together in [`Gate::fail`]: no call succeeds after the first
//!   that failed.
//!
//! Some calls cannot be held until all of that is done: those for which the kernel holds page locks, because dropping
//! pages waits for these ([`Holds::Pages`]). They fail once names and attributes are dropped ([`Gate::fail_pages`]),
//! which waits for nobody; from then on every other call comes here too, also one that could be answered from pages.

mod health;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use artifacts_core::namespace::Errno;
use artifacts_core::protocol::FenceReason;
use artifacts_core::session::{Standing, Verdict};
use parking_lot::{Mutex, RwLock};

use crate::time::SharedClock;

/// What the kernel holds until a call is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    /// Nothing that dropping caches needs.
    Nothing,
    /// Locks of pages, or the right to write pages back.
    Pages,
}

/// A call or an answer that waits.
struct Held {
    holds: Holds,
    /// An answer goes out under the lock, a call does not.
    is_answer: bool,
    run: Box<dyn FnOnce(Result<(), Errno>) + Send>,
}

/// See the module.
pub(crate) struct Gate {
    clock: SharedClock,
    /// Everything passes before this instant. 0 when every call must look closer.
    serve_until_ms: AtomicU64,
    judgement: RwLock<Judgement>,
    held: Mutex<Vec<Held>>,
    any_held: AtomicBool,
}

#[derive(Debug)]
struct Judgement {
    standing: Standing,
    /// Which calls fail after a fence.
    failing: Failing,
}

/// How far a fence has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failing {
    /// All calls are held.
    None,
    /// Those that hold pages fail.
    Pages,
    /// All fail.
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    Pass,
    Hold,
    Fail(Errno),
}

impl Judgement {
    fn decide(&self, now_ms: u64, holds: Holds) -> Decision {
        if let Some(reason) = self.standing.fenced() {
            let fails = match self.failing {
                Failing::None => false,
                Failing::Pages => holds == Holds::Pages,
                Failing::All => true,
            };
            return if fails { Decision::Fail(reason.errno()) } else { Decision::Hold };
        }
        match self.standing.verdict(now_ms) {
            Verdict::Serve { .. } => Decision::Pass,
            Verdict::Stall { .. } => Decision::Hold,
            // Expiry is a fence that the watchdog is about to carry out.
            Verdict::Fail(errno) if errno == FenceReason::Expired.errno() => Decision::Hold,
            Verdict::Fail(errno) => Decision::Fail(errno),
        }
    }

    fn serve_until_ms(&self, now_ms: u64) -> u64 {
        match self.standing.verdict(now_ms) {
            Verdict::Serve { until_ms } => until_ms,
            _ => 0,
        }
    }
}

/// What the watchdog finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watch {
    /// The proof is fresh.
    Serving {
        /// When to look again.
        until_ms: u64,
    },
    /// Calls are held.
    Stalled {
        /// When to look again.
        until_ms: u64,
    },
    /// The lease is over, and a proof may still come.
    Lapsed,
    /// The credential has run out, and the fence is due.
    Expired,
    /// Fenced; nothing more to watch.
    Over,
}

impl Gate {
    /// A gate under this standing.
    pub(crate) fn new(clock: SharedClock, standing: Standing) -> Self {
        let judgement = Judgement { standing, failing: Failing::None };
        let serve_until_ms = AtomicU64::new(judgement.serve_until_ms(clock.boot_ms()));
        Self { clock, serve_until_ms, judgement: RwLock::new(judgement), held: Mutex::default(), any_held: AtomicBool::new(false) }
    }

    /// Lets a call in: `call` runs now, later, or with the errno it is to fail with.
    pub(crate) fn enter(&self, holds: Holds, call: impl FnOnce(Result<(), Errno>) + Send + 'static) {
        match self.decide(holds) {
            Decision::Pass => call(Ok(())),
            Decision::Fail(errno) => call(Err(errno)),
            Decision::Hold => self.hold(Held { holds, is_answer: false, run: Box::new(call) }),
        }
    }

    /// Lets an answer out: `answer` runs now, later, or with the errno it must give instead. It may not come back
    /// to the gate.
    pub(crate) fn leave(&self, holds: Holds, answer: impl FnOnce(Result<(), Errno>) + Send + 'static) {
        let judgement = self.judgement.read();
        match self.decide_under(&judgement, holds) {
            Decision::Pass => answer(Ok(())),
            Decision::Fail(errno) => answer(Err(errno)),
            Decision::Hold => {
                drop(judgement);
                self.hold(Held { holds, is_answer: true, run: Box::new(answer) });
            }
        }
    }

    fn decide(&self, holds: Holds) -> Decision {
        let now_ms = self.clock.boot_ms();
        if now_ms < self.serve_until_ms.load(Ordering::Acquire) { Decision::Pass } else { self.judgement.read().decide(now_ms, holds) }
    }

    fn decide_under(&self, judgement: &Judgement, holds: Holds) -> Decision {
        let now_ms = self.clock.boot_ms();
        if now_ms < self.serve_until_ms.load(Ordering::Acquire) { Decision::Pass } else { judgement.decide(now_ms, holds) }
    }

    fn hold(&self, held: Held) {
        let mut queue = self.held.lock();
        // Whatever changes the judgement looks into the queue afterwards: either it finds this one or this one
        // finds the change.
        self.any_held.store(true, Ordering::SeqCst);
        if self.decide(held.holds) == Decision::Hold {
            queue.push(held);
        } else {
            drop(queue);
            self.pass(held);
        }
    }

    fn pass(&self, held: Held) {
        if held.is_answer { self.leave(held.holds, held.run) } else { self.enter(held.holds, held.run) }
    }

    /// Sends on whatever need not be held any more.
    fn release(&self) {
        if !self.any_held.load(Ordering::SeqCst) {
            return;
        }
        let mut queue = self.held.lock();
        let (stays, goes): (Vec<_>, Vec<_>) =
            std::mem::take(&mut *queue).into_iter().partition(|held| self.decide(held.holds) == Decision::Hold);
        self.any_held.store(!stays.is_empty(), Ordering::SeqCst);
        *queue = stays;
        drop(queue);
        for held in goes {
            self.pass(held);
        }
    }

    fn change(&self, change: impl FnOnce(&mut Judgement)) {
        let mut judgement = self.judgement.write();
        change(&mut judgement);
        let serve_until_ms = judgement.serve_until_ms(self.clock.boot_ms());
        self.serve_until_ms.store(serve_until_ms, Ordering::Release);
        drop(judgement);
        self.release();
    }

    /// A proof has come for which the mount asked at `asked_at_ms`.
    pub(crate) fn prove(&self, asked_at_ms: u64) {
        self.change(|judgement| judgement.standing.prove(asked_at_ms));
    }

    /// The same, of a node that is not the owner of the workspace.
    pub(crate) fn witness(&self, asked_at_ms: u64) {
        self.change(|judgement| judgement.standing.witness(asked_at_ms));
    }

    /// The session has been resumed under this standing. A fence stays.
    pub(crate) fn renew(&self, standing: Standing) {
        self.change(|judgement| {
            if judgement.standing.fenced().is_none() {
                judgement.standing = standing;
            }
        });
    }

    /// Fences: from the return of this on no success passes. Answers whether this is the first fence.
    pub(crate) fn close(&self, reason: FenceReason) -> bool {
        let mut first = false;
        self.change(|judgement| {
            first = judgement.standing.fenced().is_none();
            judgement.standing.fence(reason);
        });
        first
    }

    /// After [`Gate::close`], once the kernel believes no name and no attribute: lets fail what holds pages.
    pub(crate) fn fail_pages(&self) {
        self.change(|judgement| {
            if judgement.failing == Failing::None {
                judgement.failing = Failing::Pages;
            }
        });
    }

    /// After [`Gate::fail_pages`], once the kernel has no pages: lets everything that is held fail, and everything that
    /// comes.
    pub(crate) fn fail(&self) {
        self.change(|judgement| judgement.failing = Failing::All);
    }

    /// Why the session is over, if it is.
    pub(crate) fn fenced(&self) -> Option<FenceReason> {
        self.judgement.read().standing.fenced()
    }

    /// Whether the lease has run out since the last proof.
    pub(crate) fn has_lapsed(&self) -> bool {
        matches!(self.judgement.read().standing.verdict(self.clock.boot_ms()), Verdict::Fail(_))
    }

    /// Looks at the time and lets go of what need not wait any more.
    pub(crate) fn watch(&self) -> Watch {
        let watch = {
            let judgement = self.judgement.read();
            match judgement.standing.verdict(self.clock.boot_ms()) {
                _ if judgement.standing.fenced().is_some() => Watch::Over,
                Verdict::Serve { until_ms } => Watch::Serving { until_ms },
                Verdict::Stall { until_ms } => Watch::Stalled { until_ms },
                Verdict::Fail(errno) if errno == FenceReason::Expired.errno() => Watch::Expired,
                Verdict::Fail(_) => Watch::Lapsed,
            }
        };
        self.release();
        watch
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("judgement", &*self.judgement.read()).finish_non_exhaustive()
    }
}
