//! Lets the owner of a shard answer a request: here, or on another node.
//!
//! What is passed on to another node bears a mark that only a member of the ring can make, once, for that node: it holds what is
//! secret in the request, what was found out about it, and how often it was passed on. A request without a mark is a client's.
//!
//! The body of a request is read whole, so that it can be sent again to another node while none has taken it; but not that of a file,
//! which may be of any length. It streams through, to one node: if that turns out not to be the owner, the client hears so.

use artifacts_core::ErrorCode;
use artifacts_core::cluster::Shard;
use artifacts_core::mesh::Member;
use artifacts_core::trace::TraceContext;
use artifacts_trace::Span;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use futures_util::stream::unfold;
use futures_util::{FutureExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, BodyStream, LengthLimitError, Limited, StreamBody};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tower::ServiceExt as _;

use super::find::Found;
use super::place::{Asked, Home, bearer};
use super::{Fleet, Unit};
use crate::api::{ApiError, Attested, traced};
use crate::catalog::KeyPosition;
use crate::store::StoreError;
use crate::stream::SEGMENT_MAX_BYTES;

/// Whether this is the address of a file, whose content may be of any length.
fn is_file(path: &str) -> bool {
    path.starts_with("/v1/workspaces/") && path.split('/').nth(5) == Some("files")
}

/// The header with the mark.
const MARK: HeaderName = HeaderName::from_static("artifacts-passed-on");
/// The header of an answer that says that the shard is not here and that nothing was done.
const NOT_HERE: HeaderName = HeaderName::from_static("artifacts-not-here");
/// What marks are sealed for.
const PURPOSE: &str = "/internal/v1/passed-on";
/// How often a request is passed on: the first node may know an owner that is none any more.
const HOPS_MAX: u8 = 2;

/// What one node tells another about a request that it passes on. The shard is one of the receiver's region.
#[derive(Serialize, Deserialize)]
struct Mark {
    hops: u8,
    shard: Shard,
    method: String,
    target: String,
    /// Of the body; none of one that streams through.
    digest: Option<[u8; 32]>,
    /// The header `authorization`, in base64.
    authorization: Option<String>,
    attested: Option<Attested>,
    /// Where the API key is on record, if not where its secret says.
    #[serde(default)]
    key: Option<KeyPosition>,
}

/// What a request brings.
enum Content {
    /// All of it.
    Whole(Bytes),
    /// It is on its way; whoever takes it has it alone.
    Stream(Mutex<Option<Body>>),
}

impl Content {
    fn whole(&self) -> &[u8] {
        if let Self::Whole(bytes) = self { bytes } else { &[] }
    }

    fn digest(&self) -> Option<[u8; 32]> {
        if let Self::Whole(bytes) = self { Some(*blake3::hash(bytes).as_bytes()) } else { None }
    }

    /// For one attempt to have it answered. None of a stream that an attempt before has taken.
    fn take(&self) -> Option<Body> {
        match self {
            Self::Whole(bytes) => Some(Body::from(bytes.clone())),
            Self::Stream(body) => body.lock().take(),
        }
    }
}

/// A request on its way to whoever answers it.
pub(super) struct Parcel {
    parts: Parts,
    body: Content,
    attested: Option<Attested>,
    key: Option<KeyPosition>,
    hops: u8,
}

impl Parcel {
    /// Reads a request. One with a body that no call takes is refused.
    ///
    /// # Errors
    /// As the call itself would answer.
    pub(super) async fn read(request: Request) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        if parts.method == Method::PUT && is_file(parts.uri.path()) {
            let body = Content::Stream(Mutex::new(Some(body)));
            return Ok(Self { parts, body, attested: None, key: None, hops: 0 });
        }
        let body = match Limited::new(body, SEGMENT_MAX_BYTES).collect().await {
            Ok(whole) => Content::Whole(whole.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => {
                return Err(ApiError::new(ErrorCode::PayloadTooLarge, "the request body is longer than any call takes; send less"));
            }
            Err(_) => return Err(ApiError::new(ErrorCode::InvalidRequest, "the request body ended early; send it again")),
        };
        Ok(Self { parts, body, attested: None, key: None, hops: 0 })
    }

