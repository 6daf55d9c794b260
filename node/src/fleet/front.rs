//! Where clients and agents of a cluster come in, at any node.

use std::net::SocketAddr;
use std::time::Duration;

use artifacts_core::ErrorCode;
use artifacts_core::cluster::Verdict;
use artifacts_core::hosts::{CellAnswer, GuestBearer, JOIN_PATH, JoinCell};
use artifacts_core::protocol::{Hello, Opening, Refusal};
use axum::extract::{ConnectInfo, Request, State, WebSocketUpgrade};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::FutureExt as _;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;

use super::Fleet;
use super::find::Found;
use super::forward::Parcel;
use super::peer::{PeerCall, unavailable};
use super::place::{Home, bearer, of_request};
use crate::api::{self, ApiError, ClusterSight};
use crate::random::secret_matches;
use crate::store::StoreError;
use crate::stream::{self, StreamState};

/// How long the store may take before the node counts as not ready.
const PROBE_LIMIT: Duration = Duration::from_secs(2);

/// How long it may take to prove that a workspace is here before its mount is sent away. A node that is cut off from the store is
/// to be left soon.
const VOUCH_LIMIT: Duration = Duration::from_millis(1_500);
/// The same where the store has not answered for a while.
const DOUBTFUL_LIMIT: Duration = Duration::from_millis(100);

/// How long the owner of an account may take to place a host.
const JOIN_LIMIT: Duration = Duration::from_secs(3);
/// Longer ones are not ours.
const CREDENTIAL_MAX_BYTES: usize = 256;

#[derive(Clone)]
struct Front {
    fleet: Fleet,
    prometheus: PrometheusHandle,
}

