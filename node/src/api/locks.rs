use std::time::Duration;

use artifacts_core::locks::{Holder, Mode as LockMode, Resource, Waiting};
use artifacts_core::name::{Handle, LockName, WorkspaceName};
use artifacts_core::ticket::Mode;
use artifacts_core::{ErrorCode, LockId, Timestamp};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::body::JsonBody;
use super::delivery::Delivery;
use super::error::ErrorBody;
use super::lock_caller::LockCaller;
use super::path::PathParams;
use super::workspaces::WorkspacePath;
use super::{ApiError, ApiState, rules};
use crate::locks::{AcquireRefusal, Lease, LockHandle, Lost, Which, Wish};

const SHORTEST_TTL_MS: u64 = 1_000;
const LONGEST_TTL_MS: u64 = 24 * 3600 * 1000;
const LONGEST_WAIT_MS: u64 = 3600 * 1000;
const MOST_PERMITS: u32 = 10_000;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct LockPath {
    /// The owner's handle.
    #[param(value_type = String, pattern = "^[a-z0-9][a-z0-9-]{0,38}$")]
    handle: Handle,
    /// The workspace's name.
    #[param(value_type = String, pattern = "^[a-zA-Z0-9][a-zA-Z0-9_-]{0,62}$")]
    name: WorkspaceName,
    /// The lock's name.
    #[param(value_type = String, pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]
    lock: LockName,
}

impl LockPath {
    fn workspace(&self) -> WorkspacePath {
        WorkspacePath { handle: self.handle.clone(), name: self.name.clone() }
    }
}

/// How a lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = LockMode)]
pub(super) enum ModeName {
    /// By one.
    Exclusive,
    /// By any number at a time, and by no one exclusively.
    Shared,
    /// By as many at a time as there are permits.
    Semaphore,
}

impl ModeName {
    /// The name, and the number of permits of a semaphore.
    pub(super) fn of(mode: LockMode) -> (Self, Option<u32>) {
        match mode {
            LockMode::Exclusive => (Self::Exclusive, None),
            LockMode::Shared => (Self::Shared, None),
            LockMode::Semaphore { permits } => (Self::Semaphore, Some(permits)),
        }
    }
}

/// The lock that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AcquireLock {
    /// How.
    mode: ModeName,
    /// How many may hold it at a time, of a semaphore; whoever is first decides, and all others have to say the same.
    #[schema(minimum = 1, maximum = 10_000)]
    permits: Option<u32>,
    /// How long it is held without a renewal, in milliseconds. It never outlives the credential.
    #[schema(minimum = 1_000, maximum = 86_400_000)]
    ttl_ms: u64,
    /// How long to wait for it, in milliseconds; not at all unless given. Whoever hangs up waits no longer.
    #[serde(default)]
    #[schema(maximum = 3_600_000)]
    wait_ms: u64,
    /// For people.
    #[schema(min_length = 1, max_length = 255)]
    note: Option<String>,
    /// Who it is for: a wait that would deadlock is refused if all who take part name themselves, each by one name.
    #[schema(min_length = 1, max_length = 255)]
    owner: Option<String>,
}

/// A lock that is held.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HeldLock {
    /// `lck_…`; renews and releases it.
    #[schema(value_type = String, pattern = "^lck_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    lock_id: LockId,
    /// Greater than every one given in the workspace before. Hand it to what the lock protects, to refuse latecomers.
    fencing_token: u64,
    /// When it runs out unless it is renewed.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

impl From<Lease> for HeldLock {
    fn from(Lease { lock_id, fencing_token, expires_at }: Lease) -> Self {
        Self { lock_id, fencing_token, expires_at }
    }
}

