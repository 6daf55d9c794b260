use ed25519_dalek::{Signature, Signer as _, SigningKey};
use serde::{Deserialize, Serialize};

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
        let signature = key.sign(&signed_bytes(&record)).to_bytes().to_vec();
        Self { record, kid: kid.to_owned(), signature }
    }

    /// Whether a trusted key signed exactly this record.
    pub fn verifies(&self, keys: &VerifyingKeys) -> bool {
        let (Some(key), Ok(signature)) = (keys.get(&self.kid), Signature::from_slice(&self.signature)) else {
            return false;
        };
        key.verify_strict(&signed_bytes(&self.record), &signature).is_ok()
    }
}

fn signed_bytes(record: &RevocationRecord) -> Vec<u8> {
    // A record holds only fixed-size ids and a number; writing those to memory cannot fail.
    let mut bytes = DOMAIN.to_vec();
    bytes.extend(postcard::to_stdvec(record).unwrap_or_default());
    bytes
}
