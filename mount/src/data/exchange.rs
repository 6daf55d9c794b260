//! The exchanges by which bytes of segments come and go: through the node, or straight with the object store where
//! the session's data path says so.
//!
//! An exchange is tried again until it succeeds, is refused, the session is interrupted or a program has waited long
//! enough; an outage that is shorter than the lease is a pause. On the direct path the node signs a request for each
//! segment. Where the object store cannot be reached, or does not take what the node signed, the exchange goes through
//! the node, and so do the next ones for a while ([`Reach`]). What the node says is final: a direct put that finds its
//! object there is left to it to judge. Nothing here looks at the bytes; whoever asked checks them.

use std::borrow::Cow;
use std::sync::Arc;

use artifacts_core::SegmentId;
use artifacts_core::namespace::Errno;
use artifacts_core::protocol::{DataPath, DirectUrl};
use artifacts_core::trace::TraceContext;
use artifacts_trace::{Span, current, within};
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use reqwest::{Method, RequestBuilder, Response, StatusCode, header};
use tokio::sync::Semaphore;

use super::reach::Reach;
use super::segments::{BlockError, Effort, Segments};
use super::signed_urls::SignedUrls;
use crate::errno;
use crate::random::jittered;
use crate::session::MountSession;
use crate::time::pause;

/// Pauses between attempts, the first and the longest.
const PAUSES_MS: (u64, u64) = (50, 1_000);
/// How long a program may wait for one exchange, however the node excuses itself.
const GIVE_UP_MS: u64 = 60_000;
/// How many exchanges may be under way at once, so that many busy programs do not cost as much memory each.
const ON_THE_WAY_MAX: usize = 16;
/// After so many answers of the object store that led nowhere, an exchange goes through the node.
const DIRECT_ATTEMPTS: u32 = 3;
/// The longest answer with a signed request, in bytes.
const URL_MAX_BYTES: usize = 16 << 10;

/// Makes the exchanges of one session.
#[derive(Debug)]
pub(crate) struct Exchange {
    http: reqwest::Client,
    session: Arc<MountSession>,
    urls: SignedUrls,
    reach: Reach,
    on_the_way: Semaphore,
}

/// What is to be exchanged.
enum Wanted {
    Get { start: u64, lens: Vec<usize> },
    Put(Bytes),
}

/// How one attempt went.
enum Outcome {
    Done(Vec<Bytes>),
    /// For good.
    Refused(StatusCode),
    /// Worth another attempt, after a pause.
    Again(String),
    /// The signed request had run out, or the node that was asked is not the session's any more: worth another attempt at once.
    Stale,
    /// The direct path leads nowhere this time; whether it is to be left alone for a while.
    Detour {
        reason: String,
        unreachable: bool,
    },
}

impl Exchange {
    /// For a session.
    pub(crate) fn new(http: reqwest::Client, session: Arc<MountSession>) -> Self {
        Self { http, session, urls: SignedUrls::default(), reach: Reach::default(), on_the_way: Semaphore::new(ON_THE_WAY_MAX) }
    }

    async fn run(&self, segment: SegmentId, wanted: &Wanted, effort: Effort) -> Result<Vec<Bytes>, Refusal> {
        let mut span = Span::client(current(), wanted.span());
        let exchanged = within(span.context(), self.try_on(segment, wanted, effort)).await;
        match &exchanged {
            Ok(_) => span.count("artifacts.bytes", wanted.bytes() as u64),
            Err(_) => span.fail("the data was not exchanged"),
        }
        exchanged
    }

    async fn try_on(&self, segment: SegmentId, wanted: &Wanted, effort: Effort) -> Result<Vec<Bytes>, Refusal> {
        let clock = &self.session.clock;
        let give_up_at_ms = clock.boot_ms() + GIVE_UP_MS;
        let mut pause_ms = PAUSES_MS.0;
        let mut direct = self.session.welcome.data_path == DataPath::Direct && self.reach.is_worth_a_try(clock.boot_ms());
        let mut led_nowhere = 0;
        loop {
            let attempt = async {
                let _permit = self.on_the_way.acquire().await;
                if direct { self.directly(segment, wanted).await } else { self.through_the_node(segment, wanted).await }
            };
            let outcome = tokio::select! {
                outcome = attempt => outcome,
                errno = self.session.interruption() => return Err(Refusal::Interrupted(errno)),
            };
            match outcome {
                Outcome::Done(buffers) => return Ok(buffers),
                Outcome::Refused(status) => return Err(Refusal::Status(status)),
                Outcome::Stale => continue,
                Outcome::Detour { reason, unreachable } => {
                    direct = false;
                    if unreachable && self.reach.failed(clock.boot_ms()) {
                        tracing::warn!(reason, "the object store cannot be used from here; data goes through the node");
                    }
                    continue;
                }
                Outcome::Again(reason) => tracing::warn!(%segment, reason, direct, "an exchange of data is tried again"),
            }
            if direct {
                led_nowhere += 1;
                direct = led_nowhere < DIRECT_ATTEMPTS;
            }
            if effort == Effort::Once || clock.boot_ms() >= give_up_at_ms {
                return Err(Refusal::Interrupted(Errno::EIO));
            }
            pause(jittered(pause_ms)).await;
            pause_ms = (pause_ms * 2).min(PAUSES_MS.1);
        }
    }