/// Acquires a lock.
///
/// Whoever asks first is served first; a shared lock that is wanted behind an exclusive one waits, too. A grant that cannot be
/// delivered because the client has hung up goes to the next.
#[utoipa::path(post, path = "/v1/workspaces/{handle}/{name}/locks/{lock}/acquire", tag = "locks", operation_id = "acquire_lock", params(LockPath), request_body = AcquireLock, responses(
    (status = 200, description = "It is held", body = HeldLock),
    (status = 404, description = "`workspace_not_found`", body = ErrorBody),
    (status = 409, description = "`lock_held`: it was not free in time, or is in use in another mode; `deadlock`: the wait would never end; `workspace_not_active`", body = ErrorBody),
))]
pub(super) async fn acquire(
    State(state): State<ApiState>,
    caller: LockCaller,
    PathParams(path): PathParams<LockPath>,
    JsonBody(body): JsonBody<AcquireLock>,
) -> Result<Response, ApiError> {
    let mode = mode(body.mode, body.permits)?;
    let needed = if mode == LockMode::Shared { Mode::Ro } else { Mode::Rw };
    let workspace = caller.workspace(&state, &path.workspace(), needed).await?;
    if body.wait_ms > LONGEST_WAIT_MS {
        return Err(ApiError::invalid("wait_ms", format!("must be a number from 0 to {LONGEST_WAIT_MS}")));
    }
    let wish = Wish {
        name: path.lock.clone(),
        mode,
        ttl_ms: ttl(body.ttl_ms)?,
        wait: body.wait_ms > 0,
        note: rules::text("note", body.note)?,
        owner: rules::text("owner", body.owner)?,
        right: caller.right(),
        until: caller.until(),
    };
    let _permit =
        state.waits().try_acquire().map_err(|_| ApiError::new(ErrorCode::Unavailable, "too many requests wait for locks; try again"))?;
    let locks = state.control().locks().of(workspace.id).await?;
    match locks.acquire(wish, Duration::from_millis(body.wait_ms)).await? {
        Ok((lease, claim)) => {
            let mut response = Json(HeldLock::from(lease)).into_response();
            response.extensions_mut().insert(Delivery::of(claim));
            Ok(response)
        }
        Err(refusal) => {
            if refusal == AcquireRefusal::Revoked {
                // The workspace may be gone instead.
                caller.workspace(&state, &path.workspace(), needed).await?;
            }
            Err(refused(&path.lock, body.wait_ms, refusal))
        }
    }
}

fn mode(name: ModeName, permits: Option<u32>) -> Result<LockMode, ApiError> {
    match (name, permits) {
        (ModeName::Exclusive, None) => Ok(LockMode::Exclusive),
        (ModeName::Shared, None) => Ok(LockMode::Shared),
        (ModeName::Semaphore, Some(permits @ 1..=MOST_PERMITS)) => Ok(LockMode::Semaphore { permits }),
        (ModeName::Semaphore, _) => Err(ApiError::invalid("permits", format!("must be a number from 1 to {MOST_PERMITS} for a semaphore"))),
        _ => Err(ApiError::invalid("permits", "is of semaphores only; leave it out")),
    }
}

fn ttl(ttl_ms: u64) -> Result<u64, ApiError> {
    if (SHORTEST_TTL_MS..=LONGEST_TTL_MS).contains(&ttl_ms) {
        Ok(ttl_ms)
    } else {
        Err(ApiError::invalid("ttl_ms", format!("must be a number from {SHORTEST_TTL_MS} to {LONGEST_TTL_MS}")))
    }
}

fn refused(lock: &LockName, wait_ms: u64, refusal: AcquireRefusal) -> ApiError {
    let unavailable = |message: &str| ApiError::new(ErrorCode::Unavailable, message);
    match refusal {
        AcquireRefusal::Held(held) => {
            let holder = held.map_or_else(|| "others were first".to_owned(), |held| format!("{} holds it", describe(&held.holder)));
            let message = if wait_ms == 0 {
                format!("the lock `{lock}` is not free: {holder}")
            } else {
                format!("the lock `{lock}` was not free within {wait_ms} ms: {holder}")
            };
            ApiError::new(ErrorCode::LockHeld, message).with_hint("wait longer with `wait_ms`, or try again later")
        }
        AcquireRefusal::Deadlock(cycle) => {
            let message = format!("waiting for the lock `{lock}` would never end: {}", describe_cycle(&cycle));
            ApiError::new(ErrorCode::Deadlock, message).with_hint("release what you hold, or always take locks in the same order")
        }
        AcquireRefusal::Mismatch(mode) => {
            let used = match mode {
                LockMode::Semaphore { permits } => format!("a semaphore of {permits} permits"),
                _ => "an exclusive or shared lock".to_owned(),
            };
            ApiError::new(ErrorCode::LockHeld, format!("the lock `{lock}` is in use as {used}; ask for that, or wait until it is free"))
        }
        AcquireRefusal::Full => unavailable("there are too many locks in this workspace; release some, then try again"),
        AcquireRefusal::Unwritten => {
            unavailable("the lock is not held, because the disk or object store did not put it on record; try again")
        }
        AcquireRefusal::Revoked => ApiError::new(ErrorCode::Unauthorized, "the credential was revoked or has expired"),
    }
}

fn describe(holder: &Holder) -> String {
    match holder {
        Holder::Named(named) => match (&named.owner, &named.note) {
            (Some(owner), _) => format!("`{owner}`"),
            (None, Some(note)) => format!("somebody (`{note}`)"),
            (None, None) => "somebody".to_owned(),
        },
        Holder::File(owner) => format!("process {} of session {}", owner.pid, owner.session),
    }
}

