use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use artifacts_core::SegmentId;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::BlockId;

/// Blocks shorter than this are worth fetching together, in bytes.
const SMALL_BYTES: u32 = 256 << 10;
/// How much is fetched for a small block whose neighbour was asked for before, in bytes; and when the stretch before it was
/// fetched like that, or where somebody jumps about.
const WINDOW_BYTES: u32 = 1 << 20;
const LONG_WINDOW_BYTES: u32 = 4 << 20;
/// How far behind a stretch a block may begin that goes on where it ended: no further than what lay across its end.
const GAP_BYTES: u32 = SMALL_BYTES;
/// How many windows are kept.
const WINDOWS_MAX: usize = 4;
/// How many blocks are remembered as asked for.
const LATELY_MAX: usize = 64;
/// So many parts of a long stretch have been taken one by one when all of it is fetched: then waiting for them, over a network,
/// has taken about as long as that does.
const JUMPS_UNTIL_ALL: u32 = 4;
/// For so many stretches the parts that were taken are counted.
const JUMPS_MAX: usize = 4096;

/// A stretch of a segment, fetched as one. What lies in it is not checked: each block cut from it is.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) segment: SegmentId,
    pub(super) range: Range<u32>,
    pub(super) bytes: OnceCell<Bytes>,
}

impl Window {
    fn new(segment: SegmentId, range: Range<u32>) -> Self {
        Self { segment, range, bytes: OnceCell::new() }
    }

    fn covers(&self, id: &BlockId) -> bool {
        self.segment == id.segment && self.range.start <= id.offset && id.offset + id.len <= self.range.end
    }

    /// The block's bytes, in a buffer of their own, so that one block in a cache does not hold all the others; unless they are
    /// not there, or not the block's.
    pub(super) fn cut(&self, id: &BlockId) -> Option<Bytes> {
        let start = id.offset.checked_sub(self.range.start)? as usize;
        let bytes = self.bytes.get()?.get(start..start + id.len as usize)?;
        id.matches(bytes).then(|| Bytes::copy_from_slice(bytes))
    }
}

/// Small blocks that lie beside each other in one segment, as packed small files do, are fetched together. Where the
/// other blocks begin is not known before they are asked for, so the stretch is kept as it is for a while: a few of
/// them, the least recently used leaving first. A reader of one small block costs one small fetch; only the second in
/// the same neighbourhood fetches the stretch. Somebody who jumps about in long blocks has to take several parts before.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    lately: VecDeque<(SegmentId, u32)>,
    windows: VecDeque<Arc<Window>>,
    /// By segment and number of the long stretch.
    jumps: HashMap<(SegmentId, u32), u32>,
    is_closed: bool,
}

impl Inner {
    fn find(&mut self, id: &BlockId) -> Option<Arc<Window>> {
        let at = self.windows.iter().rposition(|window| window.covers(id))?;
        if at + 1 < self.windows.len() {
            let window = self.windows.remove(at)?;
            self.windows.push_back(window);
        }
        self.windows.back().cloned()
    }

    fn add(&mut self, segment: SegmentId, range: Range<u32>) -> Arc<Window> {
        let window = Arc::new(Window::new(segment, range));
        if !self.is_closed {
            self.windows.push_back(Arc::clone(&window));
        }
        if self.windows.len() > WINDOWS_MAX {
            self.windows.pop_front();
        }
        window
    }

    /// A block near this one that was asked for before; this one counts as asked for.
    fn asked_near(&mut self, id: &BlockId) -> Option<u32> {
        let near = |&(segment, offset): &(SegmentId, u32)| {
            segment == id.segment && offset != id.offset && offset.abs_diff(id.offset) <= WINDOW_BYTES
        };
        let found = self.lately.iter().rev().find(|&asked| near(asked)).map(|(_, offset)| *offset);
        self.lately.push_back((id.segment, id.offset));
        if self.lately.len() > LATELY_MAX {
            self.lately.pop_front();
        }
        found
    }

    /// Whether the stretch before a block was fetched as one.
    fn goes_on(&self, id: &BlockId) -> bool {
        self.windows.iter().any(|window| window.segment == id.segment && window.range.end.abs_diff(id.offset) <= GAP_BYTES)
    }
}

impl Neighbours {
    /// A block out of a window that is here.
    pub(super) fn cut(&self, id: &BlockId) -> Option<Bytes> {
        let window = self.inner.lock().find(id)?;
        window.cut(id)
    }

    /// Whether a window that is here has all of a block.
    pub(super) fn is_here(&self, id: &BlockId) -> bool {
        self.inner.lock().windows.iter().any(|window| window.covers(id) && window.bytes.initialized())
    }

    /// Somebody has taken a part of a long block. Answers whether it is time to fetch what lies around it.
    pub(super) fn jumped_to(&self, block: &BlockId) -> bool {
        let mut inner = self.inner.lock();
        if inner.jumps.len() >= JUMPS_MAX {
            inner.jumps.clear();
        }
        let jumps = inner.jumps.entry((block.segment, block.offset / LONG_WINDOW_BYTES)).or_default();
        *jumps += 1;
        *jumps >= JUMPS_UNTIL_ALL
    }

    /// The long stretch around a block.
    pub(super) fn window_around(&self, block: &BlockId) -> Arc<Window> {
        let start = block.offset / LONG_WINDOW_BYTES * LONG_WINDOW_BYTES;
        let end = start.saturating_add(LONG_WINDOW_BYTES).max(block.offset.saturating_add(block.len));
        let mut inner = self.inner.lock();
        inner.jumps.remove(&(block.segment, block.offset / LONG_WINDOW_BYTES));
        inner.find(block).unwrap_or_else(|| inner.add(block.segment, start..end))
    }