    /// Waits for what a node answers, until there is another stream. One that was cut off may never answer, and by then the session
    /// is with another, or this one was started again.
    async fn on_this_stream<T>(&self, asking: impl Future<Output = T>) -> Result<T, Outcome> {
        let mut relinks = self.session.relinks();
        tokio::select! {
            biased;
            answer = asking => Ok(answer),
            _ = relinks.changed() => Err(Outcome::Stale),
        }
    }

    async fn through_the_node(&self, segment: SegmentId, wanted: &Wanted) -> Outcome {
        self.on_this_stream(self.ask_for_data(segment, wanted)).await.unwrap_or_else(|stale| stale)
    }

    async fn ask_for_data(&self, segment: SegmentId, wanted: &Wanted) -> Outcome {
        let request = match wanted {
            Wanted::Get { .. } => self.of_the_node(Method::GET, &format!("/v1/data/{segment}")),
            Wanted::Put(_) => self.of_the_node(Method::PUT, &format!("/v1/data/{segment}")),
        };
        let response = match wanted.fill(request).send().await {
            Ok(response) => response,
            Err(error) => return Outcome::Again(format!("the data endpoint does not answer: {error}")),
        };
        match response.status() {
            status if status.is_success() => match buffers(response, &wanted.answer_lens()).await {
                Ok(buffers) => Outcome::Done(buffers),
                Err(reason) => Outcome::Again(reason),
            },
            status if errno::of_status(status).is_some() => Outcome::Refused(status),
            status => Outcome::Again(format!("the data endpoint is not ready: {status}")),
        }
    }

    async fn directly(&self, segment: SegmentId, wanted: &Wanted) -> Outcome {
        let given = match wanted {
            Wanted::Get { .. } => self.urls.of(segment, self.session.clock.boot_ms(), self.signed(segment, "?op=get")).await,
            Wanted::Put(data) => self.signed(segment, &format!("?op=put&len={}", data.len())).await.map(|url| (Arc::new(url), true)),
        };
        let (signed, is_new) = match given {
            Ok(given) => given,
            Err(outcome) => return outcome,
        };
        let method = if matches!(wanted, Wanted::Get { .. }) { Method::GET } else { Method::PUT };
        let mut request = self.http.request(method, &signed.url);
        for (name, value) in &signed.headers {
            // The length of the body is what was signed; it sends that itself.
            if !name.eq_ignore_ascii_case(header::CONTENT_LENGTH.as_str()) {
                request = request.header(name, value);
            }
        }
        let unreachable = |reason: String| Outcome::Detour { reason, unreachable: true };
        let response = match wanted.fill(request).send().await {
            Ok(response) => response,
            // The address holds the signature.
            Err(error) => return unreachable(error.without_url().to_string()),
        };
        let is_get = matches!(wanted, Wanted::Get { .. });
        match response.status() {
            StatusCode::PARTIAL_CONTENT if is_get => match buffers(response, &wanted.answer_lens()).await {
                Ok(buffers) => self.done(buffers),
                Err(reason) => Outcome::Again(reason),
            },
            StatusCode::NOT_FOUND if is_get => {
                self.urls.drop_url(segment);
                self.answered();
                Outcome::Refused(StatusCode::NOT_FOUND)
            }
            status if status.is_success() && !is_get => self.done(Vec::new()),
            // Put by an attempt whose answer was lost, or by somebody else: the node compares.
            StatusCode::PRECONDITION_FAILED if !is_get => Outcome::Detour { reason: "the segment exists".to_owned(), unreachable: false },
            StatusCode::FORBIDDEN if !is_new => {
                self.urls.drop_url(segment);
                Outcome::Stale
            }
            status @ (StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS) => busy(status),
            status if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED => busy(status),
            status => {
                self.urls.drop_url(segment);
                unreachable(format!("the object store answers {status}"))
            }
        }
    }

    fn done(&self, buffers: Vec<Bytes>) -> Outcome {
        self.answered();
        Outcome::Done(buffers)
    }

    fn answered(&self) {
        if self.reach.worked() {
            tracing::info!("the object store can be reached again");
        }
    }

    /// Asks the node to sign a request.
    async fn signed(&self, segment: SegmentId, query: &str) -> Result<DirectUrl, Outcome> {
        self.on_this_stream(self.ask_for_url(segment, query)).await?
    }

