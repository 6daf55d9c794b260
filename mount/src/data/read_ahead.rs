use std::collections::HashMap;

use artifacts_core::namespace::Ino;
use parking_lot::Mutex;

/// How much is read ahead at first, and at the most, in bytes.
const WINDOW_MIN_BYTES: u64 = 1 << 20;
const WINDOW_MAX_BYTES: u64 = 8 << 20;
/// So much of a file must have been read in order before anything is read ahead, in bytes.
const TRUST_BYTES: u64 = 256 << 10;
/// The kernel sends the requests of one sequential reader side by side; this far out of order they still count as one
/// stream, in bytes.
const SLACK_BYTES: u64 = 4 << 20;
/// For so many files at once it is remembered how they are read.
const STREAMS_MAX: usize = 64;

/// What to read ahead of a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ahead {
    /// The file.
    pub(crate) ino: Ino,
    /// From where.
    pub(crate) offset: u64,
    /// How much, in bytes.
    pub(crate) len: u64,
    /// For [`ReadAhead::still_wanted`].
    stream: u64,
}

/// Judges from the reads of each file which part of it will be wanted next. A file that is read in order is read
/// ahead, twice as far each time, up to a bound; a jump elsewhere cancels that and begins anew.
#[derive(Debug)]
pub(crate) struct ReadAhead {
    window_max: u64,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    streams: HashMap<Ino, Stream>,
    /// Counts uses and begun streams.
    clock: u64,
}

#[derive(Debug, Clone, Copy)]
struct Stream {
    begun: u64,
    used: u64,
    /// The furthest that was read.
    end: u64,
    in_order: u64,
    /// The furthest that was asked for ahead.
    ahead: u64,
    window: u64,
    is_useless: bool,
}

impl ReadAhead {
    /// For a cache of this size, of which it uses a quarter for one file.
    pub(crate) fn new(cache_bytes: u64) -> Self {
        Self { window_max: WINDOW_MAX_BYTES.min(cache_bytes / 4), inner: Mutex::default() }
    }

    /// A file of this size was read in this range. Answers what to read ahead, if anything.
    pub(crate) fn read(&self, ino: Ino, offset: u64, len: u64, size: u64) -> Option<Ahead> {
        let end = offset.saturating_add(len).min(size);
        if self.window_max < WINDOW_MIN_BYTES || end <= offset {
            return None;
        }
        let mut inner = self.inner.lock();
        inner.clock += 1;
        let now = inner.clock;
        let new = Stream { begun: now, used: now, end, in_order: 0, ahead: end, window: WINDOW_MIN_BYTES, is_useless: false };
        let stream = inner.streams.entry(ino).or_insert(new);
        if offset.saturating_add(SLACK_BYTES) < stream.end || offset > stream.end.saturating_add(SLACK_BYTES) {
            *stream = new;
        }
        stream.used = now;
        stream.in_order = stream.in_order.saturating_add(end - offset);
        stream.end = stream.end.max(end);
        stream.ahead = stream.ahead.max(stream.end);
        let goes_on = stream.in_order >= TRUST_BYTES && !stream.is_useless;
        let target = stream.end.saturating_add(stream.window).min(size);
        let ahead = (goes_on && stream.ahead < target && stream.ahead - stream.end <= stream.window / 2).then(|| {
            let ahead = Ahead { ino, offset: stream.ahead, len: target - stream.ahead, stream: stream.begun };
            stream.ahead = target;
            stream.window = (stream.window * 2).min(self.window_max);
            ahead
        });
        inner.forget_the_oldest();
        ahead
    }

    /// Whether the reader still reads in order.
    pub(crate) fn still_wanted(&self, ahead: &Ahead) -> bool {
        self.inner.lock().streams.get(&ahead.ino).is_some_and(|stream| stream.begun == ahead.stream)
    }

    /// There was nothing to fetch: the file's bytes come with the answer that names them.
    pub(crate) fn useless(&self, ahead: &Ahead) {
        if let Some(stream) = self.inner.lock().streams.get_mut(&ahead.ino).filter(|stream| stream.begun == ahead.stream) {
            stream.is_useless = true;
        }
    }

