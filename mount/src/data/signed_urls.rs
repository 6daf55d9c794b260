use std::collections::HashMap;
use std::sync::Arc;

use artifacts_core::SegmentId;
use artifacts_core::protocol::DirectUrl;
use parking_lot::Mutex;
use tokio::sync::Mutex as Turn;

/// How many segments have a URL kept at once.
const KEPT_MAX: usize = 1_024;
/// So long before its end a URL is not used any more, in milliseconds, or a quarter of its time if that is less.
const MARGIN_MS: u64 = 5_000;

/// URLs for reading segments, each kept until shortly before its end, so that the reads of one segment cost one.
#[derive(Debug, Default)]
pub(super) struct SignedUrls {
    kept: Mutex<HashMap<SegmentId, Arc<Turn<Option<Kept>>>>>,
}

#[derive(Debug)]
struct Kept {
    url: Arc<DirectUrl>,
    until_ms: u64,
}

/// A URL, and whether it was made for whoever asked just now.
pub(super) type Given = (Arc<DirectUrl>, bool);

impl SignedUrls {
    /// The URL for a segment; `ask` gets a new one if none is good at `now_ms`. Readers of one segment ask once, the
    /// others wait for it.
    pub(super) async fn of<E>(&self, segment: SegmentId, now_ms: u64, ask: impl Future<Output = Result<DirectUrl, E>>) -> Result<Given, E> {
        let turn = self.turn(segment, now_ms);
        let mut kept = turn.lock().await;
        if let Some(good) = kept.as_ref().filter(|kept| now_ms < kept.until_ms) {
            return Ok((Arc::clone(&good.url), false));
        }
        let url = Arc::new(ask.await?);
        let until_ms = now_ms + (url.expires_in_ms - MARGIN_MS.min(url.expires_in_ms / 4));
        *kept = Some(Kept { url: Arc::clone(&url), until_ms });
        Ok((url, true))
    }

    fn turn(&self, segment: SegmentId, now_ms: u64) -> Arc<Turn<Option<Kept>>> {
        let mut kept = self.kept.lock();
        if kept.len() >= KEPT_MAX && !kept.contains_key(&segment) {
            kept.retain(|_, turn| turn.try_lock().is_ok_and(|kept| kept.as_ref().is_some_and(|kept| now_ms < kept.until_ms)));
            if kept.len() >= KEPT_MAX {
                kept.clear();
            }
        }
        Arc::clone(kept.entry(segment).or_default())
    }

    /// The segment's URL is refused, or the segment is gone.
    pub(super) fn drop_url(&self, segment: SegmentId) {
        self.kept.lock().remove(&segment);
    }

    /// Forgets all of them.
    pub(super) fn clear(&self) {
        self.kept.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    async fn ask(asked: &AtomicU32, expires_in_ms: u64) -> Result<DirectUrl, Infallible> {
        let url = asked.fetch_add(1, Ordering::Relaxed).to_string();
        tokio::task::yield_now().await;
        Ok(DirectUrl { url, method: "GET".to_owned(), headers: BTreeMap::new(), expires_in_ms })
    }

    #[tokio::test]
    async fn reads_of_one_segment_cost_one_url_until_shortly_before_its_end() {
        let (urls, asked) = (SignedUrls::default(), AtomicU32::new(0));
        let one = SegmentId::from_bits(1);
        let (first, second) = tokio::join!(urls.of(one, 100, ask(&asked, 60_000)), urls.of(one, 100, ask(&asked, 60_000)));
        assert_eq!((first.unwrap().1, second.unwrap().1, asked.load(Ordering::Relaxed)), (true, false, 1));
        urls.of(SegmentId::from_bits(2), 100, ask(&asked, 60_000)).await.unwrap();
        assert!(!urls.of(one, 55_099, ask(&asked, 60_000)).await.unwrap().1);
        assert!(urls.of(one, 55_100, ask(&asked, 1_000)).await.unwrap().1);
        assert!(urls.of(one, 55_850, ask(&asked, 1_000)).await.unwrap().1);
        urls.drop_url(one);
        assert!(urls.of(one, 55_850, ask(&asked, 1_000)).await.unwrap().1);
        assert_eq!(asked.load(Ordering::Relaxed), 5);
    }

    #[tokio::test]
    async fn an_error_is_not_kept_and_the_number_of_urls_is_bounded() {
        let (urls, asked) = (SignedUrls::default(), AtomicU32::new(0));
        let failed = urls.of(SegmentId::from_bits(1), 0, std::future::ready(Err::<DirectUrl, _>("no"))).await;
        assert_eq!(failed.unwrap_err(), "no");
        for number in 0..3 * KEPT_MAX as u128 {
            urls.of(SegmentId::from_bits(number), 0, ask(&asked, 60_000)).await.unwrap();
        }
        assert!(urls.kept.lock().len() <= KEPT_MAX);
    }
}
