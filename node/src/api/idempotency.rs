//! `Idempotency-Key`: a POST that is sent again gets the answer of the first time.
//!
//! What is always true: of all requests with one key of one credential, at most one runs at a time, and once one has
//! been answered (below 500) no other runs for 24 hours: an identical one gets that answer, a different one a conflict.
//! The record follows the effect; if the node dies between them, a repeated request runs again and meets what the
//! first one made (`…_exists`).
//!
//! Answers may hold secrets that exist nowhere else, such as a new API key. So they are sealed under a key derived
//! from the caller's own secret, of which the node has only a hash. Nothing in the store can be read without it.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use artifacts_core::ErrorCode;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use parking_lot::Mutex;
use tokio::time::MissedTickBehavior;

use super::credential::Credential;
use super::error::name_request;
use super::request_id::RequestId;
use super::{ApiError, ApiState, body};
use crate::context::SharedContext;
use crate::store::StoreError;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const LONGEST_KEY: usize = 255;
const KEPT_MS: u64 = 24 * 3600 * 1000;
const SWEEP_PERIOD: Duration = Duration::from_secs(600);
const NONCE_BYTES: usize = 24;

/// Where an answer is kept: one credential's use of one idempotency key. Begins with the account's id, so that it lies in the
/// account's shard.
type Slot = [u8; 32];

/// The answers kept for repeated requests, and the locks on their slots.
pub(super) struct Idempotency {
    context: SharedContext,
    slots: Mutex<HashMap<Slot, Arc<tokio::sync::Mutex<()>>>>,
}

/// What a request is, to the holder of its credential.
struct Fingerprint {
    slot: Slot,
    request: [u8; 32],
    seal: [u8; 32],
}

impl Fingerprint {
    fn of(credential: &Credential, key: &str, method: &Method, path: &str, body: &[u8]) -> Self {
        let hashing = credential.derive("artifacts 2025 idempotency fingerprint");
        let mut slot = *blake3::keyed_hash(&hashing, key.as_bytes()).as_bytes();
        slot[..16].copy_from_slice(&credential.account.bits().to_be_bytes());
        let mut hasher = blake3::Hasher::new_keyed(&hashing);
        // Neither a method nor a path holds a line break.
        hasher.update(method.as_str().as_bytes()).update(b"\n").update(path.as_bytes()).update(b"\n").update(body);
        Self { slot, request: *hasher.finalize().as_bytes(), seal: credential.derive("artifacts 2025 idempotency seal") }
    }
}

impl Idempotency {
    /// The answers in the context's store. Those that have run out are removed for as long as this lives.
    pub(super) fn start(context: SharedContext) -> Arc<Self> {
        let this = Arc::new(Self { context, slots: Mutex::default() });
        tokio::spawn(sweep(Arc::downgrade(&this)));
        this
    }

    /// Waits until nobody else works on this slot.
    async fn hold(&self, slot: Slot) -> Held<'_> {
        let lock = self.slots.lock().entry(slot).or_default().clone();
        Held { idempotency: self, slot, guard: Some(lock.lock_owned().await) }
    }

    /// Answers from the record, or runs the request and keeps its answer.
    async fn once(&self, what: &Fingerprint, id: &RequestId, run: impl Future<Output = Response>) -> Result<Response, ApiError> {
        let _held = self.hold(what.slot).await;
        let catalog = &self.context.catalog;
        let head = catalog.answer_head(&what.slot).await?;
        if let Some(head) = head.as_ref().filter(|head| self.context.clock.wall() < head.expires_at) {
            if head.fingerprint != what.request {
                let message = "this `idempotency-key` was used for another request within 24 hours; use a new key for a new request";
                return Err(ApiError::new(ErrorCode::IdempotencyConflict, message));
            }
            let sealed = catalog.sealed_answer(&what.slot, head).await?;
            return sealed.and_then(|sealed| open(what, &sealed)).ok_or_else(ApiError::internal);
        }
        let (parts, body) = name_request(run.await, id).into_parts();
        if parts.status.is_server_error() {
            return Ok(Response::from_parts(parts, body));
        }
        let body = axum::body::to_bytes(body, usize::MAX).await.map_err(|_| ApiError::internal())?;
        let sealed = self.seal(what, parts.status, &body).ok_or_else(ApiError::internal)?;
        let expires_at = self.context.clock.wall().plus_ms(KEPT_MS);
        if let Err(error) = catalog.keep_answer(&what.slot, what.request, expires_at, &sealed, head.as_ref()).await {
            // What was asked has been done, and the answer may be the only copy of a secret.
            tracing::warn!(request_id = %id, %error, "an answer was not kept; the request would run again if repeated");
        }
        Ok(Response::from_parts(parts, Body::from(body)))
    }

    fn seal(&self, what: &Fingerprint, status: StatusCode, body: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = vec![0; NONCE_BYTES];
        self.context.entropy.fill(&mut sealed);
        let plain = [&status.as_u16().to_be_bytes(), body].concat();
        let payload = Payload { msg: &plain, aad: &what.request };
        let secret = XChaCha20Poly1305::new(&what.seal.into()).encrypt(XNonce::from_slice(&sealed), payload).ok()?;
        sealed.extend(secret);
        Some(sealed)
    }

    async fn remove_expired(&self) -> Result<(), StoreError> {
        loop {
            let expired = self.context.catalog.expired_answers(self.context.clock.wall()).await?;
            if expired.is_empty() {
                return Ok(());
            }
            for answer in &expired {
                let _held = self.hold(answer.slot).await;
                self.context.catalog.forget_answer(answer).await?;
            }
        }
    }
}

