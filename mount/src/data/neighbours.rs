use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use artifacts_core::SegmentId;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::BlockId;

/// Blocks shorter than this are worth fetching together, in bytes.
const SMALL_BYTES: u32 = 256 << 10;
/// How much is fetched for a small block whose neighbour was asked for before, in bytes.
const WINDOW_BYTES: u32 = 1 << 20;
/// How many windows are kept.
const WINDOWS_MAX: usize = 4;
/// How many small blocks are remembered as asked for.
const LATELY_MAX: usize = 64;

/// A stretch of a segment, fetched as one. What lies in it is not checked: each block cut from it is.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) segment: SegmentId,
    pub(super) range: Range<u32>,
    pub(super) bytes: OnceCell<Bytes>,
}

impl Window {
    fn covers(&self, id: &BlockId) -> bool {
        self.segment == id.segment && self.range.start <= id.offset && id.offset + id.len <= self.range.end
    }

    /// The block's bytes, in a buffer of their own, so that one block in a cache does not hold all the others.
    pub(super) fn cut(&self, id: &BlockId, bytes: &Bytes) -> Option<Bytes> {
        let start = id.offset.checked_sub(self.range.start)? as usize;
        bytes.get(start..start + id.len as usize).map(Bytes::copy_from_slice)
    }
}

/// Small blocks that lie beside each other in one segment, as packed small files do, are fetched together. Where the
/// other blocks begin is not known before they are asked for, so the stretch is kept as it is for a while: a few of
/// them, the least recently used leaving first. A reader of one small block costs one small fetch; only the second in
/// the same neighbourhood fetches the stretch.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    lately: VecDeque<(SegmentId, u32)>,
    windows: VecDeque<Arc<Window>>,
}

impl Neighbours {
    /// The window to cut this block from; `None` if it is to be fetched by itself.
    pub(super) fn window(&self, id: &BlockId) -> Option<Arc<Window>> {
        if id.len >= SMALL_BYTES {
            return None;
        }
        let mut inner = self.inner.lock();
        if let Some(at) = inner.windows.iter().position(|window| window.covers(id)) {
            let window = inner.windows.remove(at)?;
            inner.windows.push_back(Arc::clone(&window));
            return Some(window);
        }
        let near = |&(segment, offset): &(SegmentId, u32)| {
            segment == id.segment && offset != id.offset && offset.abs_diff(id.offset) <= WINDOW_BYTES
        };
        let neighbour = inner.lately.iter().rev().find(|&asked| near(asked)).copied();
        inner.lately.push_back((id.segment, id.offset));
        if inner.lately.len() > LATELY_MAX {
            inner.lately.pop_front();
        }
        let (_, asked_before) = neighbour?;
        let end = id.offset + id.len;
        let range = if asked_before > id.offset {
            // Somebody reads backwards.
            end.saturating_sub(WINDOW_BYTES)..end
        } else {
            id.offset..id.offset.saturating_add(WINDOW_BYTES)
        };
        let window = Arc::new(Window { segment: id.segment, range, bytes: OnceCell::new() });
        inner.windows.push_back(Arc::clone(&window));
        if inner.windows.len() > WINDOWS_MAX {
            inner.windows.pop_front();
        }
        Some(window)
    }

    /// Forgets a window that was of no use.
    pub(super) fn forget(&self, window: &Arc<Window>) {
        self.inner.lock().windows.retain(|known| !Arc::ptr_eq(known, window));
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        *self.inner.lock() = Inner::default();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn id(segment: u128, offset: u32, len: u32) -> BlockId {
        BlockId::unchecked(segment, offset, len)
    }

    #[test]
    fn the_second_in_a_neighbourhood_opens_a_window_for_the_rest() {
        let neighbours = Neighbours::default();
        assert!(neighbours.window(&id(1, 0, 1000)).is_none());
        assert!(neighbours.window(&id(2, 1000, 1000)).is_none(), "another segment");
        assert!(neighbours.window(&id(1, 4 << 20, 1000)).is_none(), "too far");
        let window = neighbours.window(&id(1, 1000, 1000)).unwrap();
        assert_eq!(window.range, 1000..1000 + WINDOW_BYTES);
        assert!(Arc::ptr_eq(&window, &neighbours.window(&id(1, 500_000, 1000)).unwrap()));
        assert!(neighbours.window(&id(1, 2000, SMALL_BYTES)).is_none(), "large");
        neighbours.forget(&window);
        assert!(!Arc::ptr_eq(&window, &neighbours.window(&id(1, 3000, 1000)).unwrap()));
    }

    #[test]
    fn a_reader_that_goes_backwards_gets_what_lies_before() {
        let neighbours = Neighbours::default();
        assert!(neighbours.window(&id(1, 3 << 20, 10)).is_none());
        assert_eq!(neighbours.window(&id(1, (3 << 20) - 10, 10)).unwrap().range, (2 << 20)..(3 << 20));
        neighbours.clear();
        assert!(neighbours.window(&id(1, 20, 10)).is_none());
        assert_eq!(neighbours.window(&id(1, 10, 10)).unwrap().range, 0..20);
    }

    #[test]
    fn windows_are_few() {
        let neighbours = Neighbours::default();
        for segment in 0..20 {
            neighbours.window(&id(segment, 0, 10));
            neighbours.window(&id(segment, 10, 10)).unwrap();
        }
        assert_eq!(neighbours.inner.lock().windows.len(), WINDOWS_MAX);
        assert!(neighbours.inner.lock().lately.len() <= LATELY_MAX);
    }

    #[test]
    fn a_window_that_is_shorter_than_hoped_for_gives_what_it_has() {
        let window = Window { segment: SegmentId::from_bits(1), range: 100..200, bytes: OnceCell::new() };
        let bytes = Bytes::from_static(b"0123456789");
        assert_eq!(window.cut(&id(1, 102, 3), &bytes).unwrap(), "234");
        assert_eq!(window.cut(&id(1, 108, 3), &bytes), None);
        assert_eq!(window.cut(&id(1, 99, 3), &bytes), None);
    }
}