/// All that clients and agents can call; `others` is for nodes.
pub(crate) fn router(fleet: &Fleet, others: Router) -> Router {
    let prometheus = api::install_metrics();
    let (weak, kept) = (fleet.weak(), prometheus.clone());
    tokio::spawn(api::keep_metrics(kept, move || weak.strong_count() > 0));
    let front = Front { fleet: fleet.clone(), prometheus };
    let own = Router::new()
        .route("/healthz", get(api::healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(api::openapi))
        .route("/.well-known/jwks.json", get(jwks))
        .route("/v1/cluster", get(cluster))
        .route(JOIN_PATH, post(join_cell))
        .with_state(front)
        .merge(others)
        .layer(from_fn_with_state((fleet.clock().clone(), fleet.entropy().clone()), api::surround));
    // What is passed to a unit has all of that around it already.
    let streams = own.route("/v1/stream", get(open_stream).with_state(fleet.clone()));
    streams.route("/v1/proofs", get(super::witness::open).with_state(fleet.clone())).fallback_service(
        Router::new()
            .fallback(dispatch)
            .layer(from_fn_with_state((fleet.clock().clone(), fleet.entropy().clone()), api::name))
            .with_state(fleet.clone()),
    )
}

/// Lets the owner of what a request is about answer it.
async fn dispatch(State(fleet): State<Fleet>, request: Request) -> Result<Response, ApiError> {
    let mut parcel = Parcel::read(request).await?;
    let marked = fleet.open_mark(&mut parcel)?;
    let regions = fleet.regions();
    if let Some(shard) = marked {
        return Ok(fleet.deliver(&Home::shard(regions.here(), shard), parcel).await);
    }
    match of_request(regions, parcel.as_asked(), |token| fleet.is_admin(token)) {
        Some(home) if fleet.is_here(&home.region) => Ok(fleet.deliver(&home, parcel).await),
        Some(home) => pass_abroad(&fleet, &home, parcel).await,
        None => {
            // Where it makes no difference, some unit of this node is as good as any.
            let shard = fleet.units().first().map_or(fleet.map().of_cluster(), |unit| unit.shard);
            Ok(fleet.deliver(&Home::shard(regions.here(), shard), parcel).await)
        }
    }
}

/// Lets another region answer, unless what is shown is not worth it.
async fn pass_abroad(fleet: &Fleet, home: &Home, parcel: Parcel) -> Result<Response, ApiError> {
    let credential = parcel.bearer().unwrap_or_default();
    let is_admin = fleet.is_admin(&credential);
    if let Some(flaw) = fleet.flaw_of_ticket(home, &credential) {
        return Err(ApiError::new(ErrorCode::Unauthorized, flaw.to_string()));
    }
    if !is_admin {
        match fleet.judge_credential(home, &credential) {
            Verdict::Ask => {}
            Verdict::Refused => {
                let message = "the credential is missing, unknown, expired or revoked; send `authorization: Bearer <key>`";
                return Err(ApiError::new(ErrorCode::Unauthorized, message));
            }
            Verdict::TooMany(wait_ms) => {
                let error = ApiError::new(ErrorCode::RateLimited, "too many unknown credentials are shown at the moment; try again");
                return Err(error.with_retry_after_ms(wait_ms));
            }
        }
    }
    let response = fleet.deliver(home, parcel).await;
    match response.status() {
        _ if is_admin => {}
        StatusCode::UNAUTHORIZED => fleet.note_credential(home, &credential, false),
        status if status.is_success() => fleet.note_credential(home, &credential, true),
        // Nothing was said about it.
        _ => {}
    }
    Ok(response)
}

async fn readyz(State(front): State<Front>) -> Result<Response, ApiError> {
    let refused = |reason: &str| ApiError::new(ErrorCode::Unavailable, format!("{reason}; send requests to another node"));
    if let Some(reason) = front.fleet.not_ready() {
        return Err(refused(reason));
    }
    // One store for all: they share the bucket.
    if let Some(unit) = front.fleet.units().first() {
        match tokio::time::timeout(PROBE_LIMIT, unit.vouch()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(refused("the store does not answer")),
            Err(_) => return Err(refused("the store is too slow")),
        }
    }
    Ok(Json(json!({ "status": "ok" })).into_response())
}

async fn metrics(State(front): State<Front>) -> Response {
    let sessions: Vec<_> = front.fleet.units().iter().flat_map(|unit| unit.sessions.list()).collect();
    front.fleet.show();
    api::render_metrics(&front.prometheus, &sessions, front.fleet.common().revocations.read().len())
}

async fn jwks(State(front): State<Front>) -> Response {
    let common = front.fleet.common();
    let mut keys = common.key_ring.read().jwks();
    keys.keys.extend(common.abroad.read().jwks().keys);
    ([(CACHE_CONTROL, "public, max-age=60")], Json(keys)).into_response()
}

async fn cluster(State(front): State<Front>, headers: HeaderMap) -> Result<Response, ApiError> {
    let fleet = &front.fleet;
    if fleet.common().admin_token_hash.read().is_none() {
        return Err(ApiError::new(ErrorCode::Unavailable, "the node does not know the keys of the cluster yet; try again"));
    }
    if !bearer(&headers).is_some_and(|token| fleet.is_admin(token)) {
        return Err(ApiError::new(ErrorCode::Unauthorized, "this takes the admin token; send `authorization: Bearer <token>`"));
    }
    let sight = ClusterSight { ring: fleet.ring(), regions: fleet.regions(), shards: fleet.map().len(), holdings: fleet.holdings() };
    Ok(Json(api::describe_cluster(&sight).await).into_response())
}

/// A host or a guest asks for its cell, at any node.
async fn join_cell(State(front): State<Front>, headers: HeaderMap, Json(join): Json<JoinCell>) -> Result<Response, ApiError> {
    let fleet = &front.fleet;
    let secret = bearer(&headers).filter(|secret| secret.len() <= CREDENTIAL_MAX_BYTES);
    let secret = secret
        .ok_or_else(|| ApiError::new(ErrorCode::Unauthorized, "this takes a mesh credential; send `authorization: Bearer <secret>`"))?;
    let refused = |refusal: Refusal| ApiError::new(refusal.code, refusal.message);
    if let Ok(bearer) = secret.parse::<GuestBearer>() {
        return Ok(Json(fleet.join_as_guest(&bearer, &join).await.map_err(refused)?).into_response());
    }
    let home = Home::of_key(fleet.regions(), secret);
    let is_abroad = !fleet.is_here(&home.region);
    if is_abroad {
        fleet.look_at(&home, secret).map_err(refused)?;
    }
    let call = PeerCall::JoinCell { secret: secret.to_owned(), join, position: None };
    let answer = fleet.ask::<Result<CellAnswer, Refusal>>(&home, &call, JOIN_LIMIT).await.map_err(|error| refused(unavailable(&error)))?;
    if is_abroad {
        fleet.note_credential(&home, secret, answer.is_ok());
    }
    Ok(Json(answer.map_err(refused)?).into_response())
}

async fn open_stream(State(fleet): State<Fleet>, ConnectInfo(remote): ConnectInfo<SocketAddr>, upgrade: WebSocketUpgrade) -> Response {
    stream::serve_stream(upgrade, remote, move |hello| async move { fleet.find_server(&hello).await }.boxed())
}

impl Fleet {
    /// Whether this is the admin token of this region or of another one, in constant time.
    fn is_admin(&self, token: &str) -> bool {
        let common = self.common();
        common.admin_token_hash.read().is_some_and(|hash| secret_matches(token, &hash)) || common.abroad.read().is_admin_token(token)
    }

    /// By whom a stream is served: a unit here, or a refusal that says where to go.
    async fn find_server(&self, hello: &Hello) -> Result<StreamState, Refusal> {
        let regions = self.regions();
        let home = match &hello.opening {
            Opening::Resume { session, secret } => Home::of_session(regions, *session, secret),
            Opening::Ticket { token } => {
                Home::of_ticket_workspace(regions, token).ok_or_else(|| Refusal::new(ErrorCode::Unauthorized, "the ticket is malformed"))?
            }
            opening @ Opening::ApiKey { .. } => {
                let right = self.right(opening).await?;
                let region = right.workspace.elsewhere().or(right.account_region);
                Home::of(region.as_ref().unwrap_or(regions.here()), right.workspace.id)
            }
        };
        let by_ms = self.settle_by_ms();
        loop {
            match self.find(&home) {
                Found::Here(unit) if !unit.is_closing() => {
                    let limit = if unit.is_doubtful() { DOUBTFUL_LIMIT } else { VOUCH_LIMIT };
                    return match tokio::time::timeout(limit, unit.vouch()).await {
                        Ok(Ok(())) => Ok(unit.agents.clone()),
                        Ok(Err(_)) | Err(_) => {
                            Err(Refusal::new(ErrorCode::Unavailable, "the workspace may be at another node by now; try that"))
                        }
                    };
                }
                Found::There(member) => {
                    metrics::counter!("artifacts_streams_redirected_total").increment(1);
                    let refusal = Refusal::new(ErrorCode::Unavailable, format!("the workspace is at node {}", member.id.name));
                    return Err(Refusal { owner: member.facts.map(|facts| facts.stream), ..refusal });
                }
                Found::OutOfReach(region) => {
                    return Err(Refusal::new(ErrorCode::Unavailable, StoreError::OutOfReach { region }.to_string()));
                }
                Found::Here(_) | Found::Nowhere => {}
            }
            if !self.look_again(by_ms).await {
                return Err(Refusal::new(ErrorCode::Unavailable, "the workspace has no owner at the moment; try again"));
            }
        }
    }
}
