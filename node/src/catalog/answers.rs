use artifacts_core::Timestamp;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::write::json;
use super::{Catalog, SCAN_ROWS, key};
use crate::store::{Batch, Durability, KeyRange, MAX_VALUE_BYTES, StoreError};

/// A sealed answer is cut into values of this size.
const PART_BYTES: usize = MAX_VALUE_BYTES / 2;

/// What is kept in the clear of an answer that a repeated request gets again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerHead {
    /// Tells the request apart from every other; says nothing about it to who does not hold the credential.
    pub fingerprint: [u8; 32],
    /// When it may be forgotten.
    pub expires_at: Timestamp,
    /// In how many parts the sealed answer lies.
    pub parts: u16,
}

/// An answer whose time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpiredAnswer {
    /// Where it lies.
    pub slot: [u8; 32],
    /// When it ran out.
    pub expires_at: Timestamp,
}

impl Catalog {
    /// The head of the answer in a slot.
    ///
    /// # Errors
    /// The store's.
    pub async fn answer_head(&self, slot: &[u8; 32]) -> Result<Option<AnswerHead>, StoreError> {
        self.record(&key::idempotency(slot, 0)).await
    }

    /// The sealed answer that belongs to `head`; `None` when a part is missing.
    ///
    /// # Errors
    /// The store's.
    pub async fn sealed_answer(&self, slot: &[u8; 32], head: &AnswerHead) -> Result<Option<Vec<u8>>, StoreError> {
        let mut sealed = Vec::new();
        for part in 1..=head.parts {
            match self.store.get(&key::idempotency(slot, part)).await? {
                Some(bytes) => sealed.extend_from_slice(&bytes),
                None => return Ok(None),
            }
        }
        Ok(Some(sealed))
    }

    /// Keeps an answer in the place of the one that was there. Whoever calls this holds the slot.
    ///
    /// # Errors
    /// The store's.
    pub async fn keep_answer(
        &self,
        slot: &[u8; 32],
        fingerprint: [u8; 32],
        expires_at: Timestamp,
        sealed: &[u8],
        before: Option<&AnswerHead>,
    ) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        if let Some(before) = before {
            forget(&mut batch, slot, before.parts, before.expires_at);
        }
        let mut parts = 0;
        for bytes in sealed.chunks(PART_BYTES) {
            parts += 1;
            batch.put(key::idempotency(slot, parts), Bytes::copy_from_slice(bytes));
        }
        batch.put(key::idempotency(slot, 0), json(&AnswerHead { fingerprint, expires_at, parts }));
        batch.put(key::idempotency_expiry(expires_at, slot), Bytes::new());
        self.store.write(batch, Durability::Durable).await
    }

    /// Up to a few hundred answers that had run out by `now`.
    ///
    /// # Errors
    /// The store's.
    pub async fn expired_answers(&self, now: Timestamp) -> Result<Vec<ExpiredAnswer>, StoreError> {
        let start = key::idempotency_expiries();
        let old = KeyRange::between(&start, &key::idempotency_expiries_from(now));
        let rows = self.store.scan(old, SCAN_ROWS).await?;
        let parse = |row: &[u8]| -> Option<ExpiredAnswer> {
            let (time, slot) = row.strip_prefix(start.as_ref())?.split_first_chunk()?;
            Some(ExpiredAnswer { slot: slot.try_into().ok()?, expires_at: Timestamp::from_unix_ms(u64::from_be_bytes(*time)) })
        };
        Ok(rows.iter().filter_map(|(key, _)| parse(key)).collect())
    }

    /// Removes an answer that has run out. Whoever calls this holds the slot.
    ///
    /// # Errors
    /// The store's.
    pub async fn forget_answer(&self, expired: &ExpiredAnswer) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        // A newer answer may have come since the list was read; its own entry stands further on.
        if let Some(head) = self.answer_head(&expired.slot).await?.filter(|head| head.expires_at == expired.expires_at) {
            forget(&mut batch, &expired.slot, head.parts, head.expires_at);
        }
        batch.delete(key::idempotency_expiry(expired.expires_at, &expired.slot));
        self.store.write(batch, Durability::Visible).await
    }
}

fn forget(batch: &mut Batch, slot: &[u8; 32], parts: u16, expires_at: Timestamp) {
    for part in 0..=parts {
        batch.delete(key::idempotency(slot, part));
    }
    batch.delete(key::idempotency_expiry(expires_at, slot));
}
