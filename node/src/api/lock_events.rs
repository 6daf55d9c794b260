use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use artifacts_core::name::LockName;
use artifacts_core::ticket::Mode;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::unfold;
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Interval, MissedTickBehavior};
use utoipa::{IntoParams, ToSchema};

use super::error::ErrorBody;
use super::lock_caller::LockCaller;
use super::locks::ModeName;
use super::path::PathParams;
use super::query::QueryParams;
use super::workspaces::WorkspacePath;
use super::{ApiError, ApiState, event_stream};
use crate::locks::{EventId, LockEvent, LockHandle, Resumed};

/// How often a stream looks whether its credential still stands.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often a comment is sent when nothing else is, so that nobody in between takes the connection for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Which events are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventsQuery {
    /// Those of this lock only.
    #[param(value_type = Option<String>, pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]
    lock: Option<LockName>,
}

/// The `data` of an event of a lock, beside its `event` (`acquired`, `released`, `expired`, `revoked`, `waiting`, `gave_up`)
/// and `id`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LockEventData<'a> {
    /// Which lock.
    #[schema(value_type = String)]
    lock: &'a LockName,
    /// How it is, was or is wanted to be held.
    mode: ModeName,
    /// Of a semaphore.
    #[serde(skip_serializing_if = "Option::is_none")]
    permits: Option<u32>,
    /// By whom, as it called itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a str>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
    /// Of a lock that is or was held.
    #[serde(skip_serializing_if = "Option::is_none")]
    fencing_token: Option<u64>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: artifacts_core::Timestamp,
}

/// Streams what happens to the named locks of a workspace, as server-sent events.
///
/// A new stream begins with an event `ready`: a list that is asked for after it misses nothing. A client that comes back with
/// `Last-Event-ID` gets what it has missed, up to the latest 1,024 events; if more is lost it gets an event `gap`
/// first, and should list the locks. The stream ends when the credential does.
#[utoipa::path(get, path = "/v1/workspaces/{handle}/{name}/locks/events", tag = "locks", operation_id = "lock_events",
    params(WorkspacePath, EventsQuery, ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was seen")),
    responses(
        (status = 200, description = "Events as they come", content_type = "text/event-stream", body = LockEventData),
        (status = 404, description = "`workspace_not_found`", body = ErrorBody),
        (status = 409, description = "`workspace_not_active`", body = ErrorBody),
    )
)]
pub(super) async fn stream(
    State(state): State<ApiState>,
    caller: LockCaller,
    PathParams(path): PathParams<WorkspacePath>,
    QueryParams(query): QueryParams<EventsQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let workspace = caller.workspace(&state, &path, Mode::Ro).await?;
    let after = event_stream::last_event_id(&headers)?;
    let permit = event_stream::permit(&state)?;
    let locks = state.control().locks().of(workspace.id).await?;
    let (resumed, events) = locks.subscribe(after).await?;
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let Resumed { gap, last, missed } = resumed;
    let first = match (after, gap) {
        (_, true) => Some(said("gap", last, "events are lost; list the locks")),
        (None, false) => Some(said("ready", last, "events follow")),
        (Some(_), false) => None,
    };
    let listener = Listener { state, caller, locks, events, lock: query.lock, first, missed: missed.into(), look, _permit: permit };
    let events = unfold(listener, async |mut listener| listener.next().await.map(|event| (Ok::<_, Infallible>(event), listener)));
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

/// Somebody who listens.
struct Listener {
    state: ApiState,
    caller: LockCaller,
    /// Keeps the actor, and with it the events that somebody may come back for.
    locks: LockHandle,
    events: Receiver<Arc<LockEvent>>,
    lock: Option<LockName>,
    first: Option<Event>,
    missed: VecDeque<Arc<LockEvent>>,
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
            let event = match self.missed.pop_front() {
                Some(event) => event,
                None => tokio::select! {
                    biased;
                    () = self.locks.closing() => return None,
                    event = self.events.recv() => match event {
                        Ok(event) => event,
                        Err(RecvError::Lagged(_)) => return Some(lost()),
                        Err(RecvError::Closed) => return None,
                    },
                    _ = self.look.tick() => {
                        if !self.caller.stands(&self.state) {
                            return None;
                        }
                        continue;
                    }
                },
            };
            if !self.caller.stands(&self.state) {
                return None;
            }
            if self.lock.as_ref().is_none_or(|lock| *lock == event.lock) {
                return Some(told(&event));
            }
        }
    }
}

fn told(event: &LockEvent) -> Event {
    let (mode, permits) = ModeName::of(event.mode);
    let data = LockEventData {
        lock: &event.lock,
        mode,
        permits,
        owner: event.owner.as_deref(),
        note: event.note.as_deref(),
        fencing_token: event.fencing_token,
        at: event.at,
    };
    let text = serde_json::to_string(&data).unwrap_or_default();
    Event::default().event(event.kind.as_str()).id(event.id.to_string()).data(text)
}

fn said(kind: &str, last: EventId, message: &str) -> Event {
    Event::default().event(kind).id(last.to_string()).data(serde_json::json!({ "message": message }).to_string())
}

/// The client reads more slowly than things happen.
fn lost() -> Event {
    Event::default().event("gap").data(serde_json::json!({ "message": "events are lost; list the locks" }).to_string())
}