/// Each waits for what the next one holds, the last for what the first does.
fn describe_cycle(cycle: &[Waiting]) -> String {
    let followers = cycle.iter().cycle().skip(1);
    let links = cycle.iter().zip(followers).map(|(waiting, next)| {
        let what = match &waiting.resource {
            Resource::Named(name) => format!("`{name}`"),
            Resource::Flock(ino) | Resource::Range(ino) => format!("inode {}", ino.0),
        };
        format!("{} waits for {what}, which {} holds", describe(&waiting.holder), describe(&next.holder))
    });
    links.collect::<Vec<_>>().join("; ")
}

/// The lock that is to be held for longer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RenewLock {
    /// What acquiring it gave.
    #[schema(value_type = String, pattern = "^lck_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    lock_id: LockId,
    /// How long it is held from now on, in milliseconds.
    #[schema(minimum = 1_000, maximum = 86_400_000)]
    ttl_ms: u64,
}

/// Holds a lock for longer.
#[utoipa::path(post, path = "/v1/workspaces/{handle}/{name}/locks/{lock}/renew", tag = "locks", operation_id = "renew_lock", params(LockPath), request_body = RenewLock, responses(
    (status = 200, description = "It is held until then", body = HeldLock),
    (status = 404, description = "`workspace_not_found`", body = ErrorBody),
    (status = 409, description = "`workspace_not_active`", body = ErrorBody),
    (status = 412, description = "`stale_token`: it is not held under this id any more", body = ErrorBody),
))]
pub(super) async fn renew(
    State(state): State<ApiState>,
    caller: LockCaller,
    PathParams(path): PathParams<LockPath>,
    JsonBody(body): JsonBody<RenewLock>,
) -> Result<Json<HeldLock>, ApiError> {
    let (locks, which) = held(&state, &caller, &path, body.lock_id).await?;
    let renewed = locks.renew(which, ttl(body.ttl_ms)?).await?;
    renewed.map(|lease| Json(lease.into())).map_err(|why| lost(&path.lock, why))
}

/// The lock that is not needed any more.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReleaseLock {
    /// What acquiring it gave.
    #[schema(value_type = String, pattern = "^lck_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    lock_id: LockId,
}

/// A lock that was given back.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReleasedLock {
    /// What acquiring it gave.
    #[schema(value_type = String, pattern = "^lck_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    lock_id: LockId,
}

/// Gives a lock back; whoever waits for it has it at once.
#[utoipa::path(post, path = "/v1/workspaces/{handle}/{name}/locks/{lock}/release", tag = "locks", operation_id = "release_lock", params(LockPath), request_body = ReleaseLock, responses(
    (status = 200, description = "It is free", body = ReleasedLock),
    (status = 404, description = "`workspace_not_found`", body = ErrorBody),
    (status = 409, description = "`workspace_not_active`", body = ErrorBody),
    (status = 412, description = "`stale_token`: it is not held under this id any more", body = ErrorBody),
))]
pub(super) async fn release(
    State(state): State<ApiState>,
    caller: LockCaller,
    PathParams(path): PathParams<LockPath>,
    JsonBody(body): JsonBody<ReleaseLock>,
) -> Result<Json<ReleasedLock>, ApiError> {
    let (locks, which) = held(&state, &caller, &path, body.lock_id).await?;
    let released = locks.release(which).await?;
    released.map(|()| Json(ReleasedLock { lock_id: body.lock_id })).map_err(|why| lost(&path.lock, why))
}

/// The locks of the workspace, and which of them is meant. Its id gives power over a lock to whoever could have taken it, and
/// a reader's power reaches what it took itself.
async fn held(state: &ApiState, caller: &LockCaller, path: &LockPath, lock_id: LockId) -> Result<(LockHandle, Which), ApiError> {
    let workspace = caller.workspace(state, &path.workspace(), Mode::Ro).await?;
    let taken_by = Some(caller.right()).filter(|_| !caller.writes());
    let which = Which { name: path.lock.clone(), lock_id, taken_by };
    Ok((state.control().locks().of(workspace.id).await?, which))
}

fn lost(lock: &LockName, why: Lost) -> ApiError {
    match why {
        Lost::NotHeld => ApiError::new(
            ErrorCode::StaleToken,
            format!("the lock `{lock}` is not held under this id any more: it was released, or has run out; acquire it anew"),
        ),
        Lost::Others => ApiError::new(
            ErrorCode::Forbidden,
            format!("the lock `{lock}` was taken with another credential, and this one is of mode `ro`"),
        ),
        Lost::Unwritten => ApiError::new(
            ErrorCode::Unavailable,
            "the disk or object store did not put that on record, and it may have taken effect all the same; try again",
        ),
    }
}
