#![allow(clippy::unwrap_used)]
use std::sync::Arc;
use std::sync::mpsc;

use super::health::Health;
use super::*;
use crate::time::ManualClock;

struct Bench {
    clock: Arc<ManualClock>,
    gate: Arc<Gate>,
    sent: mpsc::Sender<(&'static str, Result<(), Errno>)>,
    seen: mpsc::Receiver<(&'static str, Result<(), Errno>)>,
}

impl Bench {
    /// Proof for 1 s, lease of 10 s, expiry at 60 s; it is 0.
    fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        let gate = Arc::new(Gate::new(Arc::clone(&clock) as SharedClock, Standing::new(0, 1_000, 10_000, Some(60_000))));
        let (sent, seen) = mpsc::channel();
        Self { clock, gate, sent, seen }
    }

    fn enter(&self, name: &'static str, holds: Holds) {
        let sent = self.sent.clone();
        self.gate.enter(holds, move |verdict| sent.send((name, verdict)).unwrap());
    }

    fn leave(&self, name: &'static str, holds: Holds) {
        let sent = self.sent.clone();
        self.gate.leave(holds, move |verdict| sent.send((name, verdict)).unwrap());
    }

    fn seen(&self) -> Vec<(&'static str, Result<(), Errno>)> {
        self.seen.try_iter().collect()
    }
}

#[test]
fn a_call_passes_while_the_proof_is_fresh() {
    let bench = Bench::new();
    bench.clock.set(999);
    bench.enter("call", Holds::Nothing);
    bench.leave("answer", Holds::Pages);
    assert_eq!(bench.seen(), [("call", Ok(())), ("answer", Ok(()))]);
    assert_eq!(bench.gate.health(true), Health::Ok);
    assert_eq!(bench.gate.health(false), Health::Reconnecting);
}

#[test]
fn calls_and_answers_wait_in_a_stall_and_go_on_with_a_proof() {
    let bench = Bench::new();
    bench.clock.set(1_000);
    bench.enter("call", Holds::Pages);
    bench.leave("answer", Holds::Nothing);
    assert_eq!(bench.seen(), []);
    assert_eq!(bench.gate.watch(), Watch::Stalled { until_ms: 10_000 });
    bench.clock.set(5_000);
    bench.gate.prove(3_000);
    assert_eq!(bench.seen(), [], "a proof that is stale already helps nobody");
    bench.gate.prove(4_900);
    assert_eq!(bench.seen(), [("call", Ok(())), ("answer", Ok(()))]);
    assert_eq!(bench.gate.watch(), Watch::Serving { until_ms: 5_900 });
}

#[test]
fn held_calls_fail_when_the_lease_is_over_and_new_ones_too_until_a_proof_comes() {
    let bench = Bench::new();
    bench.clock.set(2_000);
    bench.enter("held", Holds::Nothing);
    bench.clock.set(10_000);
    assert_eq!(bench.gate.watch(), Watch::Lapsed);
    bench.enter("new", Holds::Nothing);
    assert_eq!(bench.seen(), [("held", Err(Errno::EIO)), ("new", Err(Errno::EIO))]);
    bench.gate.prove(10_500);
    bench.clock.set(10_600);
    bench.enter("later", Holds::Nothing);
    assert_eq!(bench.seen(), [("later", Ok(()))]);
}

#[test]
fn at_a_fence_page_holders_fail_first_and_the_rest_together_after_the_caches() {
    let bench = Bench::new();
    assert!(bench.gate.close(FenceReason::Revoked));
    assert!(!bench.gate.close(FenceReason::Expired));
    bench.enter("stat", Holds::Nothing);
    bench.leave("its answer", Holds::Nothing);
    bench.enter("writeback", Holds::Pages);
    bench.leave("read", Holds::Pages);
    assert_eq!(bench.seen(), [], "the kernel may still answer others by itself");
    bench.gate.fail_pages();
    assert_eq!(bench.seen(), [("writeback", Err(Errno::EACCES)), ("read", Err(Errno::EACCES))]);
    bench.gate.prove(500);
    bench.gate.renew(Standing::new(500, 1_000, 10_000, None));
    assert_eq!(bench.seen(), [], "nothing opens a closed gate");
    bench.gate.fail();
    assert_eq!(bench.seen(), [("stat", Err(Errno::EACCES)), ("its answer", Err(Errno::EACCES))]);
    bench.gate.fail_pages();
    bench.enter("later", Holds::Nothing);
    assert_eq!(bench.seen(), [("later", Err(Errno::EACCES))], "a late sweep changes nothing");
    assert_eq!(bench.gate.health(true), Health::Failed(FenceReason::Revoked));
}

#[test]
fn page_holders_that_wait_in_a_stall_fail_when_the_gate_closes() {
    let bench = Bench::new();
    bench.clock.set(1_500);
    bench.enter("write", Holds::Pages);
    bench.enter("stat", Holds::Nothing);
    bench.gate.close(FenceReason::LeaseLost);
    bench.gate.fail_pages();
    assert_eq!(bench.seen(), [("write", Err(Errno::EIO))]);
    bench.gate.fail();
    assert_eq!(bench.seen(), [("stat", Err(Errno::EIO))]);
}

#[test]
fn expiry_holds_calls_for_the_fence_that_is_due() {
    let bench = Bench::new();
    bench.gate.prove(59_900);
    bench.clock.set(60_000);
    bench.enter("call", Holds::Nothing);
    assert_eq!(bench.seen(), []);
    assert_eq!(bench.gate.watch(), Watch::Expired);
    bench.gate.close(FenceReason::Expired);
    bench.gate.fail();
    assert_eq!(bench.seen(), [("call", Err(Errno::EACCES))]);
    assert_eq!(bench.gate.watch(), Watch::Over);
}

#[test]
fn no_success_goes_out_after_close_has_returned() {
    let clock = Arc::new(ManualClock::default());
    for _ in 0..200 {
        let gate = Arc::new(Gate::new(Arc::clone(&clock) as SharedClock, Standing::new(0, 1_000, 10_000, None)));
        let closed = Arc::new(AtomicBool::new(false));
        let broken = Arc::new(AtomicBool::new(false));
        let answers = {
            let (gate, closed, broken) = (Arc::clone(&gate), Arc::clone(&closed), Arc::clone(&broken));
            std::thread::spawn(move || {
                for _ in 0..1_000 {
                    let (closed, broken) = (Arc::clone(&closed), Arc::clone(&broken));
                    gate.leave(Holds::Pages, move |verdict| {
                        if verdict.is_ok() && closed.load(Ordering::SeqCst) {
                            broken.store(true, Ordering::SeqCst);
                        }
                    });
                }
            })
        };
        gate.close(FenceReason::Revoked);
        closed.store(true, Ordering::SeqCst);
        answers.join().unwrap();
        assert!(!broken.load(Ordering::SeqCst));
    }
}
