//! The public HTTP API: a thin shell around [`crate::control`].
//!
//! A request passes, from the outside in: the `shell` (request id, log, metrics, panics), `change` (a task of its own for
//! what changes something), the `gate` (who is it), the `rate_limit`, `idempotency` for POSTs, and a handler. Handlers are grouped by resource, one file each; each checks
//! its input, asks [`scope`] whether the caller's key allows it, calls the control plane and shows the result. What is
//! always true:
//!
//! - **Every error has the same body**, whoever made it, with a code of the contract and a message that says what to
//!   do. Which status belongs to which code is known in one place, `error`.
//! - **What is another account's does not exist.**
//! - **No secret is logged or stored.** A new secret appears once, in the answer that creates it.
//! - **A change that has begun is carried through** even if the client hangs up; only who waits for a lock waits no longer.

mod accounts;
mod api_keys;
mod audit;
mod audit_events;
mod body;
mod byte_range;
mod caller;
mod cells;
mod change;
mod cluster;
mod credential;
mod delivery;
mod elsewhere;
mod error;
mod event_stream;
mod everything;
mod fenced;
mod file_entry;
mod file_list;
mod file_moves;
mod file_path;
mod file_version;
mod files;
mod fsck;
mod gate;
mod grants;
mod idempotency;
mod jwks;
mod lock_caller;
mod lock_events;
mod lock_list;
mod locks;
mod mesh_credentials;
mod metric;
mod monitoring;
mod mount_tickets;
mod openapi;
mod page;
mod path;
mod query;
mod rate_limit;
mod request_id;
mod routes;
mod rules;
mod schema;
pub mod scope;
mod sessions;
mod shell;
mod signing_keys;
mod snapshots;
mod state;
mod tenants;
mod token_bucket;
mod usage;
mod workspaces;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};

pub(crate) use cells::{AccountCell, AccountCells, CellPart, CellSight, RegionNode};
pub(crate) use cluster::{ClusterSight, describe as describe_cluster};
pub(crate) use elsewhere::Elsewhere;
pub use error::{ALL_CODES, ApiError, status};
pub(crate) use lock_caller::Attested;
pub(crate) use monitoring::{healthz, install as install_metrics, render as render_metrics, upkeep as keep_metrics};
pub(crate) use openapi::show as openapi;
pub(crate) use schema::{AuditActorSchema, ModeSchema, OutSchema};
pub(crate) use shell::{name, surround, traced};
pub use state::ApiState;

/// All calls of the API, with a fallback for everything else.
pub fn router(state: ApiState) -> Router {
    router_with(state, Router::new())
}

/// As [`router`], together with calls of another kind: they get the same shell around them (request id, log, metrics,
/// a net for panics, one form of errors) and look after credentials and limits themselves.
pub fn router_with(state: ApiState, others: Router) -> Router {
    let (open, _) = routes::open().split_for_parts();
    let (of_keys, _) = routes::of_keys().split_for_parts();
    let (of_admin, _) = routes::of_admin().split_for_parts();
    let (of_locks, _) = routes::of_locks().merge(routes::of_files()).split_for_parts();
    let (waiting, _) = routes::waiting_for_locks().split_for_parts();
    // The layer added last is the outermost.
    let admitted = |calls: Router<ApiState>| {
        calls
            .route_layer(from_fn_with_state(state.clone(), idempotency::honour))
            .route_layer(from_fn_with_state(state.clone(), rate_limit::limit))
    };
    let of_keys = admitted(of_keys).route_layer(from_fn_with_state(state.clone(), gate::with_key));
    let of_admin = admitted(of_admin).route_layer(from_fn_with_state(state.clone(), gate::with_admin_token));
    let by_ticket = |calls: Router<ApiState>| {
        let calls = calls.route_layer(from_fn_with_state(state.clone(), elsewhere::seek));
        admitted(calls).route_layer(from_fn_with_state(state.clone(), gate::with_key_or_ticket))
    };
    open.merge(of_keys)
        .merge(of_admin)
        .merge(by_ticket(of_locks))
        .route_layer(from_fn_with_state(state.clone(), change::carry_through))
        // Whoever waits for a lock may hang up, and then waits no longer.
        .merge(by_ticket(waiting).route_layer(from_fn(delivery::watch)))
        .with_state(state.clone())
        .merge(others)
        .fallback(shell::not_found)
        .method_not_allowed_fallback(shell::method_not_allowed)
        .layer(from_fn_with_state(state.surroundings(), shell::surround))
}

/// The calls about locks and files that the owner of an account passes on to the owner of a workspace, each with its [`Attested`].
pub(crate) fn passed_on_router(state: ApiState) -> Router {
    let (of_locks, _) = routes::of_locks().merge(routes::of_files()).split_for_parts();
    let (waiting, _) = routes::waiting_for_locks().split_for_parts();
    of_locks
        .route_layer(from_fn_with_state(state.clone(), change::carry_through))
        .merge(waiting.route_layer(from_fn(delivery::watch)))
        .route_layer(from_fn(elsewhere::with_attested))
        .with_state(state.clone())
        .fallback(shell::not_found)
        .method_not_allowed_fallback(shell::method_not_allowed)
        .layer(from_fn_with_state(state.surroundings(), shell::surround))
}