    /// The window to cut this block from; `None` if it is to be fetched by itself.
    pub(super) fn window(&self, id: &BlockId) -> Option<Arc<Window>> {
        if !is_small(id) {
            return None;
        }
        let mut inner = self.inner.lock();
        if let Some(window) = inner.find(id) {
            return Some(window);
        }
        let end = id.offset.saturating_add(id.len);
        let asked_before = inner.asked_near(id)?;
        let range = if asked_before > id.offset {
            // Somebody reads backwards.
            end.saturating_sub(WINDOW_BYTES)..end
        } else {
            let len = if inner.goes_on(id) { LONG_WINDOW_BYTES } else { WINDOW_BYTES };
            id.offset..id.offset.saturating_add(len)
        };
        Some(inner.add(id.segment, range))
    }

    /// The window around a small block that lies in this part of a segment, which can be had at once.
    pub(super) fn window_within(&self, id: &BlockId, part: Range<u32>) -> Arc<Window> {
        let mut inner = self.inner.lock();
        inner.find(id).unwrap_or_else(|| {
            let start = part.start.max(id.offset.saturating_sub(WINDOW_BYTES));
            inner.add(id.segment, start..part.end.min(start.saturating_add(2 * WINDOW_BYTES)))
        })
    }

    /// Forgets a window that was of no use.
    pub(super) fn forget(&self, window: &Arc<Window>) {
        self.inner.lock().windows.retain(|known| !Arc::ptr_eq(known, window));
    }

    /// Forgets everything, and keeps nothing any more.
    pub(super) fn close(&self) {
        *self.inner.lock() = Inner { is_closed: true, ..Inner::default() };
    }
}

/// Whether a block is worth fetching with others.
pub(super) fn is_small(id: &BlockId) -> bool {
    id.len < SMALL_BYTES
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use artifacts_core::namespace::Checksums;

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
        neighbours.window(&id(2, 20, 10));
        assert_eq!(neighbours.window(&id(2, 10, 10)).unwrap().range, 0..20);
        neighbours.close();
        neighbours.window(&id(1, 20, 10));
        neighbours.window(&id(1, 10, 10));
        assert!(neighbours.inner.lock().windows.is_empty());
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
        let mut window = Window::new(SegmentId::from_bits(1), 100..200);
        let block = |offset, bytes: &[u8]| BlockId { digest: Checksums::of(bytes).digest(), ..id(1, offset, bytes.len() as u32) };
        assert_eq!(window.cut(&block(102, b"234")), None, "not there yet");
        window.bytes = OnceCell::new_with(Some(Bytes::from_static(b"0123456789")));
        assert_eq!(window.cut(&block(102, b"234")).unwrap(), "234");
        for (offset, bytes) in [(108, b"89?"), (99, b"?01"), (102, b"233")] {
            assert_eq!(window.cut(&block(offset, bytes)), None);
        }
    }

    #[test]
    fn who_goes_on_behind_a_window_gets_a_longer_one() {
        let neighbours = Neighbours::default();
        neighbours.window(&id(1, 0, 1000));
        let end = neighbours.window(&id(1, 1000, 1000)).unwrap().range.end;
        assert_eq!(neighbours.window(&id(1, end - 500, 1000)).unwrap().range, end - 500..end - 500 + LONG_WINDOW_BYTES);
    }

    #[test]
    fn who_jumps_about_in_one_stretch_gets_all_of_it_when_it_has_paid() {
        const MIB: u32 = 1 << 20;
        let neighbours = Neighbours::default();
        for jump in 1..JUMPS_UNTIL_ALL {
            assert!(!neighbours.jumped_to(&id(1, jump % 4 * MIB, MIB)) && !neighbours.jumped_to(&id(2, 5 * MIB, MIB)));
            assert!(!neighbours.jumped_to(&id(100 + u128::from(jump), 6 * MIB, MIB)));
        }
        assert!(neighbours.jumped_to(&id(1, 3 * MIB + 5, MIB)));
        assert_eq!(neighbours.window_around(&id(1, 3 * MIB + 5, MIB)).range, 0..4 * MIB + 5);
        assert!(!neighbours.jumped_to(&id(1, 0, MIB)), "it counts anew");
        assert_eq!(neighbours.window_around(&id(1, 5 * MIB, MIB)).range, 4 * MIB..8 * MIB);
    }

    #[test]
    fn what_lies_within_reach_at_once_is_no_more_than_that() {
        const MIB: u32 = 1 << 20;
        let neighbours = Neighbours::default();
        let window = neighbours.window_within(&id(1, 3 * MIB, 10), MIB..8 * MIB);
        assert_eq!(window.range, 2 * MIB..4 * MIB);
        assert!(Arc::ptr_eq(&window, &neighbours.window_within(&id(1, 4 * MIB - 10, 10), MIB..8 * MIB)));
        assert_eq!(neighbours.window_within(&id(2, 20, 10), 10..100).range, 10..100);
    }

    #[test]
    fn what_is_cut_is_checked() {
        let neighbours = Neighbours::default();
        let wrong = id(1, 1000, 1000);
        neighbours.window(&id(1, 0, 1000));
        let window = neighbours.window(&wrong).unwrap();
        assert!(window.bytes.set(vec![7; 5000].into()).is_ok() && neighbours.cut(&wrong).is_none());
        let right = BlockId { digest: Checksums::of(&[7; 1000]).digest(), ..wrong };
        assert_eq!(neighbours.cut(&right).unwrap(), [7; 1000][..]);
    }
}
