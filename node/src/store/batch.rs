//! An atomic set of changes, and how long they must last before the writer goes on.

use bytes::Bytes;

use super::StoreError;

/// The longest key, in bytes. A POSIX name (255) with its prefix fits several times.
pub const MAX_KEY_BYTES: usize = 1024;

/// The longest value, in bytes: the longest extended attribute of Linux (64 KiB, `XATTR_SIZE_MAX`) or the data of
/// a small commit, with room for an envelope. See `sled/database.rs` for why it may not simply be raised.
pub const MAX_VALUE_BYTES: usize = 80 * 1024;

/// What has to be true of a write when it returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// Every later read sees it; it becomes durable by itself within 500 ms.
    Visible,
    /// It is visible, and it survives `kill -9` and the loss of power together with everything before it.
    Durable,
}

/// Puts and deletes that take effect together; of two entries with one key the later wins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    entries: Vec<(Bytes, Option<Bytes>)>,
    bytes: usize,
}

impl Batch {
    /// A batch without entries: written with [`Durability::Durable`] it is a barrier.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key to a value.
    pub fn put(&mut self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> &mut Self {
        let (key, value) = (key.into(), value.into());
        self.bytes += key.len() + value.len();
        self.entries.push((key, Some(value)));
        self
    }

    /// Removes a key; one that is absent stays absent.
    pub fn delete(&mut self, key: impl Into<Bytes>) -> &mut Self {
        let key = key.into();
        self.bytes += key.len();
        self.entries.push((key, None));
        self
    }

    /// Adds the entries of another batch after those of this one.
    pub fn append(&mut self, mut other: Batch) -> &mut Self {
        self.bytes += other.bytes;
        self.entries.append(&mut other.entries);
        self
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many entries there are, counting a key twice that was set twice.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The size of all keys and values together, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The entries in their order; `None` deletes the key.
    pub fn iter(&self) -> impl Iterator<Item = (&Bytes, Option<&Bytes>)> {
        self.entries.iter().map(|(key, value)| (key, value.as_ref()))
    }

    /// Whether the batch only removes keys, which is how room is made in a full store.
    pub(super) fn only_deletes(&self) -> bool {
        self.entries.iter().all(|(_, value)| value.is_none())
    }

    pub(super) fn into_entries(self) -> impl Iterator<Item = (Bytes, Option<Bytes>)> {
        self.entries.into_iter()
    }

    /// Refuses what not every implementation can hold, so that code tested on one works on all.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        for (key, value) in &self.entries {
            if key.len() > MAX_KEY_BYTES {
                return Err(StoreError::TooLarge { what: "a key", bytes: key.len(), max_bytes: MAX_KEY_BYTES });
            }
            let bytes = value.as_ref().map_or(0, Bytes::len);
            if bytes > MAX_VALUE_BYTES {
                return Err(StoreError::TooLarge { what: "a value", bytes, max_bytes: MAX_VALUE_BYTES });
            }
        }
        Ok(())
    }
}
