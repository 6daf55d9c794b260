//! Entries about sessions, in the shard of the session, until the owner of their account has them.

use artifacts_core::cluster::Region;
use artifacts_core::{AccountId, SessionId};
use serde::{Deserialize, Serialize};

use super::AuditEvent;
use crate::records::SessionRecord;
use crate::store::Batch;

/// The first byte of every waiting entry's key.
const TABLE: u8 = b'O';
/// The table's byte and the id of the session.
const HOME_BYTES: usize = 1 + 16;

/// An entry that waits, and for whom.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Waiting {
    pub(super) account: AccountId,
    /// The region of the account, if it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) region: Option<Region>,
    pub(super) event: AuditEvent,
}

/// Puts an entry about a session into a batch of the session's shard.
pub(crate) fn put(batch: &mut Batch, session: &SessionRecord, event: AuditEvent) {
    let key = key(session.id, &event);
    let waiting = Waiting { account: session.account, region: session.account_region.clone(), event };
    // It holds strings and numbers, which always serialise.
    batch.put(key, serde_json::to_vec(&waiting).unwrap_or_default());
}

/// What the keys of all waiting entries begin with.
pub(super) fn all() -> [u8; 1] {
    [TABLE]
}

/// Whether two keys are of one session.
pub(super) fn lie_together(one: &[u8], next: &[u8]) -> bool {
    one.get(..HOME_BYTES) == next.get(..HOME_BYTES)
}

fn key(session: SessionId, event: &AuditEvent) -> Vec<u8> {
    // By time, so that the entries about a session are passed on in their order; those of one millisecond in that in which such
    // things happen.
    let (session, at, kind, id) = (session.bits().to_be_bytes(), event.at.unix_ms().to_be_bytes(), event.kind as u8, event.id.bits());
    [&[TABLE][..], &session, &at, &[kind], &id.to_be_bytes()].concat()
}
