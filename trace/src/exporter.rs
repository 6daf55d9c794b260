use std::sync::mpsc as std_mpsc;
use std::time::Duration;

use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::options::TraceError;
use crate::time::Begun;
use crate::tls::trust;
use crate::tracer::drop_spans;

/// So many spans wait at the most.
pub(crate) const QUEUE_MAX: usize = 4096;
/// So many are sent together.
const BATCH_MAX: usize = 512;
/// How long a span waits for others.
const SEND_EVERY: Duration = Duration::from_secs(1);
/// How long the collector may take to be reached, and to answer.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// How long what is left may take when the process ends, and how long that is waited for.
const LAST_LIMIT: Duration = Duration::from_millis(1_500);
const FINISH_LIMIT: Duration = Duration::from_secs(2);
/// How often it is told that the collector does not take anything.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// The way to the collector: a bounded queue, and a thread that sends what is in it.
#[derive(Debug)]
pub(crate) struct Exporter {
    queue: mpsc::Sender<SpanData>,
    ending: mpsc::Sender<std_mpsc::Sender<()>>,
}

impl Exporter {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`TraceError::System`].
    pub(crate) fn start(endpoint: &str, resource: Resource) -> Result<Self, TraceError> {
        let refused = |error: &dyn std::fmt::Display| TraceError::System(error.to_string());
        let client = reqwest::Client::builder().tls_backend_preconfigured(trust()?).http1_only();
        let client = client.connect_timeout(CONNECT_LIMIT).timeout(ANSWER_LIMIT).redirect(reqwest::redirect::Policy::none()).build();
        let client = client.map_err(|error| refused(&error))?;
        let builder = SpanExporter::builder().with_http().with_http_client(client).with_protocol(Protocol::HttpBinary);
        let mut sender = builder.with_endpoint(endpoint).with_timeout(ANSWER_LIMIT).build().map_err(|error| refused(&error))?;
        sender.set_resource(&resource);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| refused(&error))?;
        let (queue, spans) = mpsc::channel(QUEUE_MAX);
        let (ending, ended) = mpsc::channel(1);
        let endpoint = endpoint.to_owned();
        let work = move || runtime.block_on(Sending { sender, endpoint, told: None }.run(spans, ended));
        std::thread::Builder::new().name("traces".to_owned()).spawn(work).map_err(|error| refused(&error))?;
        Ok(Self { queue, ending })
    }

    /// Queues a span. Answers whether there was room.
    pub(crate) fn take(&self, span: SpanData) -> bool {
        self.queue.try_send(span).is_ok()
    }

    /// How many more spans may wait.
    pub(crate) fn room(&self) -> usize {
        self.queue.capacity()
    }

    /// Sends what waits, within [`FINISH_LIMIT`].
    pub(crate) fn finish(&self) {
        let (done, finished) = std_mpsc::channel();
        if self.ending.try_send(done).is_ok() {
            // An error: it took too long, or the thread is gone.
            let _ = finished.recv_timeout(FINISH_LIMIT);
        }
    }
}

/// The thread's own.
struct Sending {
    sender: SpanExporter,
    endpoint: String,
    /// When it was last told that something is wrong.
    told: Option<Begun>,
}

impl Sending {
    async fn run(mut self, mut spans: mpsc::Receiver<SpanData>, mut ended: mpsc::Receiver<std_mpsc::Sender<()>>) {
        let mut ticks = tokio::time::interval(SEND_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let end = tokio::select! {
                biased;
                end = ended.recv() => Some(end),
                _ = ticks.tick() => None,
            };
            match end {
                None => {
                    let mut batch = Vec::new();
                    while take(&mut spans, &mut batch) {
                        let end = {
                            let mut sending = std::pin::pin!(self.send(std::mem::take(&mut batch), ANSWER_LIMIT));
                            tokio::select! {
                                biased;
                                () = &mut sending => None,
                                end = ended.recv() => {
                                    // What is on its way may yet arrive.
                                    let _ = tokio::time::timeout(LAST_LIMIT / 2, sending).await;
                                    Some(end)
                                }
                            }
                        };
                        if let Some(end) = end {
                            return self.end(spans, end).await;
                        }
                    }
                }
                Some(end) => return self.end(spans, end).await,
            }
        }
    }

    async fn end(&mut self, mut spans: mpsc::Receiver<SpanData>, end: Option<std_mpsc::Sender<()>>) {
        let all = async {
            let mut batch = Vec::new();
            while take(&mut spans, &mut batch) {
                self.send(std::mem::take(&mut batch), LAST_LIMIT / 2).await;
            }
        };
        let _ = tokio::time::timeout(LAST_LIMIT / 2, all).await;
        if let Some(done) = end {
            // Nobody waits any more.
            let _ = done.send(());
        }
    }

    async fn send(&mut self, batch: Vec<SpanData>, limit: Duration) {
        let count = batch.len();
        let reason = match tokio::time::timeout(limit, self.sender.export(batch)).await {
            Ok(Ok(())) => return,
            Ok(failed) => reason(failed),
            Err(_) => "it does not answer in time".to_owned(),
        };
        drop_spans(count);
        if self.told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            self.told = Some(Begun::now());
            tracing::warn!(endpoint = self.endpoint, reason, spans = count, "the collector takes no traces; they are dropped");
        }
    }
}

fn reason(failed: OTelSdkResult) -> String {
    failed.err().map_or_else(String::new, |error| error.to_string())
}

/// Takes what waits, up to a batch. Answers whether there was anything.
fn take(spans: &mut mpsc::Receiver<SpanData>, batch: &mut Vec<SpanData>) -> bool {
    while batch.len() < BATCH_MAX
        && let Ok(span) = spans.try_recv()
    {
        batch.push(span);
    }
    !batch.is_empty()
}
