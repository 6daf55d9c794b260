use artifacts_core::AccountId;
use artifacts_core::name::TenantSlug;
use bytes::Bytes;

use super::{BadCursor, Catalog, ListKind, SCAN_ROWS, decode, is_snapshot_of, key};
use crate::records::{GrantRecord, KeyRecord, TenantRecord, WorkspaceRecord};
use crate::store::{KeyRange, StoreError};

/// How many rows are looked at for one page of a filtered list; then the page ends early, with a cursor.
const LONGEST_SEARCH: usize = 16 * SCAN_ROWS;

/// Which part of a list is wanted.
#[derive(Debug, Clone)]
pub struct PageRequest {
    /// At most so many items; at least 1.
    pub limit: usize,
    /// What the page before gave; absent for the first one.
    pub cursor: Option<String>,
}

/// A part of a list.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// In the list's order.
    pub items: Vec<T>,
    /// Set when there may be more. A page may hold less than asked and still have one.
    pub next_cursor: Option<String>,
}

/// Why there is no page.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ListError {
    /// The cursor is not one of this list.
    #[error(transparent)]
    Cursor(#[from] BadCursor),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Catalog {
    /// The API keys and mesh credentials of an account that `keep` picks, oldest first.
    ///
    /// # Errors
    /// [`ListError`]; so for every list.
    pub async fn keys(
        &self,
        account: AccountId,
        request: &PageRequest,
        keep: impl Fn(&KeyRecord) -> bool + Send,
    ) -> Result<Page<KeyRecord>, ListError> {
        self.page(ListKind::Keys, account, &key::keys(account), &key::keys(account), request, keep).await
    }

    /// The tenants of an account, by slug, that `keep` picks.
    ///
    /// # Errors
    /// [`ListError`].
    pub async fn tenants(
        &self,
        account: AccountId,
        request: &PageRequest,
        keep: impl Fn(&TenantRecord) -> bool + Send,
    ) -> Result<Page<TenantRecord>, ListError> {
        self.page(ListKind::Tenants, account, &key::tenants(account), &key::tenants(account), request, keep).await
    }

    /// The grants of an account, or of one of its tenants, that `keep` picks: by tenant, each tenant's oldest first.
    ///
    /// # Errors
    /// [`ListError`].
    pub async fn grants(
        &self,
        account: AccountId,
        tenant: Option<&TenantSlug>,
        request: &PageRequest,
        keep: impl Fn(&GrantRecord) -> bool + Send,
    ) -> Result<Page<GrantRecord>, ListError> {
        let within = tenant.map_or_else(|| key::grants(account), |tenant| key::tenant_grants(account, tenant));
        self.page(ListKind::Grants, account, &key::grants(account), &within, request, keep).await
    }

    /// The workspaces of an account that are not deleted, by name, and that `keep` picks.
    ///
    /// # Errors
    /// [`ListError`].
    pub async fn workspaces(
        &self,
        account: AccountId,
        request: &PageRequest,
        keep: impl Fn(&WorkspaceRecord) -> bool + Send,
    ) -> Result<Page<WorkspaceRecord>, ListError> {
        let is_wanted = move |found: &WorkspaceRecord| found.snapshot().is_none() && keep(found);
        self.by_name(ListKind::Workspaces, account, key::workspace_names(account), request, is_wanted).await
    }

    /// The snapshots of a workspace that are not deleted, by name.
    ///
    /// # Errors
    /// [`ListError`].
    pub async fn snapshots(&self, workspace: &WorkspaceRecord, request: &PageRequest) -> Result<Page<WorkspaceRecord>, ListError> {
        let names = key::snapshot_names(workspace.account, &workspace.name);
        let is_wanted = |found: &WorkspaceRecord| is_snapshot_of(found, workspace.id);
        self.by_name(ListKind::Snapshots, workspace.account, names, request, is_wanted).await
    }

    /// A page of the workspaces whose names stand there.
    async fn by_name(
        &self,
        kind: ListKind,
        account: AccountId,
        names: Bytes,
        request: &PageRequest,
        keep: impl Fn(&WorkspaceRecord) -> bool + Send,
    ) -> Result<Page<WorkspaceRecord>, ListError> {
        let mut search = Search::new(kind, account, &names, request)?;
        let mut range = search.range(&names);
        loop {
            let names = self.store.scan(range.clone(), SCAN_ROWS).await?;
            for (name, position) in &names {
                // The name may have been given up since the scan.
                let found: Option<WorkspaceRecord> = self.record(position).await?;
                if search.offer(name, found.filter(&keep)) {
                    return Ok(search.page());
                }
            }
            match next(range, &names) {
                Some(rest) => range = rest,
                None => return Ok(search.last_page()),
            }
        }
    }

    /// A page of records that lie in the list itself. Positions count from `list`, a prefix of `within`.
    async fn page<T: serde::de::DeserializeOwned>(
        &self,
        kind: ListKind,
        account: AccountId,
        list: &[u8],
        within: &[u8],
        request: &PageRequest,
        keep: impl Fn(&T) -> bool + Send,
    ) -> Result<Page<T>, ListError> {
        let mut search = Search::new(kind, account, list, request)?;
        let mut range = search.range(within);
        loop {
            let rows = self.store.scan(range.clone(), SCAN_ROWS).await?;
            for (key, value) in &rows {
                let record = decode::<T>(key, value)?;
                if search.offer(key, Some(record).filter(&keep)) {
                    return Ok(search.page());
                }
            }
            match next(range, &rows) {
                Some(rest) => range = rest,
                None => return Ok(search.last_page()),
            }
        }
    }
}

