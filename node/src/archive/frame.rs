use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What a stream begins with.
pub(super) const MAGIC: &[u8; 16] = b"artifacts-data-1";
/// No frame is longer, in bytes: a segment of 8 MiB and its name.
pub(super) const FRAME_MAX_BYTES: usize = 16 << 20;

/// A part of the stream.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Frame {
    /// Comes first.
    Header {
        /// Where the node has its segments. They are in the stream if that is a directory.
        blobs: String,
    },
    /// Rows of the store, as keys and values.
    Rows(Vec<(Bytes, Bytes)>),
    /// A segment.
    Segment {
        /// Its key.
        key: String,
        /// Its content.
        data: Bytes,
    },
    /// Comes last.
    End {
        /// What came before.
        summary: Summary,
        /// BLAKE3 of the contents of all frames before.
        hash: [u8; 32],
    },
}

/// What was moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Rows of metadata.
    pub rows: u64,
    /// Segments.
    pub segments: u64,
    /// Their sizes together.
    pub segment_bytes: u64,
}

impl Summary {
    pub(super) fn count(&mut self, frame: &Frame) {
        match frame {
            Frame::Rows(rows) => self.rows += rows.len() as u64,
            Frame::Segment { data, .. } => {
                self.segments += 1;
                self.segment_bytes += data.len() as u64;
            }
            Frame::Header { .. } | Frame::End { .. } => {}
        }
    }
}
