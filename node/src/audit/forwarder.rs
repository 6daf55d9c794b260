use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::outbox::{self, Waiting};
use crate::context::SharedContext;
use crate::sessions::Authority;
use crate::store::{Batch, Durability, KeyRange, StoreError};

/// How many entries are passed on at a time.
const AT_ONCE: usize = 256;
/// When it is looked again for what the owner of an account did not take.
const AGAIN: Duration = Duration::from_secs(2);

/// Passes on what waits in the outbox of one shard, for as long as it lives.
pub(crate) struct Forwarder {
    more: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Forwarder {
    /// Begins with what an earlier life has left.
    pub(crate) fn start(context: SharedContext, authority: Arc<dyn Authority>) -> Self {
        let more = Arc::new(Notify::new());
        let heard = more.clone();
        let task = tokio::spawn(async move {
            let mut looks = tokio::time::interval(AGAIN);
            looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                if let Err(error) = pass_on(&context, &*authority).await {
                    tracing::debug!(%error, "entries of audit trails wait");
                }
                tokio::select! {
                    () = heard.notified() => {}
                    _ = looks.tick() => {}
                }
            }
        });
        Self { more, task }
    }

    /// Something was put into the outbox.
    pub(crate) fn wake(&self) {
        self.more.notify_one();
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Passes on all that waits; what is not taken stays.
async fn pass_on(context: &SharedContext, authority: &dyn Authority) -> Result<(), StoreError> {
    let mut range = KeyRange::prefix(&outbox::all());
    loop {
        let rows = context.store.scan(range.clone(), AT_ONCE).await?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        range = range.after(last);
        let mut by_account: BTreeMap<_, (Vec<Bytes>, Vec<_>)> = BTreeMap::new();
        for (key, value) in &rows {
            let Waiting { account, region, event } =
                serde_json::from_slice(value).map_err(|error| StoreError::Corrupt { reason: error.to_string() })?;
            let (keys, events) = by_account.entry((region, account)).or_default();
            keys.push(key.clone());
            events.push(event);
        }
        for ((region, account), (keys, events)) in by_account {
            match authority.record(account, region.as_ref(), &events).await {
                // One batch a session: they may lie in different shards.
                Ok(()) => {
                    for keys in keys.chunk_by(|one, next| outbox::lie_together(one, next)) {
                        let mut batch = Batch::new();
                        for key in keys {
                            batch.delete(key.clone());
                        }
                        context.store.write(batch, Durability::Visible).await?;
                    }
                }
                Err(error) => tracing::debug!(%account, %error, "the owner of an account does not take entries of its trail"),
            }
        }
    }
}