/// What is left of a range after these rows of it; nothing when they were the last.
fn next(range: KeyRange, rows: &[(Bytes, Bytes)]) -> Option<KeyRange> {
    let (last, _) = rows.last().filter(|_| rows.len() == SCAN_ROWS)?;
    Some(range.after(last))
}

/// The search for the items of one page.
struct Search<T> {
    kind: ListKind,
    account: AccountId,
    list: Bytes,
    after: Option<Bytes>,
    limit: usize,
    items: Vec<T>,
    /// The row behind which the next page starts.
    reached: Option<Bytes>,
    seen: usize,
}

impl<T> Search<T> {
    fn new(kind: ListKind, account: AccountId, list: &[u8], request: &PageRequest) -> Result<Self, BadCursor> {
        let position = request.cursor.as_deref().map(|cursor| kind.position(account, cursor)).transpose()?;
        let after = position.map(|position| [list, &position].concat().into());
        let list = Bytes::copy_from_slice(list);
        Ok(Self { kind, account, list, after, limit: request.limit.max(1), items: Vec::new(), reached: None, seen: 0 })
    }

    fn range(&self, within: &[u8]) -> KeyRange {
        let range = KeyRange::prefix(within);
        match &self.after {
            Some(after) => range.after(after),
            None => range,
        }
    }

    /// Takes in the next row. Answers whether the search is over: the page is full and there is one item more, so
    /// that a cursor always leads somewhere, or too many rows did not match.
    fn offer(&mut self, key: &Bytes, found: Option<T>) -> bool {
        if self.items.len() == self.limit && found.is_some() {
            return true;
        }
        self.seen += 1;
        self.reached = Some(key.clone());
        self.items.extend(found);
        self.seen >= LONGEST_SEARCH
    }

    fn page(self) -> Page<T> {
        let position = self.reached.as_deref().map(|key| key.strip_prefix(self.list.as_ref()).unwrap_or_default());
        let next_cursor = position.map(|position| self.kind.cursor(self.account, position));
        Page { items: self.items, next_cursor }
    }

    fn last_page(self) -> Page<T> {
        Page { items: self.items, next_cursor: None }
    }
}
