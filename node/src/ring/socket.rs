//! chitchat's way to the network: one UDP socket of the process, with an [`Endpoint`] of the current life in front.

use std::net::SocketAddr;
use std::sync::Arc;

use artifacts_core::mesh::limits::DATAGRAM_MAX_BYTES;
use artifacts_core::mesh::{Endpoint, Opened, Refusal, SendersError};
use artifacts_gossip::codec;
use async_trait::async_trait;
use chitchat::ChitchatMessage;
use chitchat::transport::{Socket, Transport};
use parking_lot::Mutex;
use rustix::net::sockopt;
use tokio::net::UdpSocket;
use tokio::sync::{Notify, watch};

use crate::time::{SharedClock, pause};

/// What the kernel holds for us while we are busy: some thousand datagrams.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
/// After an error of the socket itself.
const ERROR_PAUSE: std::time::Duration = std::time::Duration::from_millis(10);

/// Why this life is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The table of senders is full.
    Full,
    /// Others remember this generation of ours, which is later.
    Outlived(u64),
}

/// Binds the process's socket.
pub(super) fn bind(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    // More than the machine's limit takes a privilege. A smaller buffer works, too.
    if sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER_BYTES).is_err() {
        let _ = sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER_BYTES);
    }
    UdpSocket::from_std(socket)
}

/// This node's end of the mesh in one life: the transport speaks through it, and the task looks at how it is heard.
pub(super) type SharedEndpoint = Arc<Mutex<Endpoint>>;

/// Opens the socket for one life.
pub(super) struct SealedTransport {
    parts: Mutex<Option<SealedSocket>>,
}

impl SealedTransport {
    pub(super) fn new(
        cluster: &str,
        socket: Arc<UdpSocket>,
        endpoint: SharedEndpoint,
        deaf_after_ms: u64,
        clock: SharedClock,
        ending: watch::Sender<Option<Ending>>,
        news: Arc<Notify>,
    ) -> Self {
        let buffer = vec![0; DATAGRAM_MAX_BYTES + 1].into_boxed_slice();
        let socket =
            SealedSocket { cluster: cluster.to_owned(), socket, endpoint, deaf_after_ms, clock, ending, news, has_news: false, buffer };
        Self { parts: Mutex::new(Some(socket)) }
    }
}

#[async_trait]
impl Transport for SealedTransport {
    async fn open(&self, _: SocketAddr) -> anyhow::Result<Box<dyn Socket>> {
        let socket = self.parts.lock().take().ok_or_else(|| anyhow::anyhow!("a life opens its socket once"))?;
        Ok(Box::new(socket))
    }
}

struct SealedSocket {
    cluster: String,
    socket: Arc<UdpSocket>,
    endpoint: SharedEndpoint,
    deaf_after_ms: u64,
    clock: SharedClock,
    ending: watch::Sender<Option<Ending>>,
    /// Told when chitchat has taken in what others have changed.
    news: Arc<Notify>,
    has_news: bool,
    buffer: Box<[u8]>,
}

#[async_trait]
impl Socket for SealedSocket {
    async fn send(&mut self, to: SocketAddr, message: ChitchatMessage) -> anyhow::Result<()> {
        let Some(mut message) = codec::from_chitchat(&message) else { return Ok(()) };
        let datagram = {
            let mut endpoint = self.endpoint.lock();
            if endpoint.is_deaf(self.clock.monotonic_ms(), self.deaf_after_ms) {
                message.still(&endpoint.me().name);
            }
            endpoint.seal(to, message)?
        };
        self.post(to, &datagram);
        Ok(())
    }

    /// May be dropped at any await: a datagram is received and judged without one in between.
    async fn recv(&mut self) -> anyhow::Result<(SocketAddr, ChitchatMessage)> {
        // Whoever receives again is done with what it has received.
        if std::mem::take(&mut self.has_news) {
            self.news.notify_one();
        }
        loop {
            match self.socket.recv_from(&mut self.buffer).await {
                Ok((len, source)) => {
                    if let Some(message) = self.judge(source, len) {
                        return Ok(message);
                    }
                }
                // An ICMP answer to something that was sent, or a kernel short of memory: nothing that lasts.
                Err(error) => {
                    count("error");
                    tracing::debug!(%error, "the gossip socket has an error");
                    pause(ERROR_PAUSE).await;
                }
            }
        }
    }
}

impl SealedSocket {
    fn judge(&mut self, source: SocketAddr, len: usize) -> Option<(SocketAddr, ChitchatMessage)> {
        let opened = self.endpoint.lock().open(source, &self.buffer[..len], self.clock.monotonic_ms());
        match opened {
            Ok(Opened::Gossip { from, message }) => {
                count("accepted");
                self.has_news |= message.delta().iter().any(|entry| !entry.changes.is_empty());
                return Some((from, codec::to_chitchat(&message, &self.cluster)?));
            }
            Ok(Opened::Introduce { to, datagram }) => {
                count("introduced");
                self.post(to, &datagram);
            }
            Ok(Opened::Introduced) => count("introduced"),
            Err(refusal) => self.refused(source, &refusal),
        }
        None
    }

    fn refused(&self, source: SocketAddr, refusal: &Refusal) {
        count(match refusal {
            Refusal::Envelope(_) => "stranger",
            Refusal::Sender(_) | Refusal::Misaddressed => "stale",
            Refusal::OurName | Refusal::Outlived { .. } => "our_name",
            Refusal::Gossip(_) | Refusal::Violation(_) => "violation",
        });
        match refusal {
            Refusal::Sender(SendersError::Full) => self.end(Ending::Full),
            Refusal::Outlived { generation } => self.end(Ending::Outlived(*generation)),
            Refusal::Gossip(_) | Refusal::Violation(_) => {
                tracing::warn!(%source, %refusal, "a member of the ring sends what none may send")
            }
            _ => tracing::debug!(%source, %refusal, "a datagram is refused"),
        }
    }

    fn end(&self, ending: Ending) {
        self.ending.send_replace(Some(ending));
    }

    /// Gossip is lost now and then and said again; nobody waits for a full socket.
    fn post(&self, to: SocketAddr, datagram: &[u8]) {
        if let Err(error) = self.socket.try_send_to(datagram, to) {
            count("unsent");
            tracing::debug!(%to, %error, "a datagram was not sent");
        }
    }
}

fn count(outcome: &'static str) {
    metrics::counter!("artifacts_ring_datagrams_total", "outcome" => outcome).increment(1);
}
