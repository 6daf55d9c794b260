//! Two sequences of keys in ascending order as one, in which the newer covers the older.

use std::cmp::Ordering;
use std::iter::Peekable;

use bytes::Bytes;

use crate::store::StoreError;

/// A key and what was last said of it: a value, or that it is deleted.
pub(in crate::store) type Entry = (Bytes, Option<Bytes>);

/// Yields the entries of both in the order of their keys; of two with one key the newer one's. Deletions are yielded:
/// they may cover something older still.
pub(in crate::store) struct Merge<N: Iterator, O: Iterator> {
    newer: Peekable<N>,
    older: Peekable<O>,
}

impl<N, O> Merge<N, O>
where
    N: Iterator<Item = Entry>,
    O: Iterator<Item = Result<Entry, StoreError>>,
{
    pub(in crate::store) fn new(newer: N, older: O) -> Self {
        Self { newer: newer.peekable(), older: older.peekable() }
    }
}

impl<N, O> Iterator for Merge<N, O>
where
    N: Iterator<Item = Entry>,
    O: Iterator<Item = Result<Entry, StoreError>>,
{
    type Item = Result<Entry, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let order = match (self.newer.peek(), self.older.peek()) {
            (_, Some(Err(_))) | (None, _) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some((newer, _)), Some(Ok((older, _)))) => newer.cmp(older),
        };
        match order {
            Ordering::Greater => self.older.next(),
            Ordering::Less => self.newer.next().map(Ok),
            Ordering::Equal => {
                self.older.next();
                self.newer.next().map(Ok)
            }
        }
    }
}
