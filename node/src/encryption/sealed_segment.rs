//! How a sealed segment lies in its object: chunks of 64 KiB, the last one shorter, each followed by its tag.

use std::ops::Range;

use artifacts_core::SegmentId;
use bytes::{Bytes, BytesMut};
use chacha20poly1305::XNonce;
use chacha20poly1305::aead::{Aead as _, Payload};

use super::DataKey;

/// The plain bytes of a chunk.
const CHUNK: u64 = 64 * 1024;
const TAG: u64 = 16;
const SEALED_CHUNK: u64 = CHUNK + TAG;

/// Seals a segment.
pub(super) fn seal(key: &DataKey, segment: SegmentId, plain: &[u8]) -> Option<Bytes> {
    let mut sealed = BytesMut::with_capacity(sealed_len(plain.len() as u64) as usize);
    for (index, chunk) in plain.chunks(CHUNK as usize).enumerate() {
        let nonce = nonce(segment, index as u64);
        sealed.extend_from_slice(&key.0.encrypt(XNonce::from_slice(&nonce), Payload { msg: chunk, aad: b"" }).ok()?);
    }
    Some(sealed.freeze())
}

/// Where in the object the chunks are that have these bytes; `len` is that of the whole object.
pub(super) fn chunks_of(range: &Range<u64>, len: u64) -> Range<u64> {
    let end = range.end.div_ceil(CHUNK) * SEALED_CHUNK;
    range.start / CHUNK * SEALED_CHUNK..end.min(len)
}

/// Opens the chunks that [`chunks_of`] has named, and cuts the bytes out of them. Nothing if they were not sealed as this.
pub(super) fn open(key: &DataKey, segment: SegmentId, range: &Range<u64>, sealed: &[u8]) -> Option<Bytes> {
    let first = range.start / CHUNK;
    let mut plain = BytesMut::with_capacity(sealed.len());
    for (index, chunk) in (first..).zip(sealed.chunks(SEALED_CHUNK as usize)) {
        let nonce = nonce(segment, index);
        plain.extend_from_slice(&key.0.decrypt(XNonce::from_slice(&nonce), Payload { msg: chunk, aad: b"" }).ok()?);
    }
    let skip = (range.start - first * CHUNK) as usize;
    let plain = plain.freeze();
    let wanted = skip..skip + (range.end - range.start) as usize;
    (wanted.end <= plain.len()).then(|| plain.slice(wanted))
}

/// How long the object of a segment of this length is.
pub(super) fn sealed_len(plain: u64) -> u64 {
    plain + plain.div_ceil(CHUNK) * TAG
}

/// How long the segment in an object of this length is.
pub(super) fn plain_len(sealed: u64) -> u64 {
    sealed.saturating_sub(sealed.div_ceil(SEALED_CHUNK) * TAG)
}

/// A segment's id is never used again, and its bytes never change: no nonce comes twice.
fn nonce(segment: SegmentId, chunk: u64) -> [u8; 24] {
    let mut nonce = [0; 24];
    nonce[..16].copy_from_slice(&segment.bits().to_be_bytes());
    nonce[16..].copy_from_slice(&chunk.to_be_bytes());
    nonce
}
