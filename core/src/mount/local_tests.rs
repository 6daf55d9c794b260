#![allow(clippy::unwrap_used)]
use crate::namespace::{Name, NewNode, Piece, Position};
use crate::protocol::OpResult;
use crate::replica::{Fetch, Records};

use super::*;

/// A mount under the lease whose node knows an empty root directory.
struct Bench {
    local: Local,
    outbox: Outbox,
    open: OpenCounts,
    segments: u128,
}

impl Bench {
    fn new() -> Self {
        let mut local = Local::whole(7, Limits::default());
        for (key, record) in namespace::format(0, 0, 0o777, 0) {
            let encoded = Bytes::from(key.encode());
            local.replica.learn(&Fetch::Key(encoded.clone()), Records { rows: vec![(encoded, record.unwrap())], ..Records::default() });
        }
        let prefix = Bytes::from(namespace::Key::dentries_of(Ino::ROOT));
        local.replica.learn(&Fetch::range(prefix.clone(), prefix, 1), Records::default());
        Self { local, outbox: Outbox::default(), open: OpenCounts::default(), segments: 0 }
    }

    fn commit(&mut self, mutation: Mutation) -> Outcome {
        self.local.commit(&Op { mutation, time: 1 }, 0, &mut self.outbox, &mut self.open).unwrap()
    }

    fn file(&mut self, ino: u64) {
        let name = Name::new(format!("f{ino}")).unwrap();
        self.commit(Mutation::Create {
            parent: Ino::ROOT,
            name,
            ino: Ino(ino),
            node: NewNode::File,
            mode: 0o644,
            umask: 0,
            uid: 0,
            gid: 0,
        });
    }

    fn write(&mut self, ino: u64, len: usize) {
        let extents = vec![Extent::inline(Bytes::from(vec![ino as u8; len]))];
        self.commit(Mutation::Write { ino: Ino(ino), position: Position::End, extents, kill_privileges: false });
    }

    fn unlink(&mut self, ino: u64) {
        self.commit(Mutation::Unlink { parent: Ino::ROOT, name: Name::new(format!("f{ino}")).unwrap() });
    }

    fn cut(&mut self, everything: bool) -> Vec<Upload> {
        let segments = &mut self.segments;
        self.local.cut(everything, &mut self.outbox, &Traces::default(), || {
            *segments += 1;
            SegmentId::from_bits(*segments)
        })
    }

    /// What leaves now, in short: the numbers of ops, or what else there is.
    fn leaves(&mut self) -> Vec<String> {
        let (frames, _) = self.local.frames(&self.outbox);
        let tell = |frame: &ClientFrame| match frame {
            ClientFrame::Decided { ops, .. } => format!("{:?}", ops.iter().map(|op| op.seq).collect::<Vec<_>>()),
            ClientFrame::Opened { inodes } => format!("opened {inodes:?}"),
            ClientFrame::Closed { inodes } => format!("closed {inodes:?}"),
            ClientFrame::Flush { seq } => format!("flush {seq}"),
            other => format!("{other:?}"),
        };
        frames.iter().map(tell).collect()
    }

