use artifacts_core::{AccountId, AuditId, Timestamp};

use super::page::ListError;
use super::write::json;
use super::{Catalog, ListKind, Page, PageRequest, SCAN_ROWS, decode, key};
use crate::audit::AuditEvent;
use crate::store::{Batch, Durability, KeyRange, StoreError};

/// How many entries are looked at for one page of a filtered list; then the page ends early, with a cursor.
const LONGEST_SEARCH: usize = 16 * SCAN_ROWS;

/// A part of an audit trail.
#[derive(Debug, Clone)]
pub struct AuditPart {
    /// Entries with their stamps, oldest first.
    pub events: Vec<(u64, AuditEvent)>,
    /// Where to go on.
    pub next: u64,
    /// Whether there is no more for now.
    pub is_end: bool,
}

impl Catalog {
    /// Puts an entry of an audit trail into a batch.
    pub(crate) fn put_audit_event(batch: &mut Batch, account: AccountId, stamp: u64, event: &AuditEvent) {
        batch.put(key::audit_event(account, stamp), json(event));
        batch.put(key::audit_by_id(account, event.id), Vec::new());
    }

    /// Whether an entry is in the trail.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn has_audit_event(&self, account: AccountId, id: AuditId) -> Result<bool, StoreError> {
        Ok(self.store.get(&key::audit_by_id(account, id)).await?.is_some())
    }

    /// The last stamp in an account's trail, if it lies at `from` or behind.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn last_audit_stamp(&self, account: AccountId, from: u64) -> Result<Option<u64>, StoreError> {
        let rows = self.rows(behind(account, from)).await?;
        Ok(rows.last().and_then(|(row, _)| stamp_of(row)))
    }

    /// The entries of an account's trail that `keep` picks, from one stamp on to below another.
    ///
    /// # Errors
    /// The store's.
    pub async fn audit(
        &self,
        account: AccountId,
        from: u64,
        settled: u64,
        limit: usize,
        keep: impl Fn(&AuditEvent) -> bool + Send,
    ) -> Result<AuditPart, StoreError> {
        let mut part = AuditPart { events: Vec::new(), next: from, is_end: false };
        for _ in 0..LONGEST_SEARCH / SCAN_ROWS {
            let range = KeyRange::between(&key::audit_event(account, part.next), &key::audit_event(account, settled));
            if range.is_empty() {
                part.is_end = true;
                return Ok(part);
            }
            let rows = self.store.scan(range, SCAN_ROWS).await?;
            for (row, value) in &rows {
                let stamp =
                    stamp_of(row).ok_or_else(|| StoreError::Corrupt { reason: "an entry of an audit trail has no stamp".into() })?;
                let event: AuditEvent = decode(row, value)?;
                if keep(&event) {
                    if part.events.len() == limit {
                        return Ok(part);
                    }
                    part.events.push((stamp, event));
                }
                part.next = stamp + 1;
            }
            if rows.len() < SCAN_ROWS {
                part.is_end = true;
                return Ok(part);
            }
        }
        Ok(part)
    }

    /// As [`Catalog::audit`], as a page of a list.
    ///
    /// # Errors
    /// [`ListError`].
    pub async fn audit_page(
        &self,
        account: AccountId,
        request: &PageRequest,
        since: u64,
        settled: u64,
        keep: impl Fn(&AuditEvent) -> bool + Send,
    ) -> Result<Page<AuditEvent>, ListError> {
        let after = request.cursor.as_deref().map(|cursor| ListKind::Audit.position(account, cursor)).transpose()?;
        let from = after.and_then(|position| Some(u64::from_be_bytes(position.try_into().ok()?))).unwrap_or(0);
        let part = self.audit(account, from.max(since), settled, request.limit, keep).await?;
        let next_cursor = (!part.is_end).then(|| ListKind::Audit.cursor(account, &part.next.to_be_bytes()));
        Ok(Page { items: part.events.into_iter().map(|(_, event)| event).collect(), next_cursor })
    }

    /// Drops the entries of all trails that are older than `horizon`. Answers how many there were.
    ///
    /// # Errors
    /// The store's.
    pub async fn trim_audits(&self, horizon: Timestamp) -> Result<usize, StoreError> {
        let horizon = horizon.unix_ms().saturating_mul(1_000);
        let (mut all, mut dropped) = (KeyRange::prefix(&key::audits()), 0);
        // One trail after the other.
        while let Some((first, _)) = self.store.scan(all.clone(), 1).await?.into_iter().next() {
            let Some(account) = account_of(&first) else { return Ok(dropped) };
            loop {
                let old = KeyRange::between(&key::audit(account), &key::audit_event(account, horizon));
                let rows = self.store.scan(old, SCAN_ROWS).await?;
                let mut batch = Batch::new();
                for (row, value) in &rows {
                    let event: AuditEvent = decode(row, value)?;
                    batch.delete(row.clone());
                    batch.delete(key::audit_by_id(account, event.id));
                }
                dropped += rows.len();
                if rows.is_empty() {
                    break;
                }
                self.store.write(batch, Durability::Visible).await?;
            }
            all = all.after(&key::audit_event(account, u64::MAX));
        }
        Ok(dropped)
    }
}

fn behind(account: AccountId, from: u64) -> KeyRange {
    KeyRange::between(&key::audit_event(account, from), &key::audit_event(account, u64::MAX))
}

fn account_of(row: &[u8]) -> Option<AccountId> {
    Some(AccountId::from_bits(u128::from_be_bytes(row.get(1..17)?.try_into().ok()?)))
}

fn stamp_of(row: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(row.get(17..)?.try_into().ok()?))
}