    /// Forgets all readers, which cancels everything.
    pub(crate) fn clear(&self) {
        self.inner.lock().streams.clear();
    }
}

impl Inner {
    fn forget_the_oldest(&mut self) {
        if self.streams.len() > STREAMS_MAX
            && let Some((&oldest, _)) = self.streams.iter().min_by_key(|(_, stream)| stream.used)
        {
            self.streams.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const MIB: u64 = 1 << 20;
    const FILE: Ino = Ino(7);

    fn machine() -> ReadAhead {
        ReadAhead::new(32 * MIB)
    }

    #[test]
    fn a_sequential_reader_is_followed_by_a_growing_window_without_a_gap() {
        let machine = machine();
        let (mut asked_to, mut longest) = (None, 0);
        for block in 0..100 {
            if let Some(ahead) = machine.read(FILE, block * MIB, MIB, 100 * MIB) {
                assert_eq!(ahead.offset, asked_to.unwrap_or((block + 1) * MIB), "neither a gap nor anything twice");
                assert!(ahead.offset + ahead.len <= 100 * MIB);
                assert!(ahead.offset + ahead.len - (block + 1) * MIB <= WINDOW_MAX_BYTES);
                asked_to = Some(ahead.offset + ahead.len);
                longest = longest.max(ahead.len);
                assert!(machine.still_wanted(&ahead));
            }
        }
        assert_eq!(asked_to, Some(100 * MIB), "up to the end");
        assert!(longest >= 4 * MIB, "{longest}");
    }

    #[test]
    fn requests_that_come_out_of_order_are_one_stream() {
        let machine = machine();
        let asked: Vec<_> = [0, 2, 1, 3, 5, 4].into_iter().filter_map(|block| machine.read(FILE, block * MIB, MIB, 100 * MIB)).collect();
        assert!(asked.len() >= 2);
        assert!(asked.windows(2).all(|pair| pair[0].offset + pair[0].len <= pair[1].offset));
        assert!(asked.iter().all(|ahead| machine.still_wanted(ahead)));
    }

    #[test]
    fn a_jump_cancels_and_random_readers_get_nothing() {
        let machine = machine();
        let ahead = machine.read(FILE, 0, MIB, 1000 * MIB).unwrap();
        assert!(machine.read(FILE, 500 * MIB, 4096, 1000 * MIB).is_none());
        assert!(!machine.still_wanted(&ahead));
        for at in [20, 900, 3, 77, 410, 555] {
            assert!(machine.read(FILE, at * MIB, 4096, 1000 * MIB).is_none());
        }
    }

    #[test]
    fn small_first_reads_and_ends_of_files_ask_for_nothing() {
        let machine = machine();
        assert!(machine.read(FILE, 0, 4096, 1000 * MIB).is_none());
        assert!(machine.read(Ino(8), 0, MIB, MIB).is_none());
        assert!(machine.read(Ino(9), MIB, MIB, MIB).is_none());
        assert!(machine.read(Ino(9), u64::MAX, u64::MAX, 1000 * MIB).is_none());
        assert!(ReadAhead::new(MIB).read(FILE, 0, MIB, 1000 * MIB).is_none(), "no room for it");
    }

    #[test]
    fn what_proved_useless_is_not_tried_again_until_the_reader_jumps() {
        let machine = machine();
        let ahead = machine.read(FILE, 0, MIB, 1000 * MIB).unwrap();
        machine.useless(&ahead);
        assert!((1..20).all(|block| machine.read(FILE, block * MIB, MIB, 1000 * MIB).is_none()));
        assert!(machine.read(FILE, 500 * MIB, MIB, 1000 * MIB).is_some());
    }

    #[test]
    fn files_are_forgotten_beyond_a_bound() {
        let machine = machine();
        for ino in 0..1000 {
            machine.read(Ino(ino), 0, MIB, 1000 * MIB);
        }
        assert_eq!(machine.inner.lock().streams.len(), STREAMS_MAX);
        machine.clear();
        assert!(machine.inner.lock().streams.is_empty());
    }
}
