use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use artifacts_core::trace::TraceContext;
use artifacts_trace::{Span, current};
use slatedb::Db;
use slatedb::config::{FlushOptions, FlushType};
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use super::error::of_write;
use crate::store::StoreError;

/// After so many flushes what is in the log goes into a table. The next opening reads the log object by object, so its
/// length decides how long a new owner takes.
const LOG_MAX_FLUSHES: u32 = 256;
/// What is in the log goes into a table this often, too, for those who never wait for a flush.
const LOG_MAX_AGE: Duration = Duration::from_secs(30);

/// Somebody who waits, and the span under which they do.
type Waiting = (oneshot::Sender<Result<(), StoreError>>, Option<TraceContext>);

/// Makes what was written durable when somebody waits for it: one flush for all that are waiting, and while it is under
/// way the next ones gather. A flush of its own for each would put an object for each, one after the other.
///
/// It also keeps the log short.
#[derive(Clone)]
pub(super) struct Flusher {
    /// Unbounded, because each entry is a caller that waits.
    queue: mpsc::UnboundedSender<Waiting>,
}

impl Flusher {
    /// Starts the task; it ends with the last handle.
    pub(super) fn start(db: Db) -> Self {
        let (queue, waiting) = mpsc::unbounded_channel();
        tokio::spawn(run(db, waiting));
        Self { queue }
    }

    /// Returns when everything written before is durable.
    ///
    /// # Errors
    /// [`StoreError::Fenced`], [`StoreError::Unavailable`]: then what was written may be durable or not.
    pub(super) async fn flush(&self) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        let gone = || StoreError::unavailable("the store was closed meanwhile");
        self.queue.send((answer, current())).map_err(|_| gone())?;
        answered.await.unwrap_or_else(|_| Err(gone()))
    }
}

async fn run(db: Db, mut queue: mpsc::UnboundedReceiver<Waiting>) {
    let mut log = Log::new(db.clone());
    let mut group = Vec::new();
    let mut ages = tokio::time::interval(LOG_MAX_AGE);
    ages.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ages.reset();
    loop {
        tokio::select! {
            biased;
            received = queue.recv_many(&mut group, usize::MAX) => if received == 0 { return },
            _ = ages.tick() => log.shorten(),
        }
        // Who has given up needs no flush.
        group.retain(|(waiting, _): &Waiting| !waiting.is_closed());
        if group.is_empty() {
            continue;
        }
        let mut span = span_of(&group);
        let flushed = db.flush_with_options(FlushOptions { flush_type: FlushType::Wal }).await.map_err(of_write);
        metrics::histogram!("artifacts_store_flush_waiters").record(group.len() as f64);
        if let Err(error) = &flushed {
            span.fail(error.to_string());
        }
        drop(span);
        for (waiting, _) in group.drain(..) {
            let _ = waiting.send(flushed.clone());
        }
        log.flushes += 1;
        if log.flushes >= LOG_MAX_FLUSHES {
            log.shorten();
        }
    }
}

/// A put that serves several: a part of the first that is traced, linked to the others.
fn span_of(group: &[Waiting]) -> Span {
    let mut traced = group.iter().filter_map(|(_, context)| *context);
    let mut span = Span::child(traced.next(), "store.flush");
    traced.for_each(|other| span.link(other));
    span
}

/// What an opening would have to read again.
struct Log {
    db: Db,
    /// On demand, since it was shortened last.
    flushes: u32,
    /// Up to where it was durable then.
    shortened_at: u64,
    /// Whether it is being shortened now.
    busy: Arc<AtomicBool>,
}

impl Log {
    fn new(db: Db) -> Self {
        // An opening leaves what it has read in memory, and the log as it was.
        Self { db, flushes: 0, shortened_at: 0, busy: Arc::default() }
    }

    /// Brings what is in the log into a table, in the background, if anything came since the last time.
    fn shorten(&mut self) {
        let durable = self.db.status().durable_seq;
        if durable == self.shortened_at || self.busy.swap(true, Ordering::SeqCst) {
            return;
        }
        (self.flushes, self.shortened_at) = (0, durable);
        let (db, busy) = (self.db.clone(), Arc::clone(&self.busy));
        tokio::spawn(async move {
            if let Err(error) = db.flush_with_options(FlushOptions { flush_type: FlushType::MemTable }).await {
                tracing::debug!(%error, "the log of a shard stays long for now");
            }
            busy.store(false, Ordering::SeqCst);
        });
    }
}
