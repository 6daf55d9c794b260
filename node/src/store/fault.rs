//! Faults on request: which call of which operation fails, and how.
//!
//! A plan is a script ("the third write fails"), a chance for each operation, or both; it draws from a generator of
//! its own, so that a seed and a sequence of calls reproduce the same faults. It injects nothing by itself: the wrappers
//! ([`super::FaultyStore`], [`crate::blob::FaultyBlobs`]) ask it before each call.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;

/// What goes wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The call fails and has no effect.
    Fail,
    /// The call takes effect, but its answer is lost: the caller sees the same error as for [`Fault::Fail`].
    LoseAnswer,
    /// The call takes effect, but its answer is cut short. Only data can be cut; for other answers, as [`Fault::LoseAnswer`].
    Truncate,
    /// The call fails and has no effect: whoever is asked has too much to do. As [`Fault::Fail`] where that makes no difference.
    Throttle,
}

/// Awaited before a call goes on; a simulator lets its own time pass in it.
pub type DelayHook<Op> = Arc<dyn Fn(Op) -> BoxFuture<'static, ()> + Send + Sync>;

/// Which calls fail. `Op` names the operations of the wrapped interface.
#[derive(Clone)]
pub struct FaultPlan<Op> {
    script: HashMap<(Op, u64), Fault>,
    chances: Vec<(Op, f64, Fault)>,
    delay: Option<DelayHook<Op>>,
    random: XorShift,
}

impl<Op: Copy + Eq + Hash> FaultPlan<Op> {
    /// A plan without faults; `seed` feeds the chances added later.
    pub fn new(seed: u64) -> Self {
        Self { script: HashMap::new(), chances: Vec::new(), delay: None, random: XorShift::new(seed) }
    }

    /// Lets the `nth` call of an operation go wrong, counted from 1 from when the plan is put in force.
    #[must_use]
    pub fn at(mut self, op: Op, nth: u64, fault: Fault) -> Self {
        self.script.insert((op, nth), fault);
        self
    }

    /// Lets each call of an operation go wrong with a probability from 0 to 1.
    #[must_use]
    pub fn with_probability(mut self, op: Op, probability: f64, fault: Fault) -> Self {
        self.chances.push((op, probability, fault));
        self
    }

    /// Awaits `hook` before every call.
    #[must_use]
    pub fn delayed_by(mut self, hook: DelayHook<Op>) -> Self {
        self.delay = Some(hook);
        self
    }
}

/// A plan in force: counts the calls and says what happens to each.
pub(crate) struct Faults<Op> {
    state: Mutex<State<Op>>,
}

struct State<Op> {
    plan: FaultPlan<Op>,
    calls: HashMap<Op, u64>,
    injected: u64,
}

impl<Op: Copy + Eq + Hash> Faults<Op> {
    pub(crate) fn new(plan: FaultPlan<Op>) -> Self {
        Self { state: Mutex::new(State { plan, calls: HashMap::new(), injected: 0 }) }
    }

    /// Puts another plan in force; calls are counted from 1 again.
    pub(crate) fn replace(&self, plan: FaultPlan<Op>) {
        let mut state = self.state.lock();
        state.plan = plan;
        state.calls.clear();
    }

    /// How many faults were injected, by this plan and those before it.
    pub(crate) fn injected(&self) -> u64 {
        self.state.lock().injected
    }

    /// Waits as the plan wants and decides what happens to this call.
    pub(crate) async fn before(&self, op: Op) -> Option<Fault> {
        let delay = self.state.lock().plan.delay.clone();
        if let Some(delay) = delay {
            delay(op).await;
        }
        self.state.lock().decide(op)
    }
}

impl<Op: Copy + Eq + Hash> State<Op> {
    fn decide(&mut self, op: Op) -> Option<Fault> {
        let nth = self.calls.entry(op).or_default();
        *nth += 1;
        let mut fault = self.plan.script.get(&(op, *nth)).copied();
        for &(_, probability, chosen) in self.plan.chances.iter().filter(|(of, ..)| *of == op) {
            // Drawn even when the script has decided, so that editing the script moves no other fault.
            if self.plan.random.next_fraction() < probability {
                fault = fault.or(Some(chosen));
            }
        }
        self.injected += u64::from(fault.is_some());
        fault
    }
}

/// Marsaglia's xorshift64*: enough to choose faults, and the same on every machine.
#[derive(Clone)]
struct XorShift(u64);

impl XorShift {
    fn new(seed: u64) -> Self {
        // Zero is the one state it never leaves.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number from 0, inclusive, to 1, exclusive.
    fn next_fraction(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bits = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11;
        bits as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    enum Op {
        Read,
        Write,
    }

    async fn run(faults: &Faults<Op>, op: Op, calls: usize) -> Vec<Option<Fault>> {
        let mut outcome = Vec::new();
        for _ in 0..calls {
            outcome.push(faults.before(op).await);
        }
        outcome
    }

    #[tokio::test]
    async fn the_script_hits_exactly_the_named_calls() {
        let plan = FaultPlan::new(1).at(Op::Write, 2, Fault::Fail).at(Op::Write, 3, Fault::LoseAnswer);
        let faults = Faults::new(plan);
        assert_eq!(run(&faults, Op::Read, 3).await, [None; 3]);
        assert_eq!(run(&faults, Op::Write, 4).await, [None, Some(Fault::Fail), Some(Fault::LoseAnswer), None]);
        assert_eq!(faults.injected(), 2);
    }

    #[tokio::test]
    async fn a_seed_reproduces_the_faults_and_another_seed_differs() {
        let plan = |seed| Faults::new(FaultPlan::new(seed).with_probability(Op::Write, 0.3, Fault::Fail));
        let first = run(&plan(7), Op::Write, 1000).await;
        assert_eq!(first, run(&plan(7), Op::Write, 1000).await);
        assert_ne!(first, run(&plan(8), Op::Write, 1000).await);
        let failed = first.iter().flatten().count();
        assert!((230..370).contains(&failed), "{failed} of 1000 failed at a probability of 0.3");
    }

    #[tokio::test]
    async fn the_delay_is_awaited_before_the_call() {
        let (release, released) = tokio::sync::watch::channel(false);
        let hook: DelayHook<Op> = Arc::new(move |_| {
            let mut released = released.clone();
            Box::pin(async move {
                let _ = released.wait_for(|&done| done).await;
            })
        });
        let faults = Faults::new(FaultPlan::new(1).delayed_by(hook));
        let mut call = std::pin::pin!(faults.before(Op::Read));
        assert!(futures_util::poll!(call.as_mut()).is_pending());
        let _ = release.send(true);
        assert_eq!(call.await, None);
    }
}