fn open(what: &Fingerprint, sealed: &[u8]) -> Option<Response> {
    let (nonce, secret) = sealed.split_at_checked(NONCE_BYTES)?;
    let payload = Payload { msg: secret, aad: &what.request };
    let plain = XChaCha20Poly1305::new(&what.seal.into()).decrypt(XNonce::from_slice(nonce), payload).ok()?;
    let (status, body) = plain.split_first_chunk()?;
    let mut response = Response::new(Body::from(Bytes::copy_from_slice(body)));
    *response.status_mut() = StatusCode::from_u16(u16::from_be_bytes(*status)).ok()?;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    Some(response)
}

/// A slot that nobody else works on.
struct Held<'a> {
    idempotency: &'a Idempotency,
    slot: Slot,
    guard: Option<tokio::sync::OwnedMutexGuard<()>>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut slots = self.idempotency.slots.lock();
        self.guard = None;
        // One reference is the map's own. New ones are taken under the map's lock only.
        if slots.get(&self.slot).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            slots.remove(&self.slot);
        }
    }
}

async fn sweep(idempotency: Weak<Idempotency>) {
    let mut ticks = tokio::time::interval(SWEEP_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(idempotency) = idempotency.upgrade() else { return };
        if let Err(error) = idempotency.remove_expired().await {
            tracing::warn!(%error, "answers that have run out were not removed");
        }
    }
}

/// Honours `Idempotency-Key` on POSTs. Stands behind the gate.
///
/// # Errors
/// `invalid_request` for a malformed key, `idempotency_conflict` for one that was used for another request.
pub(super) async fn honour(State(state): State<ApiState>, request: Request, next: Next) -> Result<Response, ApiError> {
    let key = match key(request.headers())? {
        Some(key) if request.method() == Method::POST => key.to_owned(),
        _ => return Ok(next.run(request).await),
    };
    let (parts, body) = request.into_parts();
    let body = body::read(body).await?;
    let (Some(credential), Some(id)) = (parts.extensions.get::<Credential>(), parts.extensions.get::<RequestId>().cloned()) else {
        return Err(ApiError::internal());
    };
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let what = Fingerprint::of(credential, &key, &parts.method, path, &body);
    let run = next.run(Request::from_parts(parts, Body::from(body)));
    state.idempotency().once(&what, &id, run).await
}

fn key(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let bytes = value.as_bytes();
    let good = values.next().is_none() && (1..=LONGEST_KEY).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
    match value.to_str() {
        Ok(text) if good => Ok(Some(text)),
        _ => Err(ApiError::invalid("idempotency-key", format!("must be 1 to {LONGEST_KEY} visible ASCII characters, and sent once"))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::credential::Bearer;
    use super::*;
    use artifacts_core::AccountId;

    #[test]
    fn a_key_at_its_edges() {
        let long = "k".repeat(256);
        for (text, good) in
            [("k", true), ("!~", true), (&long[..255], true), (long.as_str(), false), ("", false), ("a b", false), ("é", false)]
        {
            let headers = HeaderMap::from_iter([(IDEMPOTENCY_KEY, HeaderValue::from_bytes(text.as_bytes()).unwrap())]);
            assert_eq!(key(&headers).is_ok(), good, "{text}");
        }
        let mut twice = HeaderMap::new();
        twice.append(IDEMPOTENCY_KEY, HeaderValue::from_static("a"));
        twice.append(IDEMPOTENCY_KEY, HeaderValue::from_static("a"));
        assert!(key(&twice).is_err());
        assert_eq!(key(&HeaderMap::new()), Ok(None));
    }

    #[test]
    fn a_fingerprint_depends_on_everything() {
        let account = AccountId::from_bits(7);
        let of = |secret: &str, key: &str, path: &str, body: &str| {
            let what = Fingerprint::of(&Credential::new(Bearer::Admin, account, secret), key, &Method::POST, path, body.as_bytes());
            (what.slot, what.request)
        };
        let first = of("s", "k", "/p", "b");
        assert_eq!(of("s", "k", "/p", "b"), first);
        assert_eq!(first.0[..16], account.bits().to_be_bytes());
        assert_ne!(of("t", "k", "/p", "b").0, first.0, "another credential, another slot");
        assert_ne!(of("s", "l", "/p", "b").0, first.0);
        assert_eq!(of("s", "k", "/q", "b").0, first.0);
        assert_ne!(of("s", "k", "/q", "b").1, first.1);
        assert_ne!(of("s", "k", "/p", "c").1, first.1);
    }
}
