//! How a sealed segment lies in its object: chunks of 64 KiB, the last one shorter, each followed by its tag.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::segment_cipher::{Place, SegmentCipher, TAG_BYTES};

/// The plain bytes of a chunk.
const CHUNK: u64 = 64 * 1024;
const SEALED_CHUNK: u64 = CHUNK + TAG_BYTES as u64;

/// Seals a segment.
pub(super) fn seal(cipher: &SegmentCipher, plain: &[u8]) -> Option<Bytes> {
    let len = sealed_len(plain.len() as u64);
    let mut sealed = BytesMut::with_capacity(len as usize);
    for (number, chunk) in (0..).zip(plain.chunks(CHUNK as usize)) {
        let start = sealed.len();
        sealed.extend_from_slice(chunk);
        let tag = cipher.seal(place(number, len), &mut sealed[start..])?;
        sealed.extend_from_slice(&tag);
    }
    Some(sealed.freeze())
}

/// Where in the object the chunks are that have these bytes; `len` is that of the whole object.
pub(super) fn chunks_of(range: &Range<u64>, len: u64) -> Range<u64> {
    let end = range.end.div_ceil(CHUNK) * SEALED_CHUNK;
    range.start / CHUNK * SEALED_CHUNK..end.min(len)
}

/// Opens the chunks that [`chunks_of`] has named, in the buffer that they are in if nobody else holds it, and cuts the bytes
/// out of it. Nothing if they were not sealed as this.
pub(super) fn open(cipher: &SegmentCipher, range: &Range<u64>, len: u64, sealed: Bytes) -> Option<Bytes> {
    let mut buffer = sealed.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
    let first = range.start / CHUNK;
    // Each chunk moves forward by the tags of those before it, to where the one before it ends.
    let (mut from, mut to) = (0, 0);
    for number in first.. {
        let end = buffer.len().min(from + SEALED_CHUNK as usize);
        if from == end {
            break;
        }
        cipher.open_to_front(place(number, len), &mut buffer[to..end], from - to)?;
        (from, to) = (end, to + (end - from) - TAG_BYTES);
    }
    buffer.truncate(to);
    let skip = (range.start - first * CHUNK) as usize;
    let wanted = skip..skip + (range.end - range.start) as usize;
    (wanted.end <= to).then(|| buffer.freeze().slice(wanted))
}

/// How long the object of a segment of this length is.
pub(super) fn sealed_len(plain: u64) -> u64 {
    plain + plain.div_ceil(CHUNK) * TAG_BYTES as u64
}

/// How long the segment in an object of this length is; nothing if none is sealed to this length.
pub(super) fn plain_len(sealed: u64) -> Option<u64> {
    let is_whole = sealed.is_multiple_of(SEALED_CHUNK) || sealed % SEALED_CHUNK > TAG_BYTES as u64;
    is_whole.then(|| sealed - sealed.div_ceil(SEALED_CHUNK) * TAG_BYTES as u64)
}

/// Of a chunk in an object of this length.
fn place(number: u64, len: u64) -> Place {
    Place { number, is_last: number + 1 == len.div_ceil(SEALED_CHUNK) }
}
