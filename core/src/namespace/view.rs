use std::collections::BTreeMap;
use std::ops::Bound;

use super::{Key, Record};

/// The view would have to fetch this first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// One record.
    Key(Key),
    /// The records from a key on (the key included) whose encoding begins with the prefix; the view may bring any
    /// number of them, but at least the first, or the knowledge that there is none.
    From {
        /// Where to begin, encoded.
        start: Vec<u8>,
        /// Where to end.
        prefix: Vec<u8>,
    },
}

/// A readable state of a namespace.
pub trait View {
    /// The record at `key`, if there is one.
    ///
    /// # Errors
    /// [`Missing`] when the view cannot tell yet.
    fn get(&self, key: &Key) -> Result<Option<Record>, Missing>;

    /// The first record from this bound on whose encoded key begins with `prefix`.
    ///
    /// # Errors
    /// [`Missing`] when the view cannot tell yet.
    fn first_in(&self, from: Bound<&Key>, prefix: &[u8]) -> Result<Option<(Key, Record)>, Missing>;
}

/// The smallest encoded key within a lower bound.
pub fn encoded_start(from: Bound<&Key>) -> Vec<u8> {
    match from {
        Bound::Included(key) => key.encode(),
        Bound::Excluded(key) => {
            let mut start = key.encode();
            start.push(0);
            start
        }
        Bound::Unbounded => Vec::new(),
    }
}

/// A whole namespace in memory, which lacks nothing: for tests, models and small simulations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryView {
    records: BTreeMap<Vec<u8>, Record>,
}

impl MemoryView {
    /// Takes in the outcome of an op.
    pub fn absorb(&mut self, changes: &super::Changes) {
        for (key, record) in changes {
            match record {
                Some(record) => self.records.insert(key.encode(), record.clone()),
                None => self.records.remove(&key.encode()),
            };
        }
    }

    /// All records, in order.
    pub fn records(&self) -> impl Iterator<Item = (Key, &Record)> {
        self.records.iter().filter_map(|(key, record)| Some((Key::decode(key)?, record)))
    }
}

impl View for MemoryView {
    fn get(&self, key: &Key) -> Result<Option<Record>, Missing> {
        Ok(self.records.get(&key.encode()).cloned())
    }

    fn first_in(&self, from: Bound<&Key>, prefix: &[u8]) -> Result<Option<(Key, Record)>, Missing> {
        let next = self.records.range(encoded_start(from)..).next().filter(|(key, _)| key.starts_with(prefix));
        Ok(next.and_then(|(key, record)| Some((Key::decode(key)?, record.clone()))))
    }
}