    fn pieces(&mut self, ino: u64) -> Vec<Piece> {
        match self.local.answer(&Request::Pieces { ino: Ino(ino), offset: 0, len: u64::MAX }, &mut self.open).unwrap() {
            Answer::Pieces { pieces, .. } => pieces,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn data_on_its_way_is_bounded() {
    let mut bench = Bench::new();
    bench.file(100);
    let mut uploads = VecDeque::new();
    while bench.local.has_room() {
        (0..8).for_each(|_| bench.write(100, SEGMENT_BYTES / 8));
        uploads.extend(bench.cut(false));
        assert!(uploads.len() <= ON_ITS_WAY_MAX / SEGMENT_BYTES);
    }
    assert_eq!(uploads.len(), ON_ITS_WAY_MAX / SEGMENT_BYTES);
    bench.local.uploaded(uploads[0].segment);
    assert!(bench.local.has_room());
    for upload in uploads {
        bench.local.uploaded(upload.segment);
    }
    assert_eq!(bench.local.on_its_way_bytes, 0);
}

#[test]
fn little_data_travels_inside_its_op() {
    let mut bench = Bench::new();
    bench.file(16);
    bench.write(16, 4_096);
    assert!(bench.leaves().is_empty(), "nothing was cut yet");
    assert!(bench.cut(true).is_empty());
    assert_eq!(bench.leaves(), ["[1, 2]"]);
    assert!(
        matches!(&bench.outbox.get(2).unwrap().op.mutation, Mutation::Write { extents, .. } if matches!(extents[0].source, Source::Inline { .. }))
    );
    assert!(bench.local.is_drained());
}

#[test]
fn many_small_files_are_one_segment_that_is_durable_before_they_are_named() {
    let mut bench = Bench::new();
    for ino in 16..116 {
        bench.file(ino);
        bench.write(ino, 1_000);
    }
    bench.local.want_flush(200);
    let uploads = bench.cut(true);
    assert_eq!(uploads.iter().map(|upload| upload.data.len()).collect::<Vec<_>>(), [100_000]);
    assert!(bench.leaves().is_empty(), "the segment is not there yet");
    assert!(matches!(bench.pieces(20)[0].extent.source, Source::Inline { .. }), "its bytes are read from here meanwhile");
    let kept = bench.local.uploaded(SegmentId::from_bits(1));
    assert_eq!(kept.len(), 100);
    assert!(matches!(kept[3].0, Source::Block { block_offset: 3_000, .. }));
    assert_eq!(kept[3].1[..2], [19u8, 19]);
    let frames = bench.leaves();
    assert_eq!((frames.len(), frames[1].as_str()), (2, "flush 200"));
    let extent = &bench.pieces(20)[0].extent;
    assert!(matches!(extent.source, Source::Block { block_offset: 4_000, block_len: 1_000, skip: 0, .. }), "{extent:?}");
    assert_eq!(bench.outbox.get(10).map(|op| data_bytes(&op.op.mutation)), Some(0), "the data is not kept twice");
}

#[test]
fn parcels_leave_in_their_order_whichever_segment_is_durable_first() {
    let mut bench = Bench::new();
    bench.file(16);
    for _ in 0..17 {
        bench.write(16, 1 << 20);
    }
    let uploads = bench.cut(false);
    assert_eq!(uploads.iter().map(|upload| upload.data.len() >> 20).collect::<Vec<_>>(), [8, 8]);
    bench.local.uploaded(SegmentId::from_bits(2));
    assert!(bench.leaves().is_empty());
    bench.local.uploaded(SegmentId::from_bits(1));
    assert_eq!(bench.leaves(), ["[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]"]);
    assert!(!bench.local.is_drained(), "the rest waits for more");
    assert_eq!(bench.cut(true).len(), 1);
}

#[test]
fn a_file_that_is_open_when_its_last_link_goes_is_known_to_be_open_before() {
    let mut bench = Bench::new();
    for ino in [16, 17] {
        bench.file(ino);
        bench.open.open(Ino(ino));
        bench.write(ino, 100);
    }
    assert!(bench.open.close(Ino(17)));
    bench.local.closed(Ino(17), &mut bench.open, 4);
    bench.unlink(16);
    bench.unlink(17);
    assert!(bench.local.answer(&Request::Attr { ino: Ino(16) }, &mut bench.open).is_ok(), "it lives until it is closed");
    assert!(matches!(bench.local.answer(&Request::Attr { ino: Ino(17) }, &mut bench.open), Err(Stop::Refused(Errno::ENOENT))));
    assert!(bench.open.close(Ino(16)));
    bench.local.closed(Ino(16), &mut bench.open, 6);
    bench.cut(true);
    assert_eq!(bench.leaves(), ["[1, 2, 3, 4]", "opened [#16]", "[5, 6]", "closed [#16]"]);
    let usage = bench.local.answer(&Request::Usage, &mut bench.open).unwrap();
    assert!(matches!(usage, Answer::Usage { usage, .. } if usage.inodes == 1 && usage.bytes == 0), "{usage:?}");
}

#[test]
fn the_memory_of_what_is_known_is_bounded_once_the_node_has_it() {
    let mut bench = Bench::new();
    let mut ino = 16;
    while bench.local.replica.bytes() < REPLICA_MAX_BYTES + (1 << 20) {
        bench.file(ino);
        ino += 1;
    }
    bench.local.trim(0, &bench.open);
    assert!(bench.local.replica.bytes() > REPLICA_MAX_BYTES, "the node has applied none of it");
    bench.cut(true);
    bench.leaves();
    for seq in 1..=bench.outbox.last_seq() {
        bench.outbox.applied(&OpResult { seq, order: seq, result: Ok(Outcome::default()) });
    }
    bench.local.trim(bench.outbox.acked(), &bench.open);
    assert!(bench.local.replica.bytes() <= REPLICA_MAX_BYTES);
}

/// A stream breaks, and what is open is said anew: a file without a name that was closed meanwhile must not go before what was
/// written to it has come.
#[test]
fn a_file_that_was_closed_counts_as_open_until_what_was_written_to_it_is_sent() {
    let mut bench = Bench::new();
    bench.file(1_000);
    bench.open.open(Ino(1_000));
    bench.unlink(1_000);
    assert_eq!(bench.local.closing(), []);
    bench.write(1_000, 10);
    assert!(bench.open.close(Ino(1_000)));
    let last_seq = bench.outbox.last_seq();
    bench.local.closed(Ino(1_000), &mut bench.open, last_seq);
    assert_eq!(bench.local.closing(), [Ino(1_000)]);
    bench.cut(true);
    assert_eq!(bench.local.closing(), [Ino(1_000)], "on its way is not sent");
    bench.local.frames(&bench.outbox);
    assert_eq!(bench.local.closing(), []);
}
