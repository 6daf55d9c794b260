use artifacts_core::SessionId;

use crate::records::SessionRecord;
use crate::store::{Batch, StoreError};

/// The first byte of every session's key.
const TABLE: u8 = b'S';

/// Where a session's record stands in the store.
pub(super) fn record_key(id: SessionId) -> Vec<u8> {
    [&[TABLE][..], &id.bits().to_be_bytes()].concat()
}

/// What the keys of all sessions begin with.
pub(super) fn all() -> Vec<u8> {
    vec![TABLE]
}

/// Puts a record.
pub(super) fn put(batch: &mut Batch, record: &SessionRecord) -> Result<(), StoreError> {
    let value = serde_json::to_vec(record).map_err(|error| StoreError::Corrupt { reason: error.to_string() })?;
    batch.put(record_key(record.id), value);
    Ok(())
}
