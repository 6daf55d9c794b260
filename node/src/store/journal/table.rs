//! The batches that are in the journal and not in the database yet, as readers need them: the last entry of each key.
//!
//! Two layers. Batches go into the *active* one. When it is worth it, it is *frozen*: a group that is applied to the
//! database, and that covers the database for as long as this takes, so no reader sees a part of it. A group is thawed
//! only when the database shows all of it.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use super::merge::{Entry, Merge};
use crate::store::{Batch, KeyRange};

type Entries = BTreeMap<Bytes, Option<Bytes>>;

/// What an entry takes in memory besides its key and value, roughly, in bytes.
const ENTRY_BYTES: usize = 120;

/// The table. Only one group is frozen at a time.
#[derive(Default)]
pub(in crate::store) struct Table {
    active: Entries,
    active_bytes: usize,
    frozen: Option<Arc<Frozen>>,
}

/// A group on its way into the database.
pub(in crate::store) struct Frozen {
    entries: Entries,
    bytes: usize,
    /// The last sequence of the journal that is part of it.
    pub(in crate::store) last_sequence: u64,
}

impl Frozen {
    /// Its entries in the order of their keys.
    pub(in crate::store) fn iter(&self) -> impl Iterator<Item = (&Bytes, Option<&Bytes>)> {
        self.entries.iter().map(|(key, value)| (key, value.as_ref()))
    }
}

impl Table {
    /// Adds a batch: from here on readers see it.
    pub(in crate::store) fn insert(&mut self, batch: Batch) {
        for (key, value) in batch.into_entries() {
            let key_bytes = key.len() + ENTRY_BYTES;
            self.active_bytes += key_bytes + value.as_ref().map_or(0, Bytes::len);
            if let Some(replaced) = self.active.insert(key, value) {
                self.active_bytes -= key_bytes + replaced.map_or(0, |value| value.len());
            }
        }
    }

    /// What the table says of a key: nothing, that it is deleted, or its value.
    pub(in crate::store) fn get(&self, key: &[u8]) -> Option<Option<Bytes>> {
        let frozen = || self.frozen.as_ref().and_then(|frozen| frozen.entries.get(key));
        self.active.get(key).or_else(frozen).cloned()
    }

    /// What the table says of a range, as far as a scan of `limit` pairs can need it: up to the key of its `limit`th value.
    pub(in crate::store) fn overlay(&self, range: &KeyRange, limit: usize) -> Vec<Entry> {
        if range.is_empty() || limit == 0 {
            return Vec::new();
        }
        let frozen = self.frozen.iter().flat_map(|frozen| within(&frozen.entries, range)).map(Ok);
        let mut overlay = Vec::new();
        let mut values = 0;
        // Nothing in memory can fail.
        for entry in Merge::new(within(&self.active, range), frozen).flatten() {
            values += usize::from(entry.1.is_some());
            overlay.push(entry);
            if values == limit {
                break;
            }
        }
        overlay
    }

    /// Freezes the active layer, which holds everything up to `last_sequence`. There must be no frozen one.
    pub(in crate::store) fn freeze(&mut self, last_sequence: u64) -> Arc<Frozen> {
        let entries = std::mem::take(&mut self.active);
        let frozen = Arc::new(Frozen { entries, bytes: std::mem::take(&mut self.active_bytes), last_sequence });
        self.frozen = Some(Arc::clone(&frozen));
        frozen
    }

    /// Lets go of the frozen group: the database shows it. The caller drops it, outside of the lock.
    pub(in crate::store) fn thaw(&mut self) -> Option<Arc<Frozen>> {
        self.frozen.take()
    }

    /// How much memory the active layer takes, roughly, in bytes.
    pub(in crate::store) const fn active_bytes(&self) -> usize {
        self.active_bytes
    }

    /// How much memory the table takes, roughly, in bytes.
    pub(in crate::store) fn bytes(&self) -> usize {
        self.active_bytes + self.frozen.as_ref().map_or(0, |frozen| frozen.bytes)
    }
}

fn within<'a>(entries: &'a Entries, range: &'a KeyRange) -> impl Iterator<Item = Entry> + 'a {
    let end = range.end().map_or(Bound::Unbounded, |end| Bound::Excluded(&end[..]));
    entries.range::<[u8], _>((Bound::Included(&range.start()[..]), end)).map(|(key, value)| (key.clone(), value.clone()))
}
