use artifacts_core::locks::{ByteRange, Resource};
use artifacts_core::name::LockName;
use artifacts_core::ticket::Mode;
use artifacts_core::{LockId, SessionId, Timestamp};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::ErrorBody;
use super::lock_caller::LockCaller;
use super::locks::ModeName;
use super::page::{ListQuery, PageBody};
use super::path::PathParams;
use super::query::QueryParams;
use super::workspaces::WorkspacePath;
use super::{ApiError, ApiState};
use crate::catalog::{ListError, ListKind, Page};
use crate::locks::{HolderView, LockRight, LockView, Party, WaiterView};

/// Something that is locked, with everybody who holds it or waits for it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Lock {
    /// What it is.
    kind: Kind,
    /// Of a named lock.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]
    name: Option<LockName>,
    /// Of a lock on a file: its inode number, as `stat` shows it on a mount.
    #[serde(skip_serializing_if = "Option::is_none")]
    inode: Option<u64>,
    /// Who has it.
    holders: Vec<LockHolder>,
    /// Who wants it, in the order in which they came.
    waiters: Vec<LockWaiter>,
}

/// What is locked.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = LockKind)]
enum Kind {
    /// A name.
    Named,
    /// A file, with flock(2).
    Flock,
    /// Bytes of a file, with fcntl(2).
    Fcntl,
}

/// Who holds a lock or waits for one.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct LockParty {
    /// `lck_…`, of a named lock; to API keys, and to the ticket that took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^lck_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    lock_id: Option<LockId>,
    /// The `key_…` or `tkt_…` that took it; to the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    taken_by: Option<String>,
    /// As it called itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    /// The mount, of a lock on a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^ses_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    session: Option<SessionId>,
    /// The process, as its mount sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    /// The first byte, of a lock with fcntl(2).
    #[serde(skip_serializing_if = "Option::is_none")]
    first_byte: Option<u64>,
    /// The last byte; absent if it reaches to the end of the file, wherever that may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_byte: Option<u64>,
}

/// Who has a lock.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LockHolder {
    #[serde(flatten)]
    party: LockParty,
    /// How.
    mode: ModeName,
    /// Of a semaphore.
    #[serde(skip_serializing_if = "Option::is_none")]
    permits: Option<u32>,
    /// Given with it.
    fencing_token: u64,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// For how long, in milliseconds.
    age_ms: u64,
    /// When it runs out, of a named lock.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

/// Who waits for a lock.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LockWaiter {
    #[serde(flatten)]
    party: LockParty,
    /// How it is wanted.
    mode: ModeName,
    /// Of a semaphore.
    #[serde(skip_serializing_if = "Option::is_none")]
    permits: Option<u32>,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// For how long, in milliseconds.
    age_ms: u64,
}

/// Lists what is locked in a workspace: names, and files by the programs that have it mounted.
#[utoipa::path(get, path = "/v1/workspaces/{handle}/{name}/locks", tag = "locks", operation_id = "list_locks", params(WorkspacePath, ListQuery), responses(
    (status = 200, description = "A page of locks", body = PageBody<Lock>),
    (status = 404, description = "`workspace_not_found`", body = ErrorBody),
    (status = 409, description = "`workspace_not_active`", body = ErrorBody),
))]
pub(super) async fn list(
    State(state): State<ApiState>,
    caller: LockCaller,
    PathParams(path): PathParams<WorkspacePath>,
    QueryParams(query): QueryParams<ListQuery>,
) -> Result<Json<PageBody<Lock>>, ApiError> {
    let request = query.request()?;
    let workspace = caller.workspace(&state, &path, Mode::Ro).await?;
    let account = caller.account();
    let after = request.cursor.map(|cursor| ListKind::Locks.position(account, &cursor)).transpose().map_err(ListError::Cursor)?;
    let mut locks = state.control().locks().of(workspace.id).await?.list().await?;
    locks.retain(|lock| {
        let behind = after.as_ref().is_none_or(|after| position(&lock.resource) > *after);
        behind && (caller.sees_files() || matches!(lock.resource, Resource::Named(_)))
    });
    let more = locks.len() > request.limit;
    locks.truncate(request.limit);
    let last = locks.last().filter(|_| more);
    let next_cursor = last.map(|lock| ListKind::Locks.cursor(account, &position(&lock.resource)));
    let now = state.context().clock.wall();
    let show = |lock: LockView| Lock::new(lock, now, |right| caller.knows(right));
    Ok(Json(PageBody::new(Page { items: locks, next_cursor }, show)))
}

/// Where a lock stands in the list: in the order of resources.
fn position(resource: &Resource) -> Vec<u8> {
    match resource {
        Resource::Flock(ino) => [&b"f"[..], &ino.0.to_be_bytes()].concat(),
        Resource::Range(ino) => [&b"g"[..], &ino.0.to_be_bytes()].concat(),
        Resource::Named(name) => [b"n", name.as_str().as_bytes()].concat(),
    }
}

impl Lock {
    fn new(lock: LockView, now: Timestamp, knows: impl Fn(Option<LockRight>) -> bool) -> Self {
        let (kind, name, inode) = match lock.resource {
            Resource::Named(name) => (Kind::Named, Some(name), None),
            Resource::Flock(ino) => (Kind::Flock, None, Some(ino.0)),
            Resource::Range(ino) => (Kind::Fcntl, None, Some(ino.0)),
        };
        let bytes = matches!(kind, Kind::Fcntl);
        let since = |age_ms: u64| Timestamp::from_unix_ms(now.unix_ms().saturating_sub(age_ms));
        let holder = |holder: HolderView| {
            let (mode, permits) = ModeName::of(holder.mode);
            LockHolder {
                party: LockParty::new(holder.party, Some(holder.range).filter(|_| bytes), &knows),
                mode,
                permits,
                fencing_token: holder.fencing_token,
                since: since(holder.age_ms),
                age_ms: holder.age_ms,
                expires_at: holder.expires_in_ms.map(|ms| now.plus_ms(ms)),
            }
        };
        let waiter = |waiter: WaiterView| {
            let (mode, permits) = ModeName::of(waiter.mode);
            let party = LockParty::new(waiter.party, Some(waiter.range).filter(|_| bytes), &knows);
            LockWaiter { party, mode, permits, since: since(waiter.age_ms), age_ms: waiter.age_ms }
        };
        let holders = lock.holders.into_iter().map(holder).collect();
        Self { kind, name, inode, holders, waiters: lock.waiters.into_iter().map(waiter).collect() }
    }
}

impl LockParty {
    fn new(party: Party, range: Option<ByteRange>, knows: impl Fn(Option<LockRight>) -> bool) -> Self {
        match party {
            Party::Process { session, pid } => Self {
                session: Some(session),
                pid: Some(pid),
                first_byte: range.map(|range| range.start),
                // The kernel numbers a file's last byte so.
                last_byte: range.map(|range| range.end).filter(|&end| end < i64::MAX as u64),
                ..Self::default()
            },
            Party::Client { lock_id, right, owner, note } => {
                let known = knows(right);
                let taken_by = right.filter(|_| known).map(|right| match right {
                    LockRight::Ticket { ticket, .. } => ticket.to_string(),
                    LockRight::Key { key, .. } => key.to_string(),
                });
                Self { lock_id: Some(lock_id).filter(|_| known), taken_by, owner, note, ..Self::default() }
            }
        }
    }
}