    /// The same, with what the owner of its account has found.
    pub(super) fn attested(self, attested: Attested) -> Self {
        Self { attested: Some(attested), hops: 0, ..self }
    }

    /// The same, for whoever has the record of its API key.
    fn with_key_at(self, position: KeyPosition) -> Self {
        Self { key: Some(position), hops: 0, ..self }
    }

    /// What whoever sends it shows, if it shows anything.
    pub(super) fn bearer(&self) -> Option<String> {
        bearer(&self.parts.headers).map(str::to_owned)
    }

    /// What says where it belongs.
    pub(super) fn as_asked(&self) -> Asked<'_> {
        Asked { method: &self.parts.method, path: self.path(), headers: &self.parts.headers, body: self.body.whole() }
    }

    fn path(&self) -> &str {
        self.parts.uri.path()
    }

    fn target(&self) -> String {
        self.parts.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string)
    }

    /// Whether it does no harm if it was carried out in part: it changes nothing, or it only waited.
    fn can_be_repeated(&self) -> bool {
        self.parts.method.is_safe() || (self.path().contains("/locks/") && self.path().ends_with("/acquire"))
    }

    /// For a unit of this node; `None` if the body has gone elsewhere.
    fn request(&self) -> Option<Request> {
        let mut request = Request::new(self.body.take()?);
        *request.method_mut() = self.parts.method.clone();
        *request.uri_mut() = self.parts.uri.clone();
        *request.headers_mut() = self.parts.headers.clone();
        if let Some(remote) = self.parts.extensions.get::<axum::extract::ConnectInfo<std::net::SocketAddr>>() {
            request.extensions_mut().insert(*remote);
        }
        if let Some(attested) = &self.attested {
            request.extensions_mut().insert(attested.clone());
        }
        if let Some(position) = &self.key {
            request.extensions_mut().insert(position.clone());
        }
        Some(request)
    }
}

/// What came of an attempt.
enum Attempt {
    Answered(Response),
    /// Nothing was done.
    NotThere,
    /// Perhaps it was carried out.
    Broken,
    /// Nothing was done, and what was to be sent has gone to a node before.
    Spent,
    /// Perhaps it was carried out, because the object store does not say who owns the shard.
    Unproven,
    /// Nothing was done: the API key that it bears is on record there.
    KeyIsAt(KeyPosition),
}

impl Attempt {
    /// The word for it in metrics.
    fn outcome(&self) -> &'static str {
        match self {
            Self::Answered(_) => "answered",
            Self::NotThere | Self::KeyIsAt(_) | Self::Spent => "not_there",
            Self::Broken | Self::Unproven => "broken",
        }
    }
}

/// Why a call is not answered.
const NO_STORE: &str = "the object store does not answer at the moment";
const NO_OWNER: &str = "what this is about has no owner at the moment";
const MOVED: &str = "what this is about has just got another owner, and nothing was done";
const FAILED: &str = "the node that serves this has failed";

impl Fleet {
    /// Takes what another node has passed on, and for which shard; `None` if it bears no mark.
    ///
    /// # Errors
    /// `unauthorized` for a mark that does not count.
    pub(super) fn open_mark(&self, parcel: &mut Parcel) -> Result<Option<Shard>, ApiError> {
        let Some(mark) = parcel.parts.headers.remove(MARK) else { return Ok(None) };
        let refused = || ApiError::new(ErrorCode::Unauthorized, "this is for nodes of the cluster");
        let opened = self.ring().caller().open_mark(PURPOSE, mark.as_bytes()).map_err(|error| {
            tracing::debug!(%error, "a request that another node has passed on is refused");
            refused()
        })?;
        let mark: Mark = serde_json::from_slice(&opened).map_err(|_| refused())?;
        let is_this = mark.method == parcel.parts.method.as_str() && mark.target == parcel.target() && mark.digest == parcel.body.digest();
        if !is_this {
            return Err(refused());
        }
        parcel.parts.headers.remove(AUTHORIZATION);
        if let Some(value) = mark.authorization.and_then(|text| HeaderValue::from_bytes(&BASE64.decode(text).ok()?).ok()) {
            parcel.parts.headers.insert(AUTHORIZATION, value);
        }
        parcel.attested = mark.attested;
        parcel.key = mark.key;
        parcel.hops = mark.hops;
        Ok(Some(mark.shard))
    }

