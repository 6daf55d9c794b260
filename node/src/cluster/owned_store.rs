use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use artifacts_core::cluster::{Claim, Ownership, Shard};
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::store::{Batch, Durability, KeyRange, LOOK_AT_NEXT_WITHIN, Look, SlateStore, Store, StoreError};
use crate::time::{SharedClock, pause};

/// How a shard's owner proves its ownership.
#[derive(Clone)]
pub struct OwnerRules {
    /// How long a proof counts, in milliseconds.
    pub ttl_ms: u64,
    /// The clock by which it does.
    pub clock: SharedClock,
}

/// A shard of which this node believes to be the owner. It tells nothing unless it knows that it is.
///
/// Each answer goes out under a proof that is fresh at that moment ([`Ownership`]); without one it asks the object store first,
/// and an owner that was fenced finds out. A durable write that succeeded is such a proof, so a busy shard asks for none; one that is
/// only read asks once or twice in a ttl, more often if the object store is slow to answer; one that nobody uses asks for none at
/// all, and its next reader waits for one.
pub struct OwnedStore {
    inner: Arc<Inner>,
}

struct Inner {
    store: SlateStore,
    rules: OwnerRules,
    ownership: Mutex<Ownership>,
    /// Whether anybody was told anything since the prover looked last.
    used: AtomicBool,
    /// How long the store took to answer the last question, in milliseconds.
    answer_ms: AtomicU64,
    lost: watch::Sender<bool>,
    /// When the first question was put of those that no answer has come to.
    asked_ms: Mutex<Option<u64>>,
    /// The question that is under way, or the last one.
    asking: Mutex<Option<Asking>>,
}

type Asking = Shared<BoxFuture<'static, Result<(), StoreError>>>;

/// How often one question is put, and what lies between.
const ATTEMPTS: usize = 3;
const PAUSE: Duration = Duration::from_millis(50);
/// An answer that takes longer than a proof counts is worth nothing; but not less than this is waited for one.
const ANSWER_MIN_MS: u64 = 2_000;
/// So long a question is put in vain before it is doubtful whether a shard without a proof is still this node's.
const DOUBTFUL_AFTER_MS: u64 = 1_000;

impl OwnedStore {
    /// Opens the shard's database with `open`, which takes it from the owner before.
    ///
    /// # Errors
    /// Those of `open`.
    pub async fn open(open: impl Future<Output = Result<SlateStore, StoreError>>, rules: OwnerRules) -> Result<Self, StoreError> {
        let asked_at_ms = rules.clock.monotonic_ms();
        let store = open.await?;
        let ownership = if store.is_handed_over() {
            Ownership::handed_over(rules.ttl_ms, asked_at_ms, [])
        } else {
            Ownership::opened(rules.ttl_ms, asked_at_ms, rules.clock.monotonic_ms(), [])
        };
        let period = Duration::from_millis((rules.ttl_ms / 8).max(1));
        // Nothing is known yet, so the first question is asked early.
        let answer_ms = AtomicU64::new(rules.ttl_ms);
        let inner = Arc::new(Inner {
            store,
            rules,
            answer_ms,
            ownership: Mutex::new(ownership),
            used: AtomicBool::new(false),
            lost: watch::Sender::new(false),
            asked_ms: Mutex::default(),
            asking: Mutex::default(),
        });
        tokio::spawn(keep_proven(Arc::downgrade(&inner), period));
        Ok(Self { inner })
    }

    /// What may be done now.
    pub fn claim(&self) -> Claim {
        self.inner.claim()
    }

    /// From when, by the node's clock, the owner before cannot act any more: what conflicts with what that one may have granted is
    /// not granted before, and the leases of sessions on record begin then.
    pub fn alone_from_ms(&self) -> u64 {
        self.inner.ownership.lock().alone_from_ms()
    }

    /// Which opening of the database this is.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    pub fn epoch(&self) -> Result<u64, StoreError> {
        self.inner.store.epoch()
    }

    /// How many commits of this node are not durable yet.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    pub fn unflushed(&self) -> Result<u64, StoreError> {
        self.inner.store.unflushed()
    }

    /// How old the last proof is, in milliseconds, if anybody was told anything since; a shard that nobody uses needs none.
    pub fn proof_age_ms(&self) -> Option<u64> {
        let now_ms = self.inner.rules.clock.monotonic_ms();
        let proven_at_ms = self.inner.ownership.lock().proven_at_ms();
        self.inner.used.load(Ordering::Relaxed).then(|| now_ms.saturating_sub(proven_at_ms))
    }

    /// Whether the owner before did not let go of the shard, so that it had to be waited for.
    pub fn was_taken(&self) -> bool {
        !self.inner.store.is_handed_over()
    }

    /// Becomes true when another node has the shard.
    pub fn lost(&self) -> watch::Receiver<bool> {
        self.inner.lost.subscribe()
    }
}

impl Inner {
    fn claim(&self) -> Claim {
        self.ownership.lock().claim(self.rules.clock.monotonic_ms())
    }

    fn is_doubtful(&self) -> bool {
        let waits = |asked_ms: u64| self.rules.clock.monotonic_ms().saturating_sub(asked_ms) >= DOUBTFUL_AFTER_MS;
        self.claim() == Claim::Unproven && self.asked_ms.lock().is_some_and(waits)
    }

    /// Passes an outcome on if this node was the owner when it came about.
    async fn vouched<T>(self: &Arc<Self>, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        self.used.store(true, Ordering::Relaxed);
        self.note(&outcome);
        match self.claim() {
            Claim::Holds { .. } => outcome,
            // Closed, or taken by another.
            Claim::Lost => outcome.and(Err(StoreError::Fenced)),
            // A proof that is asked for now says that nobody had fenced this owner before either.
            Claim::Unproven => self.prove().await.and(outcome),
        }
    }

