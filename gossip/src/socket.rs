//! chitchat's way to the network: a UDP socket, or what a [`Port`](crate::Port) hands on of one, with an [`Endpoint`] of the current
//! life in front.

use std::net::SocketAddr;
use std::sync::Arc;

use artifacts_core::mesh::limits::DATAGRAM_MAX_BYTES;
use artifacts_core::mesh::{Endpoint, Opened, Refusal, SendersError};
use async_trait::async_trait;
use chitchat::ChitchatMessage;
use chitchat::transport::{Socket, Transport};
use parking_lot::Mutex;
use rustix::net::sockopt;
use tokio::net::UdpSocket;
use tokio::sync::{Mutex as AsyncMutex, Notify, mpsc, watch};

use super::codec;
use crate::surroundings::{Count, Monotonic, pause};

/// What the kernel holds for us while we are busy: some thousand datagrams.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
/// After an error of the socket itself.
const ERROR_PAUSE: std::time::Duration = std::time::Duration::from_millis(10);

/// Why this life is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The table of senders is full.
    Full,
    /// Others remember this generation of ours, which is later.
    Outlived(u64),
}

/// Binds a socket for gossip.
///
/// # Errors
/// What the system says.
pub fn bind(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    // More than the machine's limit takes a privilege. A smaller buffer works, too.
    if sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER_BYTES).is_err() {
        let _ = sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER_BYTES);
    }
    UdpSocket::from_std(socket)
}

/// This node's end of the mesh in one life: the transport speaks through it, and the task looks at how it is heard.
pub type SharedEndpoint = Arc<Mutex<Endpoint>>;

/// A datagram, and where it came from.
pub(crate) type Arrived = (SocketAddr, Vec<u8>);

/// Where datagrams come from.
#[derive(Clone)]
pub(crate) enum Inlet {
    /// A socket of this mesh alone.
    Own,
    /// A socket of several, of which somebody else reads.
    Shared(Arc<AsyncMutex<mpsc::Receiver<Arrived>>>),
}

/// What a transport is made of.
pub struct TransportParts {
    /// The mesh's name.
    pub mesh: String,
    /// The socket.
    pub socket: Arc<UdpSocket>,
    /// The member's end of the mesh in this life.
    pub endpoint: SharedEndpoint,
    /// After how long without a word from anybody the member keeps its heartbeat to itself.
    pub deaf_after_ms: u64,
    /// The time.
    pub clock: Monotonic,
    /// Told when the life is to end.
    pub ending: watch::Sender<Option<Ending>>,
    /// Told when chitchat has taken in what others have changed.
    pub news: Arc<Notify>,
    /// Counts datagrams.
    pub count: Count,
}

/// Opens the socket for one life.
pub struct SealedTransport {
    parts: Mutex<Option<SealedSocket>>,
}

impl SealedTransport {
    /// Over a socket that nobody else reads.
    pub fn new(parts: TransportParts) -> Self {
        Self::over(parts, Inlet::Own)
    }

    pub(crate) fn over(parts: TransportParts, inlet: Inlet) -> Self {
        let buffer = match inlet {
            Inlet::Own => vec![0; DATAGRAM_MAX_BYTES + 1].into_boxed_slice(),
            Inlet::Shared(_) => Box::default(),
        };
        Self { parts: Mutex::new(Some(SealedSocket { parts, inlet, has_news: false, buffer })) }
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
    parts: TransportParts,
    inlet: Inlet,
    has_news: bool,
    buffer: Box<[u8]>,
}

#[async_trait]
impl Socket for SealedSocket {
    async fn send(&mut self, to: SocketAddr, message: ChitchatMessage) -> anyhow::Result<()> {
        let Some(mut message) = codec::from_chitchat(&message) else { return Ok(()) };
        let datagram = {
            let mut endpoint = self.parts.endpoint.lock();
            if endpoint.is_deaf((self.parts.clock)(), self.parts.deaf_after_ms) {
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
            self.parts.news.notify_one();
        }
        loop {
            let judged = match self.inlet.clone() {
                Inlet::Own => match self.parts.socket.recv_from(&mut self.buffer).await {
                    Ok((len, source)) => {
                        let opened = self.parts.open(source, &self.buffer[..len]);
                        self.judge(source, opened)
                    }
                    // An ICMP answer to something that was sent, or a kernel short of memory: nothing that lasts.
                    Err(error) => {
                        (self.parts.count)("error");
                        tracing::debug!(%error, "the gossip socket has an error");
                        pause(ERROR_PAUSE).await;
                        None
                    }
                },
                Inlet::Shared(datagrams) => {
                    let arrived = datagrams.lock().await.recv().await;
                    // Its cell was left, and whoever receives ends with that: it is no failure of gossip.
                    let Some((source, datagram)) = arrived else { return std::future::pending().await };
                    let opened = self.parts.open(source, &datagram);
                    self.judge(source, opened)
                }
            };
            if let Some(message) = judged {
                return Ok(message);
            }
        }
    }
}

impl TransportParts {
    fn open(&self, source: SocketAddr, datagram: &[u8]) -> Result<Opened, Refusal> {
        self.endpoint.lock().open(source, datagram, (self.clock)())
    }
}

impl SealedSocket {
    fn judge(&mut self, source: SocketAddr, opened: Result<Opened, Refusal>) -> Option<(SocketAddr, ChitchatMessage)> {
        let count = self.parts.count;
        match opened {
            Ok(Opened::Gossip { from, message }) => {
                count("accepted");
                self.has_news |= message.delta().iter().any(|entry| !entry.changes.is_empty());
                return Some((from, codec::to_chitchat(&message, &self.parts.mesh)?));
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
        (self.parts.count)(match refusal {
            Refusal::Envelope(_) => "stranger",
            Refusal::Sender(_) | Refusal::Misaddressed => "stale",
            Refusal::OurName | Refusal::Outlived { .. } => "our_name",
            Refusal::Gossip(_) | Refusal::Violation(_) => "violation",
        });
        match refusal {
            Refusal::Sender(SendersError::Full) => self.end(Ending::Full),
            Refusal::Outlived { generation } => self.end(Ending::Outlived(*generation)),
            Refusal::Gossip(_) | Refusal::Violation(_) => {
                tracing::warn!(%source, %refusal, "a member sends what none may send")
            }
            _ => tracing::debug!(%source, %refusal, "a datagram is refused"),
        }
    }

    fn end(&self, ending: Ending) {
        self.parts.ending.send_replace(Some(ending));
    }

    /// Gossip is lost now and then and said again; nobody waits for a full socket.
    fn post(&self, to: SocketAddr, datagram: &[u8]) {
        if let Err(error) = self.parts.socket.try_send_to(datagram, to) {
            (self.parts.count)("unsent");
            tracing::debug!(%to, %error, "a datagram was not sent");
        }
    }
}
