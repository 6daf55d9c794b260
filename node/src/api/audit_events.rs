use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use artifacts_core::name::{RuntimeId, TenantSlug, WorkspaceAddress};
use artifacts_core::revocation::Target;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::unfold;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Interval, MissedTickBehavior};
use utoipa::IntoParams;

use super::audit::{Wanted, address};
use super::caller::Caller;
use super::error::ErrorBody;
use super::query::QueryParams;
use super::{ApiError, ApiState, event_stream};
use crate::audit::{AuditEvent, AuditKind};

/// How often a stream looks whether its credential still stands.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often a comment is sent when nothing else is, so that nobody in between takes the connection for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How many entries are read at a time.
const AT_ONCE: usize = 256;

/// Which entries are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct FollowQuery {
    /// Those about this tenant.
    #[param(value_type = Option<String>, pattern = "^[a-z0-9][a-z0-9-]{0,62}$")]
    tenant_slug: Option<TenantSlug>,
    /// Those about this runtime.
    #[param(value_type = Option<String>, pattern = "^[A-Za-z0-9._:-]{1,128}$")]
    runtime_id: Option<RuntimeId>,
    /// Those about this workspace: `name`, `handle/name` or `artifacts://handle/name`.
    #[param(value_type = Option<String>)]
    workspace: Option<WorkspaceAddress>,
    /// Those that tell of this.
    #[param(inline)]
    kind: Option<AuditKind>,
}

/// Streams the account's audit trail, as server-sent events: `event` is the kind of the entry, `data` the entry.
///
/// A new stream begins with an event `ready`: a list that is asked for after it misses nothing. A client that comes back with
/// `Last-Event-ID` gets what came meanwhile, as far as it is kept. The stream ends when the credential does.
#[utoipa::path(get, path = "/v1/audit/events", tag = "audit", operation_id = "audit_events",
    params(FollowQuery, ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was seen")),
    responses(
        (status = 200, description = "Entries as they come", content_type = "text/event-stream", body = AuditEvent),
        (status = 404, description = "`workspace_not_found`: another account's workspace", body = ErrorBody),
    )
)]
pub(super) async fn stream(
    State(state): State<ApiState>,
    caller: Caller,
    QueryParams(query): QueryParams<FollowQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let workspace = address(&caller, query.workspace.as_ref())?;
    let wanted = Wanted { tenant: query.tenant_slug, runtime: query.runtime_id, workspace, kind: query.kind };
    let after: Option<u64> = event_stream::last_event_id(&headers)?;
    let permit = event_stream::permit(&state)?;
    let context = state.context();
    // Subscribed to before it is looked where the trail ends.
    let mut grown = context.audit.watch();
    grown.mark_changed();
    let settled = context.audit.settled(context, caller.account().id).await?;
    let (next, first) = match after {
        Some(seen) => (seen.saturating_add(1), None),
        None => (settled, Some(ready(settled))),
    };
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let listener = Listener { state, caller, wanted, grown, next, first, read: VecDeque::new(), look, _permit: permit };
    let events = unfold(listener, async |mut listener| listener.next().await.map(|event| (Ok::<_, Infallible>(event), listener)));
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

/// Somebody who listens.
struct Listener {
    state: ApiState,
    caller: Caller,
    wanted: Wanted,
    grown: watch::Receiver<()>,
    /// The stamp from which to read on.
    next: u64,
    first: Option<Event>,
    read: VecDeque<(u64, AuditEvent)>,
    look: Interval,
    _permit: OwnedSemaphorePermit,
}

impl Listener {
    /// The next event, or nothing when the stream is to end.
    async fn next(&mut self) -> Option<Event> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        loop {
            if !self.stands() {
                return None;
            }
            if let Some((stamp, event)) = self.read.pop_front() {
                return Some(told(stamp, &event));
            }
            let locks = self.state.control().locks().clone();
            tokio::select! {
                biased;
                () = locks.closing() => return None,
                changed = self.grown.changed() => {
                    changed.ok()?;
                    self.read_on().await?;
                }
                _ = self.look.tick() => {}
            }
        }
    }

    /// Reads what has come. Nothing when the store does not answer: the client comes again.
    async fn read_on(&mut self) -> Option<()> {
        let context = self.state.context();
        let account = self.caller.account().id;
        let settled = context.audit.settled(context, account).await.ok()?;
        let (wanted, caller) = (&self.wanted, &self.caller);
        let part = context.catalog.audit(account, self.next, settled, AT_ONCE, |event| wanted.picks(caller, event)).await.ok()?;
        self.next = part.next;
        self.read.extend(part.events);
        if !part.is_end {
            self.grown.mark_changed();
        }
        Some(())
    }

    /// Whether the key still stands, as far as this process knows.
    fn stands(&self) -> bool {
        let (key, context) = (self.caller.key(), self.state.context());
        let revocations = context.revocations.read();
        key.expires_at.is_none_or(|end| context.clock.wall() < end)
            && revocations.revoked(Target::Key(key.id)).is_none()
            && !revocations.is_void(key.issue())
    }
}

fn told(stamp: u64, event: &AuditEvent) -> Event {
    let kind = serde_json::to_value(event.kind).ok();
    let name = kind.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default();
    Event::default().event(name).id(stamp.to_string()).data(serde_json::to_string(event).unwrap_or_default())
}

fn ready(settled: u64) -> Event {
    let data = serde_json::json!({ "message": "events follow" }).to_string();
    Event::default().event("ready").id(settled.saturating_sub(1).to_string()).data(data)
}
