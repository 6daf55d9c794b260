//! One record of the journal as bytes: a batch with its place in the order, checked by CRC-32C.
//!
//! ```text
//! journal id  u64   secret to the node, so that no data of users can pass for a record
//! checksum    u32   CRC-32C of what follows, without the padding
//! length      u32   of the entries, in bytes
//! sequence    u64   the batch's place, counted from 1 without gaps
//! synced      u64   the last sequence that was on the disk for certain when this one was written
//! entries           key length u16, value length u32 (or DELETED), key, value; to the end
//! padding           to the next multiple of 8
//! ```
//!
//! All numbers are little-endian. Whatever does not check is no record; nothing here trusts a length before its bounds.

use bytes::Bytes;

use crate::store::{Batch, MAX_KEY_BYTES, MAX_VALUE_BYTES};

/// What stands before the entries, in bytes.
const HEADER_BYTES: usize = 32;
/// What stands before the key of an entry, in bytes.
const ENTRY_HEADER_BYTES: usize = 6;
/// Records begin at multiples of this.
pub(super) const ALIGNMENT_BYTES: usize = 8;
/// The checksum covers everything from here on.
const CHECKED_FROM: usize = 12;
/// Stands for the value length of a key that is deleted.
const DELETED: u32 = u32::MAX;

/// A record that checks; its entries are decoded when they are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) sequence: u64,
    pub(super) synced: u64,
    entries: &'a [u8],
}

/// How many bytes a batch takes as a record.
pub(super) fn encoded_len(batch: &Batch) -> usize {
    (HEADER_BYTES + batch.len() * ENTRY_HEADER_BYTES + batch.bytes()).next_multiple_of(ALIGNMENT_BYTES)
}

/// Adds a batch, whose limits have been checked, to `out` as a record.
pub(super) fn encode(journal: u64, sequence: u64, synced: u64, batch: &Batch, out: &mut Vec<u8>) {
    let start = out.len();
    let length = batch.len() * ENTRY_HEADER_BYTES + batch.bytes();
    out.extend_from_slice(&journal.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&(length as u32).to_le_bytes());
    out.extend_from_slice(&sequence.to_le_bytes());
    out.extend_from_slice(&synced.to_le_bytes());
    for (key, value) in batch.iter() {
        out.extend_from_slice(&(key.len() as u16).to_le_bytes());
        out.extend_from_slice(&value.map_or(DELETED, |value| value.len() as u32).to_le_bytes());
        out.extend_from_slice(key);
        out.extend_from_slice(value.map_or(&[][..], |value| value));
    }
    let checksum = crc32c::crc32c(&out[start + CHECKED_FROM..]);
    out[start + 8..start + CHECKED_FROM].copy_from_slice(&checksum.to_le_bytes());
    out.resize(out.len().next_multiple_of(ALIGNMENT_BYTES), 0);
}

impl<'a> Record<'a> {
    /// The record that `bytes` begins with, if there is one.
    pub(super) fn read(journal: u64, bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = bytes.split_at_checked(HEADER_BYTES)?;
        if header[..8] != journal.to_le_bytes() {
            return None;
        }
        let checksum = u32_at(header, 8)?;
        let entries = rest.get(..u32_at(header, 12)? as usize)?;
        let actual = crc32c::crc32c_append(crc32c::crc32c(&header[CHECKED_FROM..]), entries);
        (actual == checksum).then_some(Self { sequence: u64_at(header, 16)?, synced: u64_at(header, 24)?, entries })
    }

    /// How many bytes it takes, padding included.
    pub(super) fn len(&self) -> usize {
        (HEADER_BYTES + self.entries.len()).next_multiple_of(ALIGNMENT_BYTES)
    }

    /// The batch, or `None` when the entries make no sense although they check.
    pub(super) fn batch(&self) -> Option<Batch> {
        let mut batch = Batch::new();
        let mut left = self.entries;
        while !left.is_empty() {
            let (header, rest) = left.split_at_checked(ENTRY_HEADER_BYTES)?;
            let key_len = usize::from(u16::from_le_bytes([header[0], header[1]]));
            let (key, rest) = rest.split_at_checked(key_len).filter(|_| key_len <= MAX_KEY_BYTES)?;
            let key = Bytes::copy_from_slice(key);
            left = match u32_at(header, 2)? {
                DELETED => {
                    batch.delete(key);
                    rest
                }
                value_len => {
                    let value_len = value_len as usize;
                    let (value, rest) = rest.split_at_checked(value_len).filter(|_| value_len <= MAX_VALUE_BYTES)?;
                    batch.put(key, Bytes::copy_from_slice(value));
                    rest
                }
            };
        }
        Some(batch)
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