    /// Gets a proof: of those who want one at a time, one asks.
    async fn prove(self: &Arc<Self>) -> Result<(), StoreError> {
        // The first answer may be one that nobody waited for in the end, and old.
        for _ in 0..2 {
            self.question().await?;
            match self.claim() {
                Claim::Holds { .. } => return Ok(()),
                Claim::Lost => return Err(StoreError::Fenced),
                Claim::Unproven => {}
            }
        }
        Err(StoreError::unavailable("the object store takes too long to say who owns this part of the store"))
    }

    /// The question that is under way, or a new one.
    fn question(self: &Arc<Self>) -> Asking {
        let mut asking = self.asking.lock();
        if let Some(under_way) = asking.as_ref().filter(|asking| asking.peek().is_none()) {
            return under_way.clone();
        }
        // A task of its own: whoever waits may give up, and the others not.
        let task = tokio::spawn(Arc::clone(self).ask());
        let stopped = |_| Err(StoreError::unavailable("the runtime is shutting down"));
        let started: Asking = task.map(move |outcome| outcome.unwrap_or_else(stopped)).boxed().shared();
        *asking = Some(started.clone());
        started
    }

    async fn ask(self: Arc<Self>) -> Result<(), StoreError> {
        let mut outcome = Ok(());
        for _ in 0..ATTEMPTS {
            let asked_at_ms = self.rules.clock.monotonic_ms();
            self.asked_ms.lock().get_or_insert(asked_at_ms);
            let last_ms = self.ownership.lock().proven_at_ms();
            let is_recent = asked_at_ms.saturating_sub(last_ms) < LOOK_AT_NEXT_WITHIN.as_millis() as u64;
            let limit = Duration::from_millis(self.rules.ttl_ms.max(ANSWER_MIN_MS));
            let asking = self.store.prove_ownership(if is_recent { Look::AtNext } else { Look::Whole });
            let too_late = || Err(StoreError::unavailable("the object store does not say in time who owns this part of the store"));
            outcome = tokio::time::timeout(limit, asking).await.unwrap_or_else(|_| too_late());
            self.note(&outcome);
            match &outcome {
                Ok(()) => {
                    self.ownership.lock().prove(asked_at_ms);
                    *self.asked_ms.lock() = None;
                    self.answer_ms.store(self.rules.clock.monotonic_ms().saturating_sub(asked_at_ms), Ordering::Relaxed);
                    metrics::counter!("artifacts_shard_proofs_total").increment(1);
                    break;
                }
                Err(StoreError::Unavailable { .. }) => {
                    metrics::counter!("artifacts_shard_proofs_failed_total").increment(1);
                    pause(PAUSE).await;
                }
                Err(_) => break,
            }
        }
        outcome
    }

    fn note<T>(&self, outcome: &Result<T, StoreError>) {
        if matches!(outcome, Err(StoreError::Fenced)) {
            self.ownership.lock().lose();
            self.lost.send_replace(true);
        }
    }
}

/// Keeps the proof of a shard in use fresh, for as long as there is somebody to use it.
async fn keep_proven(inner: std::sync::Weak<Inner>, period: Duration) {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(inner) = inner.upgrade() else { return };
        if inner.claim() == Claim::Lost {
            return;
        }
        let due_at_ms = inner.ownership.lock().prove_by_ms(inner.answer_ms.load(Ordering::Relaxed));
        let is_due = inner.rules.clock.monotonic_ms() >= due_at_ms;
        // A proof that is due stays due, so whoever used it since then has not been forgotten.
        if is_due
            && inner.used.swap(false, Ordering::Relaxed)
            && let Err(error) = inner.prove().await
        {
            match error {
                StoreError::Closed => return,
                error => tracing::warn!(%error, "a shard is not proven to be this node's"),
            }
        }
    }
}

impl Store for OwnedStore {
    fn get(&self, key: &[u8]) -> BoxFuture<'_, Result<Option<Bytes>, StoreError>> {
        let key = Bytes::copy_from_slice(key);
        async move {
            let found = self.inner.store.get(&key).await;
            self.inner.vouched(found).await
        }
        .boxed()
    }

    fn scan(&self, range: KeyRange, limit: usize) -> BoxFuture<'_, Result<Vec<(Bytes, Bytes)>, StoreError>> {
        async move {
            let found = self.inner.store.scan(range, limit).await;
            self.inner.vouched(found).await
        }
        .boxed()
    }

    fn write(&self, batch: Batch, durability: Durability) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let asked_at_ms = self.inner.rules.clock.monotonic_ms();
            // A barrier with nothing before it puts nothing, and so proves nothing.
            let proves = durability == Durability::Durable && !batch.is_empty();
            let written = self.inner.store.write(batch, durability).await;
            if proves && written.is_ok() {
                self.inner.ownership.lock().prove(asked_at_ms);
            }
            self.inner.vouched(written).await
        }
        .boxed()
    }

    fn holds(&self, _: Shard) -> bool {
        self.inner.used.store(true, Ordering::Relaxed);
        matches!(self.claim(), Claim::Holds { .. })
    }

    fn is_doubtful(&self, _: Shard) -> bool {
        self.inner.is_doubtful()
    }

    fn vouch(&self, _: Shard) -> BoxFuture<'_, Result<(), StoreError>> {
        async move { self.inner.vouched(Ok(())).await }.boxed()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        // The store says on record that nobody acts as its owner any more: from here on that is so.
        self.inner.ownership.lock().lose();
        self.inner.store.close()
    }
}

#[cfg(test)]
mod tests;
