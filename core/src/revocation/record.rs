use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};

use super::signed;
use crate::ticket::VerifyingKeys;
use crate::{AccountId, GrantId, KeyId, RevocationId, SessionId, Timestamp, WorkspaceId};

/// Separates these signatures from every other use of the same key.
const DOMAIN: &[u8] = b"artifacts-revocation-v1\0";

/// Who has issued a right, and in which generation of its rights: an account's generation grows whenever everything that it has
/// handed out is revoked at once. What is issued afterwards is of the next one, so one record takes any number of rights, and
/// whether it takes one depends on no clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Issue {
    /// The account.
    pub account: AccountId,
    /// Its generation.
    pub generation: u64,
}

impl Issue {
    /// The targets that take a right of this issue, in their order.
    pub const fn taken_by(self) -> std::ops::RangeInclusive<Target> {
        Target::Account(self)..=Target::Account(Self { account: self.account, generation: u64::MAX })
    }
}

/// What loses its rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Target {
    /// One grant, with every session and ticket that draws on it.
    Grant(GrantId),
    /// One session, whatever its grant.
    Session(SessionId),
    /// One API key, with the sessions opened by it.
    Key(KeyId),
    /// Everything in one workspace (it is being deleted).
    Workspace(WorkspaceId),
    /// Everything that an account has issued in this generation or before.
    Account(Issue),
}

/// One entry of the revocation log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationRecord {
    /// Names the record.
    pub id: RevocationId,
    /// Whose log it stands in.
    pub account: AccountId,
    /// What it takes away.
    pub target: Target,
    /// When, by the issuer's clock; for people and for forgetting old records.
    pub revoked_at: Timestamp,
}

impl RevocationRecord {
    /// What tells it from every other record: 128 bits of BLAKE3. Nobody chooses what is in a record, so nobody can search for two
    /// that share a hash.
    pub fn hash(&self) -> u128 {
        let hash = blake3::hash(&signed::signed_bytes(DOMAIN, self));
        hash.as_bytes().first_chunk().copied().map_or(0, u128::from_le_bytes)
    }
}

/// A record and the proof that a control node issued it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedRevocation {
    /// The record.
    pub record: RevocationRecord,
    /// Which key signed.
    pub kid: String,
    /// The ed25519 signature over the domain and the record's binary form; 64 bytes.
    pub signature: Vec<u8>,
}

impl SignedRevocation {
    /// Signs `record` with the key named `kid`.
    pub fn sign(record: RevocationRecord, kid: &str, key: &SigningKey) -> Self {
        let signature = signed::signature(DOMAIN, &record, key);
        Self { record, kid: kid.to_owned(), signature }
    }

    /// Whether a trusted key signed exactly this record.
    pub fn verifies(&self, keys: &VerifyingKeys) -> bool {
        signed::verifies(DOMAIN, &self.record, &self.kid, &self.signature, keys)
    }
}
