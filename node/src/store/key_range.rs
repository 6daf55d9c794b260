//! A range of keys, as the scans of a store take it.

use std::ops::Bound;

use bytes::{BufMut, Bytes, BytesMut};

/// The keys from a start, inclusive, to an end, exclusive; without an end, all keys from the start on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    start: Bytes,
    end: Option<Bytes>,
}

impl KeyRange {
    /// Every key.
    pub fn all() -> Self {
        Self { start: Bytes::new(), end: None }
    }

    /// The keys that begin with `prefix`.
    pub fn prefix(prefix: &[u8]) -> Self {
        Self { start: Bytes::copy_from_slice(prefix), end: successor(prefix) }
    }

    /// The keys from `start`, inclusive, to `end`, exclusive. Empty when `end` is not above `start`.
    pub fn between(start: &[u8], end: &[u8]) -> Self {
        Self { start: Bytes::copy_from_slice(start), end: Some(Bytes::copy_from_slice(end)) }
    }

    /// What is left of this range behind `key`: with the last key of a page, the range of the next page.
    #[must_use]
    pub fn after(self, key: &[u8]) -> Self {
        let mut next = BytesMut::with_capacity(key.len() + 1);
        next.put_slice(key);
        next.put_u8(0);
        Self { start: self.start.max(next.freeze()), end: self.end }
    }

    /// The first key that may be in the range.
    pub fn start(&self) -> &Bytes {
        &self.start
    }

    /// The first key above the range, if it has an end.
    pub fn end(&self) -> Option<&Bytes> {
        self.end.as_ref()
    }

    /// Whether no key can be in the range.
    pub fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| *end <= self.start)
    }

    /// Whether `key` is in the range.
    pub fn contains(&self, key: &[u8]) -> bool {
        *self.start <= *key && self.end.as_ref().is_none_or(|end| *key < **end)
    }

    /// The two bounds as the standard library's ordered maps take them. They panic on an empty range: check first.
    pub(super) fn bounds(&self) -> (Bound<Bytes>, Bound<Bytes>) {
        (Bound::Included(self.start.clone()), self.end.clone().map_or(Bound::Unbounded, Bound::Excluded))
    }
}

/// The smallest key above every key that begins with `prefix`; none when the prefix is nothing but `0xff`.
fn successor(prefix: &[u8]) -> Option<Bytes> {
    let kept = prefix.iter().rposition(|&byte| byte != 0xff)?;
    let mut end = BytesMut::from(&prefix[..=kept]);
    end[kept] += 1;
    Some(end.freeze())
}