    async fn ask_for_url(&self, segment: SegmentId, query: &str) -> Result<DirectUrl, Outcome> {
        let request = self.of_the_node(Method::GET, &format!("/v1/data/{segment}/url{query}"));
        let response = request.send().await.map_err(|error| Outcome::Again(format!("the data endpoint does not answer: {error}")))?;
        match response.status() {
            status if status.is_success() => {
                let text = buffers(response, &[URL_MAX_BYTES]).await.map_err(Outcome::Again)?;
                let unreadable = |error: serde_json::Error| Outcome::Detour { reason: error.to_string(), unreachable: true };
                serde_json::from_slice(&text.concat()).map_err(unreadable)
            }
            // A session that may not write, a segment that is too large: the other path says the same.
            status @ (StatusCode::FORBIDDEN | StatusCode::PAYLOAD_TOO_LARGE) => Err(Outcome::Refused(status)),
            status if errno::of_status(status).is_some() => {
                Err(Outcome::Detour { reason: format!("the node signs no requests: {status}"), unreachable: true })
            }
            status => Err(Outcome::Again(format!("the data endpoint is not ready: {status}"))),
        }
    }

    fn of_the_node(&self, method: Method, path: &str) -> RequestBuilder {
        let token = format!("{}.{}", self.session.id(), self.session.welcome.secret);
        let request = self.http.request(method, self.session.endpoint().at(path)).bearer_auth(token);
        match current() {
            Some(span) => request.header(TraceContext::HEADER, span.to_string()),
            None => request,
        }
    }
}

impl Segments for Exchange {
    fn get(&self, segment: SegmentId, start: u32, lens: Vec<u32>, effort: Effort) -> BoxFuture<'_, Result<Vec<Bytes>, BlockError>> {
        async move {
            let wanted = Wanted::Get { start: u64::from(start), lens: lens.into_iter().map(|len| len as usize).collect() };
            self.run(segment, &wanted, effort).await.map_err(|refusal| match refusal {
                Refusal::Status(StatusCode::NOT_FOUND) => BlockError::Gone,
                refusal => BlockError::Failed(refusal.errno()),
            })
        }
        .boxed()
    }

    fn put(&self, segment: SegmentId, data: Bytes) -> BoxFuture<'_, Result<(), Errno>> {
        async move { self.run(segment, &Wanted::Put(data), Effort::Persistent).await.map(drop).map_err(Refusal::errno) }.boxed()
    }

    fn forget(&self) {
        self.urls.clear();
    }
}

impl Wanted {
    fn fill(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Get { start, lens } => {
                let end = start + lens.iter().sum::<usize>() as u64;
                request.header(header::RANGE, format!("bytes={start}-{}", end.saturating_sub(1)))
            }
            Self::Put(data) => request.body(data.clone()),
        }
    }

    fn span(&self) -> &'static str {
        if matches!(self, Self::Get { .. }) { "data.get" } else { "data.put" }
    }

    /// How many bytes are wanted.
    fn bytes(&self) -> usize {
        match self {
            Self::Get { lens, .. } => lens.iter().sum(),
            Self::Put(data) => data.len(),
        }
    }

    /// The longest answer that makes sense, and how it is cut up.
    fn answer_lens(&self) -> Cow<'_, [usize]> {
        match self {
            Self::Get { lens, .. } => Cow::Borrowed(lens),
            Self::Put(_) => Cow::Owned(vec![URL_MAX_BYTES]),
        }
    }
}

fn busy(status: StatusCode) -> Outcome {
    Outcome::Again(format!("the object store answers {status}"))
}

/// The body of an answer in buffers of these lengths, unless it is longer than all of them. The last ones are shorter or
/// missing if the body is.
async fn buffers(mut response: Response, lens: &[usize]) -> Result<Vec<Bytes>, String> {
    let mut left = response.content_length().unwrap_or(0) as usize;
    let mut full = Vec::with_capacity(lens.len());
    let mut lens = lens.iter().copied();
    let (mut filling, mut room) = (BytesMut::new(), 0);
    while let Some(mut chunk) = response.chunk().await.map_err(|error| format!("an answer broke off: {}", error.without_url()))? {
        while !chunk.is_empty() {
            if room == 0 {
                if !filling.is_empty() {
                    full.push(std::mem::take(&mut filling).freeze());
                }
                room = lens.next().ok_or("an answer is longer than it may be")?;
                filling.reserve(room.min(left));
                left = left.saturating_sub(room);
            }
            let now = chunk.split_to(chunk.len().min(room));
            room -= now.len();
            filling.extend_from_slice(&now);
        }
    }
    full.push(filling.freeze());
    Ok(full)
}

enum Refusal {
    Status(StatusCode),
    Interrupted(Errno),
}

impl Refusal {
    fn errno(self) -> Errno {
        match self {
            Self::Status(status) => errno::of_status(status).unwrap_or(Errno::EIO),
            Self::Interrupted(errno) => errno,
        }
    }
}
