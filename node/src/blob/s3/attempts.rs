use std::time::Duration;

use super::failure::Failure;
use crate::object_call::ObjectCall;
use crate::random::SharedEntropy;
use crate::time::pause;

/// How often and how long one call is tried. The pauses grow and are drawn at random, so that many callers do not
/// come back in step.
pub(super) struct Attempts {
    /// How many at most.
    pub(super) most: u32,
    /// The longest first pause, in milliseconds; each later one is up to twice as long.
    pub(super) first_pause_ms: u64,
    /// How long all of it may take.
    pub(super) limit: Duration,
    /// Where the pauses are drawn from.
    pub(super) entropy: SharedEntropy,
}

/// No pause is longer.
const PAUSE_MAX_MS: u64 = 2_000;

impl Attempts {
    /// As they are in use.
    pub(super) fn new(entropy: SharedEntropy) -> Self {
        Self { most: 6, first_pause_ms: 100, limit: Duration::from_secs(30), entropy }
    }

    /// Tries until it succeeds, fails for good, or no attempt is left.
    pub(super) async fn run<T, F>(&self, call: &'static str, attempt: impl Fn() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let all = async {
            let mut made = 1;
            loop {
                let measured = ObjectCall::begin("segments", call);
                let outcome = attempt().await;
                measured.end(outcome.as_ref().map_or_else(Failure::outcome, |_| "done"));
                match outcome {
                    Err(Failure::Passing(reason)) if made < self.most => {
                        tracing::debug!(reason, made, "the object store is asked again");
                        metrics::counter!("artifacts_object_store_retries_total").increment(1);
                        pause(self.pause(made)).await;
                        made += 1;
                    }
                    outcome => return outcome,
                }
            }
        };
        let late = |_| Err(Failure::Passing(format!("no answer within {:?}", self.limit)));
        tokio::time::timeout(self.limit, all).await.unwrap_or_else(late)
    }

    /// Between half of what is due and all of it.
    fn pause(&self, made: u32) -> Duration {
        let due_ms = self.first_pause_ms.saturating_mul(1 << made.min(16).saturating_sub(1)).min(PAUSE_MAX_MS);
        let mut drawn = [0; 8];
        self.entropy.fill(&mut drawn);
        Duration::from_millis(due_ms / 2 + u64::from_be_bytes(drawn) % (due_ms - due_ms / 2 + 1))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::random::SystemEntropy;

    fn attempts() -> Attempts {
        Attempts { first_pause_ms: 1, ..Attempts::new(Arc::new(SystemEntropy)) }
    }

    async fn made_until(outcome: impl Fn(u32) -> Result<(), Failure>) -> (u32, Result<(), Failure>) {
        let made = AtomicU32::new(0);
        let result = attempts().run("get", || std::future::ready(outcome(made.fetch_add(1, Ordering::Relaxed) + 1))).await;
        (made.into_inner(), result)
    }

    #[tokio::test]
    async fn what_may_pass_is_tried_up_to_the_bound_and_the_rest_once() {
        let passing = || Failure::Passing("busy".to_owned());
        assert_eq!(made_until(|made| if made < 3 { Err(passing()) } else { Ok(()) }).await, (3, Ok(())));
        assert_eq!(made_until(|_| Err(passing())).await, (6, Err(passing())));
        assert_eq!(made_until(|_| Err(Failure::Missing)).await, (1, Err(Failure::Missing)));
    }

    #[tokio::test]
    async fn the_time_is_bounded() {
        let attempts = Attempts { limit: Duration::from_millis(20), ..attempts() };
        let outcome = attempts.run("get", std::future::pending::<Result<(), Failure>>).await;
        assert!(matches!(outcome, Err(Failure::Passing(_))));
    }

    #[test]
    fn pauses_grow_within_their_bounds() {
        let attempts = Attempts::new(Arc::new(SystemEntropy));
        for (made, most_ms) in [(1, 100), (2, 200), (5, 1_600), (6, 2_000), (u32::MAX, 2_000)] {
            let pause = attempts.pause(made).as_millis();
            assert!((most_ms / 2..=most_ms).contains(&pause), "{pause} ms before attempt {made}");
        }
    }
}
