use slatedb::Db;
use slatedb::config::{FlushOptions, FlushType};
use tokio::sync::{mpsc, oneshot};

use super::error::of_write;
use crate::store::StoreError;

type Waiting = oneshot::Sender<Result<(), StoreError>>;

/// Makes what was written durable when somebody waits for it: one flush for all that are waiting, and while it is under
/// way the next ones gather. A flush of its own for each would put an object for each, one after the other.
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
        self.queue.send(answer).map_err(|_| gone())?;
        answered.await.unwrap_or_else(|_| Err(gone()))
    }
}

async fn run(db: Db, mut queue: mpsc::UnboundedReceiver<Waiting>) {
    let mut group = Vec::new();
    while queue.recv_many(&mut group, usize::MAX).await > 0 {
        // Who has given up needs no flush.
        group.retain(|waiting| !waiting.is_closed());
        if group.is_empty() {
            continue;
        }
        let flushed = db.flush_with_options(FlushOptions { flush_type: FlushType::Wal }).await.map_err(of_write);
        metrics::histogram!("artifacts_store_flush_waiters").record(group.len() as f64);
        for waiting in group.drain(..) {
            let _ = waiting.send(flushed.clone());
        }
    }
}
