//! An HTTP proxy in front of the object store: it holds each request for a while and counts it.
//!
//! Every connection has threads of its own, so requests on different ones do not wait for each other; within a connection
//! they follow each other anyway. Bytes pass unchanged, `Host` too, which is what signatures are over. Answers are not
//! looked at.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use artifacts_tests::time::{Duration, sleep};

use crate::requests::{Request, Requests};

/// More than any head of a request that a node or an agent sends.
const HEAD_MAX_BYTES: u64 = 64 << 10;

/// The proxy; it ends when dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    server: String,
    delay_us: AtomicU64,
    counted: Mutex<Requests>,
    ended: AtomicBool,
}

impl Proxy {
    /// In front of `server`, a `host:port`.
    pub(crate) fn start(server: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let state = State {
            server: server.to_owned(),
            delay_us: AtomicU64::new(0),
            counted: Mutex::new(BTreeMap::new()),
            ended: AtomicBool::new(false),
        };
        let state = Arc::new(state);
        let of_thread = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if of_thread.ended.load(Ordering::SeqCst) {
                    return;
                }
                let state = Arc::clone(&of_thread);
                // A connection that breaks is its client's to make again.
                std::thread::spawn(move || drop(state.pass(&client)));
            }
        });
        Ok(Self { address, state })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How long each request is held from now on.
    pub(crate) fn set_delay(&self, delay: Duration) {
        self.state.delay_us.store(delay.as_micros() as u64, Ordering::SeqCst);
    }

    /// All requests so far.
    pub(crate) fn counted(&self) -> Requests {
        self.state.counted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    fn pass(&self, client: &TcpStream) -> io::Result<()> {
        let server = TcpStream::connect(&self.server)?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (mut answers, mut to_client) = (server.try_clone()?, client.try_clone()?);
        std::thread::spawn(move || {
            let _ = io::copy(&mut answers, &mut to_client);
            let _ = to_client.shutdown(Shutdown::Both);
        });
        let mut requests = BufReader::with_capacity(64 << 10, client);
        let passed = self.pass_requests(&mut requests, &mut &server);
        let _ = server.shutdown(Shutdown::Both);
        passed
    }

    fn pass_requests(&self, from: &mut BufReader<&TcpStream>, to: &mut impl Write) -> io::Result<()> {
        while let Some(head) = read_head(from)? {
            if let Some(request) = Request::of_head(&head.text) {
                *self.counted.lock().unwrap_or_else(PoisonError::into_inner).entry(request).or_default() += 1;
            }
            sleep(Duration::from_micros(self.delay_us.load(Ordering::SeqCst)));
            to.write_all(head.text.as_bytes())?;
            match head.body {
                Body::Bytes(length) => drop(io::copy(&mut from.take(length), to)?),
                Body::Chunks => pass_chunks(from, to)?,
            }
            to.flush()?;
        }
        Ok(())
    }
}

struct Head {
    text: String,
    body: Body,
}

enum Body {
    Bytes(u64),
    Chunks,
}

/// Up to the empty line; `None` at the end of the connection.
fn read_head(from: &mut BufReader<&TcpStream>) -> io::Result<Option<Head>> {
    let (mut text, mut body) = (String::new(), Body::Bytes(0));
    let mut from = from.take(HEAD_MAX_BYTES);
    loop {
        let begins_at = text.len();
        if from.read_line(&mut text)? == 0 {
            return if text.is_empty() { Ok(None) } else { Err(ErrorKind::UnexpectedEof.into()) };
        }
        let line = text[begins_at..].trim_end();
        if line.is_empty() {
            return Ok(Some(Head { text, body }));
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("content-length") {
            body = Body::Bytes(value.trim().parse().map_err(|_| ErrorKind::InvalidData)?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") && value.to_ascii_lowercase().contains("chunked") {
            body = Body::Chunks;
        }
    }
}

fn pass_chunks(from: &mut BufReader<&TcpStream>, to: &mut impl Write) -> io::Result<()> {
    loop {
        let mut line = String::new();
        from.read_line(&mut line)?;
        to.write_all(line.as_bytes())?;
        let size = line.trim_end().split(';').next().unwrap_or_default();
        let size = u64::from_str_radix(size, 16).map_err(|_| ErrorKind::InvalidData)?;
        if size > 0 {
            // And the line end behind it.
            io::copy(&mut from.take(size + 2), to)?;
            continue;
        }
        // Trailers, up to the empty line.
        loop {
            let mut trailer = String::new();
            from.read_line(&mut trailer)?;
            to.write_all(trailer.as_bytes())?;
            if trailer.trim_end().is_empty() {
                return Ok(());
            }
        }
    }
}
