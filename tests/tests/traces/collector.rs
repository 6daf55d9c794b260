use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, wait_until};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

/// How long spans may take to arrive.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a collector has got.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// `service.name` of whoever sent it.
    pub(crate) service: String,
    pub(crate) span: Span,
}

impl Received {
    /// A text among its attributes.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        text(&self.span.attributes, key)
    }

    /// Whether it is a part of another, in the same trace.
    pub(crate) fn is_child_of(&self, other: &Self) -> bool {
        self.span.trace_id == other.span.trace_id && self.span.parent_span_id == other.span.span_id
    }

    /// Whether it is linked to another.
    pub(crate) fn is_linked_to(&self, other: &Self) -> bool {
        self.span.links.iter().any(|link| link.trace_id == other.span.trace_id && link.span_id == other.span.span_id)
    }
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    match attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

#[derive(Debug, Default)]
struct Shared {
    spans: Mutex<Vec<Received>>,
    bodies: Mutex<Vec<u8>>,
    connections: AtomicUsize,
    ends: AtomicBool,
}

/// An OTLP collector on a port of this machine, by HTTP and protobuf; or a server that takes everything and never answers.
#[derive(Debug)]
pub(crate) struct Collector {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Collector {
    /// One that works.
    pub(crate) fn start() -> Result<Self> {
        Self::start_with(true)
    }

    /// One that hangs.
    pub(crate) fn hanging() -> Result<Self> {
        Self::start_with(false)
    }

    fn start_with(answers: bool) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            // Kept, so that whoever is not answered stays connected.
            let mut held = Vec::new();
            for stream in listener.incoming().map_while(Result::ok) {
                if of_thread.ends.load(Ordering::SeqCst) {
                    return;
                }
                of_thread.connections.fetch_add(1, Ordering::SeqCst);
                if answers {
                    let shared = Arc::clone(&of_thread);
                    std::thread::spawn(move || drop(serve(&shared, &stream)));
                } else {
                    held.push(stream);
                }
            }
        });
        Ok(Self { address, shared, thread: Some(thread) })
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All spans so far.
    pub(crate) fn spans(&self) -> Vec<Received> {
        lock(&self.shared.spans).clone()
    }

    /// All that was sent, as it came.
    pub(crate) fn bodies(&self) -> Vec<u8> {
        lock(&self.shared.bodies).clone()
    }

    /// How often somebody has connected.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Waits until `find` finds something in all spans.
    pub(crate) fn wait_for<T>(&self, what: &str, find: impl Fn(&[Received]) -> Option<T>) -> Result<T> {
        let mut found = None;
        let looked = wait_until(what, PATIENCE, || {
            found = find(&self.spans());
            Ok(found.is_some())
        });
        looked.with_context(|| format!("{:#?}", self.outline()))?;
        found.context("it was found a moment before")
    }

    /// What there is, for messages.
    fn outline(&self) -> Vec<String> {
        let hex = |id: &[u8]| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let line = |received: &Received| {
            let span = &received.span;
            let (id, parent) = (hex(&span.span_id), hex(&span.parent_span_id));
            let links: Vec<_> = span.links.iter().map(|link| hex(&link.span_id)).collect();
            format!("{} {} {id} of {parent} in {} links {links:?}", received.service, span.name, hex(&span.trace_id))
        };
        self.spans().iter().map(line).collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::SeqCst);
        // Wakes the thread, which then ends.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers one connection until it ends.
fn serve(shared: &Shared, stream: &TcpStream) -> Result<()> {
    let mut reading = BufReader::new(stream);
    loop {
        let mut request = String::new();
        if reading.read_line(&mut request)? == 0 {
            return Ok(());
        }
        let mut len = 0;
        loop {
            let mut line = String::new();
            reading.read_line(&mut line)?;
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                len = value.trim().parse()?;
            }
        }
        let mut body = vec![0; len];
        reading.read_exact(&mut body)?;
        ensure!(request.starts_with("POST /v1/traces "), "{request}");
        let export = ExportTraceServiceRequest::decode(&body[..])?;
        for resource in export.resource_spans {
            let attributes = resource.resource.map(|resource| resource.attributes).unwrap_or_default();
            let service = text(&attributes, "service.name").unwrap_or_default().to_owned();
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            lock(&shared.spans).extend(spans.map(|span| Received { service: service.clone(), span }));
        }
        lock(&shared.bodies).extend(body);
        let answer = ExportTraceServiceResponse::default().encode_to_vec();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n", answer.len());
        let mut writing = stream;
        writing.write_all(head.as_bytes())?;
        writing.write_all(&answer)?;
    }
}
