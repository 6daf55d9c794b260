use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::BlockId;

/// Blocks that are being fetched, so that several readers of one fetch it once. A block is listed as long as anybody
/// waits for it, whether its fetch succeeds, fails or is given up.
#[derive(Debug, Default)]
pub(super) struct Flights {
    under_way: Mutex<HashMap<BlockId, Arc<OnceCell<Bytes>>>>,
}

impl Flights {
    /// Joins those who wait for this block.
    pub(super) fn join(&self, id: BlockId) -> Flight<'_> {
        let cell = Arc::clone(self.under_way.lock().entry(id).or_default());
        Flight { flights: self, id, cell }
    }
}

/// One of those who wait for a block.
#[derive(Debug)]
pub(super) struct Flight<'a> {
    flights: &'a Flights,
    id: BlockId,
    cell: Arc<OnceCell<Bytes>>,
}

impl Flight<'_> {
    /// The block: fetched by `fetch`, or by somebody else who waits for it. Whoever fails does so alone; the next in
    /// line tries in its own way.
    pub(super) async fn bytes<E>(&self, fetch: impl AsyncFnOnce() -> Result<Bytes, E>) -> Result<Bytes, E> {
        self.cell.get_or_try_init(|| fetch()).await.cloned()
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut under_way = self.flights.under_way.lock();
        // The list's own and this one.
        if Arc::strong_count(&self.cell) <= 2 {
            under_way.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn one_fetches_for_all_and_nothing_is_left_behind() {
        let flights = Flights::default();
        let id = BlockId::unchecked(1, 0, 1);
        let (one, other, third) = (flights.join(id), flights.join(id), flights.join(id));
        assert_eq!(one.bytes(async || Err::<Bytes, _>(5)).await, Err(5));
        assert_eq!(other.bytes(async || Ok::<_, i32>(Bytes::from_static(b"x"))).await.unwrap(), "x");
        assert_eq!(third.bytes(async || Err(6)).await.unwrap(), "x");
        drop((one, other));
        assert_eq!(flights.under_way.lock().len(), 1);
        drop(third);
        assert!(flights.under_way.lock().is_empty());
        drop(flights.join(id).bytes(async || Err::<Bytes, _>(5)));
        assert!(flights.under_way.lock().is_empty(), "given up before it began");
    }
}
