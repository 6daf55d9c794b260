use std::ops::Range;
use std::sync::Arc;

use artifacts_core::SegmentId;
use artifacts_core::namespace::Errno;
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use reqwest::{Method, RequestBuilder, StatusCode, header};
use tokio::sync::Semaphore;

use super::segments::{BlockError, Effort, Segments};
use crate::errno;
use crate::random::jittered;
use crate::session::MountSession;
use crate::time::pause;

/// Pauses between attempts, the first and the longest.
const PAUSES_MS: (u64, u64) = (50, 1_000);
/// How long a program may wait for one exchange, however the node excuses itself.
const GIVE_UP_MS: u64 = 60_000;
/// How many segments may be on their way at once, so that many busy programs do not cost as much memory each.
const ON_THE_WAY_MAX: usize = 16;

/// The node's data endpoint. Attempts go on until the session is interrupted, so an outage that is shorter than the
/// lease is a pause.
#[derive(Debug)]
pub(crate) struct Exchange {
    http: reqwest::Client,
    session: Arc<MountSession>,
    on_the_way: Semaphore,
}

impl Exchange {
    /// In the name of this session.
    pub(crate) fn new(http: reqwest::Client, session: Arc<MountSession>) -> Self {
        Self { http, session, on_the_way: Semaphore::new(ON_THE_WAY_MAX) }
    }

    /// One exchange with the data endpoint, tried again as long as `effort` says.
    async fn exchange(
        &self,
        segment: SegmentId,
        build: impl Fn(RequestBuilder) -> RequestBuilder,
        method: Method,
        effort: Effort,
    ) -> Result<Bytes, Failure> {
        let give_up_at_ms = self.session.clock.boot_ms() + GIVE_UP_MS;
        let mut pause_ms = PAUSES_MS.0;
        loop {
            let url = self.session.endpoint().at(&format!("/v1/data/{segment}"));
            let token = format!("{}.{}", self.session.id(), self.session.welcome.secret);
            let attempt = async {
                let _permit = self.on_the_way.acquire().await;
                let response = build(self.http.request(method.clone(), url).bearer_auth(token)).send().await?;
                let status = response.status();
                Ok::<_, reqwest::Error>((status, response.bytes().await?))
            };
            let outcome = tokio::select! {
                outcome = attempt => outcome,
                errno = self.session.interruption() => return Err(Failure::Interrupted(errno)),
            };
            match outcome {
                Ok((status, bytes)) if status.is_success() => return Ok(bytes),
                Ok((status, _)) if errno::of_status(status).is_some() => return Err(Failure::Status(status)),
                Ok((status, _)) => tracing::warn!(%segment, %status, "the data endpoint is not ready"),
                Err(error) => tracing::warn!(%segment, %error, "the data endpoint does not answer"),
            }
            if effort == Effort::Once || self.session.clock.boot_ms() >= give_up_at_ms {
                return Err(Failure::Interrupted(Errno::EIO));
            }
            pause(jittered(pause_ms)).await;
            pause_ms = (pause_ms * 2).min(PAUSES_MS.1);
        }
    }
}

impl Segments for Exchange {
    fn get(&self, segment: SegmentId, range: Range<u32>, effort: Effort) -> BoxFuture<'_, Result<Bytes, BlockError>> {
        let header_value = format!("bytes={}-{}", range.start, u64::from(range.end) - 1);
        async move {
            let ask = |request: RequestBuilder| request.header(header::RANGE, &header_value);
            self.exchange(segment, ask, Method::GET, effort).await.map_err(|failure| match failure {
                Failure::Status(StatusCode::NOT_FOUND) => BlockError::Gone,
                Failure::Status(status) => BlockError::Failed(errno::of_status(status).unwrap_or(Errno::EIO)),
                Failure::Interrupted(errno) => BlockError::Failed(errno),
            })
        }
        .boxed()
    }

    fn put(&self, segment: SegmentId, data: Bytes) -> BoxFuture<'_, Result<(), Errno>> {
        async move {
            let stored = self.exchange(segment, |request| request.body(data.clone()), Method::PUT, Effort::Persistent).await;
            stored.map(drop).map_err(|failure| match failure {
                Failure::Status(status) => errno::of_status(status).unwrap_or(Errno::EIO),
                Failure::Interrupted(errno) => errno,
            })
        }
        .boxed()
    }
}

enum Failure {
    Status(StatusCode),
    Interrupted(Errno),
}