    /// Lets the owner of what a request is about answer, and waits for one if there is none at the moment.
    pub(super) async fn deliver(&self, home: &Home, parcel: Parcel) -> Response {
        let (begun_ms, by_ms) = (self.clock().monotonic_ms(), self.settle_by_ms());
        loop {
            let attempt = match self.find(home) {
                Found::Here(unit) => self.serve(&unit, &parcel).await,
                Found::There(member) if parcel.hops < HOPS_MAX => {
                    let attempt = self.send(&member, home, &parcel).await;
                    metrics::counter!("artifacts_requests_passed_on_total", "outcome" => attempt.outcome()).increment(1);
                    attempt
                }
                Found::There(_) | Found::Nowhere => Attempt::NotThere,
                Found::OutOfReach(region) => return ApiError::from(StoreError::OutOfReach { region }).into_response(),
            };
            let reason = match attempt {
                Attempt::Answered(response) => return response,
                Attempt::Broken if !parcel.can_be_repeated() => return unanswered(FAILED, true),
                Attempt::Spent => return unanswered(MOVED, false),
                Attempt::Unproven if !parcel.can_be_repeated() => return unanswered(NO_STORE, true),
                Attempt::KeyIsAt(position) => {
                    let home = Home::shard(self.regions().here(), position.shard(self.map()));
                    return Box::pin(self.deliver(&home, parcel.with_key_at(position))).await;
                }
                Attempt::NotThere | Attempt::Broken => NO_OWNER,
                Attempt::Unproven => NO_STORE,
            };
            // The node that passed it on looks for the owner itself.
            let give_up_ms = if parcel.hops > 0 { by_ms.saturating_sub(super::find::SETTLE.as_millis() as u64 / 2) } else { by_ms };
            if !self.look_again(give_up_ms).await {
                let was_lost = self.reach(|reach, now_ms| reach.was_lost(begun_ms, now_ms));
                let mut response = unanswered(if was_lost { NO_STORE } else { reason }, false);
                if parcel.hops > 0 {
                    response.headers_mut().insert(NOT_HERE, HeaderValue::from_static("1"));
                }
                return response;
            }
        }
    }

    /// Lets a unit of this node answer.
    async fn serve(&self, unit: &Unit, parcel: &Parcel) -> Attempt {
        let Some(under_way) = unit.enter() else { return Attempt::NotThere };
        if matches!(parcel.body, Content::Stream(_))
            && let Some(position) = unit.key_elsewhere(parcel).await
        {
            // Found out before the body is taken: it can be sent once only.
            return Attempt::KeyIsAt(position);
        }
        let Some(request) = parcel.request() else { return Attempt::Spent };
        let router = if parcel.attested.is_some() { &unit.passed_on } else { &unit.api };
        let response = match router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let elsewhere = if response.status() == StatusCode::UNAUTHORIZED { unit.key_elsewhere(parcel).await } else { None };
        // Some answers come from memory: nobody else may have taken the shard meanwhile.
        let vouched = unit.vouch().await;
        drop(under_way);
        // A unit that ends lets its calls fail; another serves them.
        let has_ended = unit.is_closing() || !unit.is_sound();
        match vouched {
            Err(StoreError::Unavailable { .. }) => Attempt::Unproven,
            Err(_) => Attempt::Broken,
            Ok(()) if has_ended && response.status() == StatusCode::SERVICE_UNAVAILABLE => Attempt::Broken,
            Ok(()) => elsewhere.map_or(Attempt::Answered(response), Attempt::KeyIsAt),
        }
    }

