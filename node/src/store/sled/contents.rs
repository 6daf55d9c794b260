//! What readers see: the table of batches on their way, over the database.

use bytes::Bytes;
use parking_lot::RwLock;

use super::database::Database;
use crate::store::journal::Table;
use crate::store::{Batch, KeyRange, StoreError};

/// How much of a group is applied at a time: scans wait for as long as this takes.
const PART_ENTRIES: usize = 512;
const PART_BYTES: usize = 256 << 10;

/// The open store without its journal.
///
/// The locks are taken in one order: the database's against applying, then the table's. The second is held for moments.
pub(super) struct Contents {
    pub(super) database: Database,
    pub(super) table: RwLock<Table>,
}

impl Contents {
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        // In this order: what has left the table is in the database.
        let on_its_way = self.table.read().get(key);
        on_its_way.map_or_else(|| self.database.get(key), Ok)
    }

    pub(super) fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        // A group that is partly applied is in the table still and covers what the database shows of it.
        self.database.scan(range, limit, || self.table.read().overlay(range, limit))
    }
}

impl Database {
    /// Applies entries in parts. A crash may leave some of them, so they have to be in the journal.
    pub(super) fn apply_in_parts<'a>(&self, entries: impl Iterator<Item = (&'a Bytes, Option<&'a Bytes>)>) -> Result<(), StoreError> {
        let (mut part, mut part_entries, mut part_bytes) = (::sled::Batch::default(), 0, 0);
        for (key, value) in entries {
            part_entries += 1;
            part_bytes += key.len() + value.map_or(0, Bytes::len);
            match value {
                Some(value) => part.insert(&**key, &**value),
                None => part.remove(&**key),
            }
            if part_entries >= PART_ENTRIES || part_bytes >= PART_BYTES {
                self.apply(std::mem::take(&mut part))?;
                (part_entries, part_bytes) = (0, 0);
            }
        }
        if part_entries > 0 { self.apply(part) } else { Ok(()) }
    }

    /// Applies batches that a journal held, in their order, and makes them durable.
    pub(super) fn recover(&self, batches: impl Iterator<Item = Result<Batch, StoreError>>) -> Result<(), StoreError> {
        let mut recovered: u64 = 0;
        for batch in batches {
            self.apply_in_parts(batch?.iter())?;
            recovered += 1;
        }
        if recovered > 0 {
            tracing::info!(batches = recovered, "the journal was applied to the database");
        }
        self.sync()
    }
}
