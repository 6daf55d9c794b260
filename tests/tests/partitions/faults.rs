//! A proxy for HTTP in front of the object store, for what that itself cannot be made to do.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, bail};
use artifacts_tests::time::{Duration, sleep};

/// What becomes of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// They are handed on.
    None,
    /// Each is handed on after so long.
    Slow(Duration),
    /// Three in ten fail: one is answered 503, of one the connection is reset, and of one the answer is lost.
    Failing,
    /// None is answered, as if the network were cut.
    Silent,
    /// Every connection is reset.
    Away,
}

/// How often a request without an answer looks whether there is one.
const LOOK: Duration = Duration::from_millis(20);
const BUSY: &[u8] = b"HTTP/1.1 503 Slow Down\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n";

/// The proxy. It serves for as long as this lives.
pub(crate) struct FaultProxy {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    server: String,
    fault: Mutex<Fault>,
    requests: AtomicU64,
    ended: AtomicBool,
}

impl FaultProxy {
    /// A proxy on a port of the loopback interface to `server`, a `host:port`.
    pub(crate) fn start(server: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            server: server.to_owned(),
            fault: Mutex::new(Fault::None),
            requests: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        });
        let of_thread = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if of_thread.ended.load(Ordering::SeqCst) {
                    return;
                }
                let state = Arc::clone(&of_thread);
                // However it ends, its connections end with it.
                std::thread::spawn(move || state.serve(client));
            }
        });
        Ok(Self { address, state })
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on this becomes of requests.
    pub(crate) fn set(&self, fault: Fault) {
        *self.state.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// How many requests came.
    pub(crate) fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::SeqCst)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    fn fault(&self) -> Fault {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut client: TcpStream) -> Result<()> {
        client.set_nodelay(true)?;
        let server = TcpStream::connect(&self.server)?;
        server.set_nodelay(true)?;
        let (mut asks, mut answers) = (BufReader::new(client.try_clone()?), BufReader::new(server.try_clone()?));
        let mut server = server;
        while let Some(request) = Message::read(&mut asks, false)? {
            let number = self.requests.fetch_add(1, Ordering::SeqCst);
            match self.fault() {
                Fault::None => {}
                Fault::Slow(delay) => sleep(delay),
                Fault::Failing => match number.wrapping_mul(7) % 10 {
                    0 => {
                        client.write_all(BUSY)?;
                        continue;
                    }
                    1 => bail!("reset"),
                    2 => {
                        server.write_all(&request.bytes)?;
                        Message::read(&mut answers, request.is_head)?;
                        bail!("the answer is lost");
                    }
                    _ => {}
                },
                Fault::Silent => {
                    while self.fault() == Fault::Silent && !self.ended.load(Ordering::SeqCst) {
                        sleep(LOOK);
                    }
                    bail!("silent");
                }
                Fault::Away => bail!("away"),
            }
            server.write_all(&request.bytes)?;
            let answer = Message::read(&mut answers, request.is_head)?.context("no answer")?;
            client.write_all(&answer.bytes)?;
        }
        Ok(())
    }
}

/// A request or an answer, as it came.
struct Message {
    bytes: Vec<u8>,
    /// A request whose answer has no body, whatever it says.
    is_head: bool,
}

impl Message {
    /// Reads one; none where the connection has ended.
    fn read(from: &mut BufReader<TcpStream>, without_body: bool) -> Result<Option<Self>> {
        let (mut bytes, mut length, mut chunked) = (Vec::new(), 0, false);
        loop {
            let start = bytes.len();
            if from.read_until(b'\n', &mut bytes)? == 0 {
                return Ok(None);
            }
            let line = String::from_utf8_lossy(&bytes[start..]).to_ascii_lowercase();
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            chunked |= line.starts_with("transfer-encoding:") && line.contains("chunked");
        }
        let is_head = bytes.starts_with(b"HEAD ");
        if without_body {
            return Ok(Some(Self { bytes, is_head }));
        }
        while chunked {
            let start = bytes.len();
            from.read_until(b'\n', &mut bytes)?;
            let size = usize::from_str_radix(String::from_utf8_lossy(&bytes[start..]).trim(), 16)?;
            // Each chunk, the last included, ends with an empty line.
            from.by_ref().take(size as u64 + 2).read_to_end(&mut bytes)?;
            chunked = size > 0;
        }
        from.by_ref().take(length).read_to_end(&mut bytes)?;
        Ok(Some(Self { bytes, is_head }))
    }
}
