use artifacts_core::{AccountId, Timestamp};

use super::KeyWish;
use crate::random::{SharedEntropy, secret_hash};
use crate::records::KeyRecord;

/// An API key together with its secret, which exists only now: the record holds a hash.
#[derive(Clone)]
pub struct NewKey {
    /// What is on record.
    pub record: KeyRecord,
    /// What the caller must present; shown once.
    pub secret: String,
}

impl NewKey {
    /// Draws a key that is not on record yet.
    pub(super) fn draw(entropy: &SharedEntropy, account: AccountId, wish: KeyWish, now: Timestamp) -> Self {
        let secret = format!("tbo_{}", entropy.secret());
        let record = KeyRecord {
            id: entropy.id(),
            account,
            name: wish.name,
            secret_hash: secret_hash(&secret),
            scope: wish.scope,
            created_at: now,
            expires_at: wish.expires_at,
            revoked_at: None,
        };
        Self { record, secret }
    }
}
