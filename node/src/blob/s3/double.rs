//! A server of S3 in this process that misbehaves on request, for what a real one cannot be made to do. It checks no
//! signature.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_RANGE, IF_NONE_MATCH, RANGE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::blob::{BlobOp, S3Config};
use crate::secret::Secret;
use crate::store::fault::{Fault, FaultPlan, Faults};

/// The one bucket that it has.
pub(super) const BUCKET: &str = "double";

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// The server; it ends when dropped.
pub(super) struct S3Double {
    address: SocketAddr,
    state: Arc<State>,
    serving: JoinHandle<()>,
}

struct State {
    objects: Mutex<BTreeMap<String, Bytes>>,
    faults: Faults<BlobOp>,
    requests: AtomicU64,
    honours_conditions: AtomicBool,
}

impl S3Double {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            objects: Mutex::default(),
            faults: Faults::new(FaultPlan::new(1)),
            requests: AtomicU64::new(0),
            honours_conditions: AtomicBool::new(true),
        });
        let serving = tokio::spawn(serve(listener, Arc::clone(&state)));
        Self { address, state, serving }
    }

    pub(super) fn config(&self) -> S3Config {
        S3Config {
            endpoint: Some(format!("http://{}", self.address)),
            path_style: true,
            prefix: "cluster".to_owned(),
            access_key_id: Some("key".to_owned()),
            secret_access_key: Some(Secret::new("secret")),
            ..S3Config::new(BUCKET)
        }
    }

    pub(super) fn set_plan(&self, plan: FaultPlan<BlobOp>) {
        self.state.faults.replace(plan);
    }

    pub(super) fn ignore_conditions(&self) {
        self.state.honours_conditions.store(false, Ordering::Relaxed);
    }

    pub(super) fn injected(&self) -> u64 {
        self.state.faults.injected()
    }

    pub(super) fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::Relaxed)
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.state.objects.lock().keys().cloned().collect()
    }
}

impl Drop for S3Double {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    while let Ok((socket, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&state), request));
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

/// An error cuts the connection instead of an answer.
async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Body>, io::Error> {
    state.requests.fetch_add(1, Ordering::Relaxed);
    let address = reqwest::Url::parse(&format!("http://double{}", request.uri())).unwrap();
    let query: BTreeMap<String, String> = address.query_pairs().into_owned().collect();
    let name = address.path().trim_start_matches('/').strip_prefix(BUCKET).map(|rest| rest.trim_start_matches('/').to_owned());
    let Some(name) = name else { return Ok(refusal(StatusCode::NOT_FOUND, "NoSuchBucket")) };
    let op = match *request.method() {
        Method::PUT => BlobOp::Put,
        Method::HEAD => BlobOp::Len,
        Method::DELETE => BlobOp::Delete,
        _ if query.contains_key("list-type") => BlobOp::List,
        _ => BlobOp::Get,
    };
    let fault = state.faults.before(op).await;
    match fault {
        Some(Fault::Fail) => return Ok(refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalError")),
        Some(Fault::Throttle) => return Ok(refusal(StatusCode::SERVICE_UNAVAILABLE, "SlowDown")),
        _ => {}
    }
    let header = |header| request.headers().get(header).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (range, conditional) = (header(RANGE), header(IF_NONE_MATCH).as_deref() == Some("*"));
    let data = match op {
        BlobOp::Put => request.into_body().collect().await.map_err(io::Error::other)?.to_bytes(),
        _ => Bytes::new(),
    };
    let response = match op {
        BlobOp::Put => put(&state, name, data, conditional),
        BlobOp::Len | BlobOp::Get => return get(&state, &name, range.as_deref(), op, fault),
        BlobOp::Delete => {
            state.objects.lock().remove(&name);
            plain(StatusCode::NO_CONTENT, Bytes::new())
        }
        BlobOp::List => list(&state, &query),
    };
    if fault.is_some() { Err(lost()) } else { Ok(response) }
}

fn put(state: &State, name: String, data: Bytes, conditional: bool) -> Response<Body> {
    let mut objects = state.objects.lock();
    if conditional && state.honours_conditions.load(Ordering::Relaxed) && objects.contains_key(&name) {
        return refusal(StatusCode::PRECONDITION_FAILED, "PreconditionFailed");
    }
    objects.insert(name, data);
    plain(StatusCode::OK, Bytes::new())
}

fn get(state: &State, name: &str, range: Option<&str>, op: BlobOp, fault: Option<Fault>) -> Result<Response<Body>, io::Error> {
    let Some(object) = state.objects.lock().get(name).cloned() else { return Ok(refusal(StatusCode::NOT_FOUND, "NoSuchKey")) };
    if fault == Some(Fault::LoseAnswer) || (op == BlobOp::Len && fault.is_some()) {
        return Err(lost());
    }
    if op == BlobOp::Len {
        let mut response = plain(StatusCode::OK, Bytes::new());
        response.headers_mut().insert(CONTENT_LENGTH, object.len().into());
        return Ok(response);
    }
    let bounds = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let (status, first, end) = match bounds.map(|(first, last)| (first.parse::<usize>().unwrap(), last.parse::<usize>().unwrap())) {
        None => (StatusCode::OK, 0, object.len()),
        Some((first, _)) if first >= object.len() => return Ok(refusal(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange")),
        Some((first, last)) => (StatusCode::PARTIAL_CONTENT, first, object.len().min(last.saturating_add(1))),
    };
    let data = object.slice(first..end);
    let cut = data.slice(..data.len() / 2);
    let mut response = match fault {
        // By turns: an answer that breaks off, and one that looks whole and is not.
        Some(Fault::Truncate) if state.requests.load(Ordering::Relaxed).is_multiple_of(2) => {
            let frames = [Ok(Frame::data(cut)), Err(lost())];
            let mut response = Response::new(StreamBody::new(stream::iter(frames)).boxed_unsync());
            response.headers_mut().insert(CONTENT_LENGTH, data.len().into());
            *response.status_mut() = status;
            response
        }
        Some(Fault::Truncate) => plain(status, cut),
        _ => plain(status, data),
    };
    if status == StatusCode::PARTIAL_CONTENT {
        let text = format!("bytes {first}-{}/{}", end - 1, object.len());
        response.headers_mut().insert(CONTENT_RANGE, text.parse().unwrap());
    }
    Ok(response)
}

fn list(state: &State, query: &BTreeMap<String, String>) -> Response<Body> {
    let text = |name| query.get(name).cloned().unwrap_or_default();
    let (prefix, after) = (text("prefix"), text("start-after"));
    let most: usize = query.get("max-keys").and_then(|text| text.parse().ok()).unwrap_or(1_000);
    let objects = state.objects.lock();
    let mut found = objects.range::<str, _>((Bound::Excluded(after.as_str()), Bound::Unbounded)).map(|(name, _)| name);
    let names: Vec<_> = found.by_ref().filter(|name| name.starts_with(&prefix)).take(most).collect();
    let more = found.any(|name| name.starts_with(&prefix));
    let contents: String = names.iter().map(|name| format!("<Contents><Key>{name}</Key></Contents>")).collect();
    let xml = format!("<ListBucketResult><IsTruncated>{more}</IsTruncated>{contents}</ListBucketResult>");
    plain(StatusCode::OK, xml.into())
}

fn plain(status: StatusCode, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Full::new(body).map_err(|never: Infallible| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response
}

fn refusal(status: StatusCode, code: &str) -> Response<Body> {
    plain(status, format!("<Error><Code>{code}</Code><Message>as asked for</Message></Error>").into())
}

fn lost() -> io::Error {
    io::Error::other("the answer is lost, as asked for")
}