    /// Lets another node answer.
    async fn send(&self, member: &Member, home: &Home, parcel: &Parcel) -> Attempt {
        let Some(shard) = self.seat(home).map(|seat| seat.shard) else { return Attempt::NotThere };
        let Some(api) = member.facts.as_ref().map(|facts| facts.api.trim_end_matches('/').to_owned()) else { return Attempt::NotThere };
        let authorization = parcel.parts.headers.get(AUTHORIZATION).map(|value| BASE64.encode(value.as_bytes()));
        let mark = Mark {
            hops: parcel.hops + 1,
            shard,
            method: parcel.parts.method.as_str().to_owned(),
            target: parcel.target(),
            digest: parcel.body.digest(),
            authorization: authorization.filter(|_| parcel.attested.is_none()),
            attested: parcel.attested.clone(),
            key: parcel.key.clone(),
        };
        let sealed = serde_json::to_vec(&mark).ok().and_then(|mark| self.ring().caller().seal_mark(member, PURPOSE, &mark).ok());
        let Some((sealed, http)) = sealed else { return Attempt::NotThere };
        let Ok(sealed) = HeaderValue::from_str(&sealed) else { return Attempt::NotThere };
        let mut headers = parcel.parts.headers.clone();
        for name in [AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE] {
            headers.remove(name);
        }
        headers.insert(MARK, sealed);
        let mut span = Span::client(traced(&headers), "node.forward");
        span.set("artifacts.node", member.id.name.to_string());
        if let Some(value) = span.context().and_then(|context| HeaderValue::from_str(&context.to_string()).ok()) {
            headers.insert(TraceContext::HEADER, value);
        }
        let body = match &parcel.body {
            Content::Whole(bytes) => reqwest::Body::from(bytes.clone()),
            Content::Stream(body) => match body.lock().take() {
                Some(body) => reqwest::Body::wrap_stream(body.into_data_stream()),
                None => return Attempt::Spent,
            },
        };
        let url = format!("{api}{}", parcel.target());
        let sending = http.request(parcel.parts.method.clone(), url).headers(headers).body(body).send();
        let sent = tokio::select! {
            sent = sending => sent,
            () = self.is_silent(member) => {
                let is_heard = self.ring().view().member(&member.id.name).is_some_and(|known| known.live);
                return if is_heard { Attempt::Unproven } else { Attempt::Broken };
            }
        };
        match sent {
            Ok(response) if response.headers().contains_key(NOT_HERE) => Attempt::NotThere,
            Ok(response) => Attempt::Answered(self.relay(member, response)),
            Err(error) if error.is_connect() => Attempt::NotThere,
            Err(error) => {
                tracing::debug!(node = %member.id.name, %error, "a request that was passed on is not answered");
                Attempt::Broken
            }
        }
    }

    /// Another node's answer as ours. Its body streams through, and breaks off when that node is not heard any more: a stream of
    /// events would go on for ever without one.
    fn relay(&self, member: &Member, response: reqwest::Response) -> Response {
        let response: axum::http::Response<reqwest::Body> = response.into();
        let (fleet, member) = (self.clone(), member.clone());
        let silent = async move { fleet.is_silent(&member).await }.boxed();
        let mut response = response.map(|body| {
            let frames = unfold(Some((BodyStream::new(body), silent)), async |open| {
                let (mut frames, mut silent) = open?;
                tokio::select! {
                    biased;
                    frame = frames.next() => Some((frame?.map_err(axum::Error::new), Some((frames, silent)))),
                    () = &mut silent => Some((Err(axum::Error::new("the node that answers has fallen silent")), None)),
                }
            });
            Body::new(StreamBody::new(frames))
        });
        for name in [CONNECTION, TRANSFER_ENCODING] {
            response.headers_mut().remove(name);
        }
        response
    }

    /// Returns when a member is not heard any more.
    pub(super) async fn is_silent(&self, member: &Member) {
        let mut view = self.ring().watch();
        while self.is_heard(member) {
            if view.changed().await.is_err() {
                return;
            }
        }
    }
}

impl Unit {
    /// Where the API key is on record that a request bears and that was found to open nothing here, if that is elsewhere.
    async fn key_elsewhere(&self, parcel: &Parcel) -> Option<KeyPosition> {
        let is_new = parcel.key.is_none() && parcel.attested.is_none();
        let secret = bearer(&parcel.parts.headers).filter(|_| is_new)?;
        self.context.catalog.key_elsewhere(secret).await.ok().flatten()
    }
}

fn unanswered(reason: &str, perhaps_done: bool) -> Response {
    let effect = if perhaps_done { ", and the request may have taken effect" } else { "" };
    ApiError::new(ErrorCode::Unavailable, format!("{reason}{effect}; try again")).into_response()
}
