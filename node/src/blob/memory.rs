//! Objects in memory, for tests and the simulator.

use std::collections::BTreeMap;
use std::ops::{Bound, Range};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use super::{BlobError, BlobKey, BlobStore};

/// Objects in memory. Every future is ready at its first poll; since a put is durable on return, a crash loses none of them.
#[derive(Default)]
pub struct MemoryBlobs {
    objects: Mutex<BTreeMap<BlobKey, Bytes>>,
}

impl MemoryBlobs {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Flips one bit of a stored object, as a rotting disk would; `false` when there is no such byte.
    pub fn rot(&self, key: &BlobKey, offset: usize) -> bool {
        let mut objects = self.objects.lock();
        let Some(object) = objects.get_mut(key).filter(|object| offset < object.len()) else {
            return false;
        };
        let mut bytes = object.to_vec();
        bytes[offset] ^= 1;
        *object = bytes.into();
        true
    }

    fn create(&self, key: &BlobKey, data: Bytes) -> Result<(), BlobError> {
        let mut objects = self.objects.lock();
        match objects.get(key) {
            None => {
                objects.insert(key.clone(), data);
                Ok(())
            }
            Some(existing) if *existing == data => Ok(()),
            Some(_) => Err(BlobError::AlreadyExists { key: key.clone() }),
        }
    }

    fn read(&self, key: &BlobKey, range: Range<u64>) -> Result<Bytes, BlobError> {
        let objects = self.objects.lock();
        let object = objects.get(key).ok_or_else(|| BlobError::NotFound { key: key.clone() })?;
        let len_bytes = object.len() as u64;
        if range.start > range.end || range.end > len_bytes {
            return Err(BlobError::OutOfRange { key: key.clone(), len_bytes });
        }
        Ok(object.slice(range.start as usize..range.end as usize))
    }
}

impl BlobStore for MemoryBlobs {
    fn put(&self, key: &BlobKey, data: Bytes) -> BoxFuture<'_, Result<(), BlobError>> {
        let key = key.clone();
        async move { self.create(&key, data) }.boxed()
    }

    fn get(&self, key: &BlobKey, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, BlobError>> {
        let key = key.clone();
        async move { self.read(&key, range) }.boxed()
    }

    fn len(&self, key: &BlobKey) -> BoxFuture<'_, Result<Option<u64>, BlobError>> {
        let key = key.clone();
        async move { Ok(self.objects.lock().get(&key).map(|object| object.len() as u64)) }.boxed()
    }

    fn delete(&self, key: &BlobKey) -> BoxFuture<'_, Result<(), BlobError>> {
        let key = key.clone();
        async move {
            self.objects.lock().remove(&key);
            Ok(())
        }
        .boxed()
    }

    fn list(&self, prefix: &str, after: Option<&BlobKey>, limit: usize) -> BoxFuture<'_, Result<Vec<BlobKey>, BlobError>> {
        let (prefix, after) = (prefix.to_owned(), after.cloned());
        async move {
            let start = match &after {
                Some(after) if after.as_str() >= prefix.as_str() => Bound::Excluded(after.as_str()),
                _ => Bound::Included(prefix.as_str()),
            };
            let objects = self.objects.lock();
            let keys = objects.range::<str, _>((start, Bound::Unbounded)).map(|(key, _)| key);
            Ok(keys.take_while(|key| key.as_str().starts_with(&prefix)).take(limit).cloned().collect())
        }
        .boxed()
    }
}
