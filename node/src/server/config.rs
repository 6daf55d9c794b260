//! What a listener can be told.

use std::net::SocketAddr;
use std::time::Duration;

use super::TlsFiles;

/// How to listen, and how much clients may take. [`ServerConfig::new`] has the defaults.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where to listen; port 0 takes a free one, see [`super::Listener::local_address`].
    pub listen: SocketAddr,
    /// Certificate and key for HTTPS; plain HTTP without.
    pub tls: Option<TlsFiles>,
    /// The most connections open at a time, WebSockets included. Lowered to three quarters of the limit on open files.
    pub max_connections: usize,
    /// The most connections open at a time that have not sent a complete request head yet.
    pub max_unfinished: usize,
    /// How long a client may take to send a request head, and how long a connection may idle between two requests.
    pub header_read_timeout: Duration,
    /// How long a client may take for the TLS handshake.
    pub handshake_timeout: Duration,
    /// How long a client may pause while it sends a request body or receives an answer.
    pub stall_timeout: Duration,
    /// How long requests may go on after a shutdown has begun.
    pub drain_limit: Duration,
}

impl ServerConfig {
    /// The defaults, for plain HTTP.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            tls: None,
            max_connections: 16_384,
            max_unfinished: 256,
            header_read_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(5),
            stall_timeout: Duration::from_secs(30),
            drain_limit: Duration::from_secs(10),
        }
    }
}
