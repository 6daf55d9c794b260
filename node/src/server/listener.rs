//! Listening and accepting.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;
use rustix::net::sockopt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::admission::Admission;
use super::connection::Shell;
use super::{ServerConfig, ServerError, Shutdown, limits};

/// How much of a request is buffered while its head is incomplete, and of a body while nobody reads it, in bytes.
const MAX_BUFFER_BYTES: usize = 128 << 10;

/// How long to wait before accepting again when the system has no room for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A peer that is gone without a word is noticed after this plus three probes.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 3;

/// How long connections that were cut may take to notice.
const CUT_GRACE: Duration = Duration::from_secs(1);

/// How a listener ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// How many connections were still open at the drain limit.
    pub cut: usize,
}

/// A bound socket that has not accepted anything yet.
pub struct Listener {
    socket: TcpListener,
    local_address: SocketAddr,
    tls: Option<TlsAcceptor>,
    admission: Arc<Admission>,
    config: ServerConfig,
}

impl Listener {
    /// Reads the TLS files, raises the process's limit on open files, and binds.
    ///
    /// # Errors
    /// The TLS files cannot be used, or the address cannot be listened on.
    pub async fn bind(config: ServerConfig) -> Result<Self, ServerError> {
        let tls = config.tls.as_ref().map(|files| files.acceptor()).transpose()?;
        let max_connections = limits::max_connections(config.max_connections, limits::raise_open_files());
        let bind_error = |source| ServerError::Bind { address: config.listen, source };
        let socket = TcpListener::bind(config.listen).await.map_err(bind_error)?;
        let local_address = socket.local_addr().map_err(bind_error)?;
        let admission = Admission::new(max_connections, config.max_unfinished);
        Ok(Self { socket, local_address, tls, admission, config })
    }

    /// The address that clients can connect to, with the real port.
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// Serves until `shutdown` starts and requests in progress have ended, or the drain limit has passed. Connections that
    /// became WebSockets are waited for, too, but have to end themselves.
    pub async fn serve(self, router: Router, shutdown: Shutdown) -> Drained {
        let Self { socket, tls, admission, config, .. } = self;
        let shell = Arc::new(Shell {
            router,
            http: http(&config),
            tls,
            handshake_timeout: config.handshake_timeout,
            stall_timeout: config.stall_timeout,
            shutdown: shutdown.clone(),
        });
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.started() => break,
                accepted = socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => start(&shell, &admission, &config, stream, peer),
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections");
                    admission.evict_one();
                    let _ = timeout(ACCEPT_PAUSE, shutdown.started()).await;
                }
            }
        }
        drop(socket);
        drain(&admission, config.drain_limit).await
    }
}

fn http(config: &ServerConfig) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(config.header_read_timeout).max_buf_size(MAX_BUFFER_BYTES);
    http
}

fn start(shell: &Arc<Shell>, admission: &Arc<Admission>, config: &ServerConfig, stream: TcpStream, peer: SocketAddr) {
    let Some(slot) = admission.admit() else {
        tracing::warn!(%peer, "every connection allowed has a request in progress; this one is closed");
        return;
    };
    if let Err(error) = tune(&stream, config) {
        tracing::debug!(%peer, %error, "cannot set the options of a socket");
    }
    tokio::spawn(Arc::clone(shell).run(stream, peer, slot));
}

/// Small answers leave at once, and a peer that is gone or reads nothing does not keep its connection for ever.
fn tune(stream: &TcpStream, config: &ServerConfig) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(stream, KEEPALIVE_PROBES)?;
    let stall_ms = u32::try_from(config.stall_timeout.as_millis()).unwrap_or(u32::MAX);
    sockopt::set_tcp_user_timeout(stream, stall_ms)?;
    Ok(())
}

/// The client went away between its SYN and our accept; accept(2) names these.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

async fn drain(admission: &Admission, drain_limit: Duration) -> Drained {
    admission.evict_unfinished();
    if timeout(drain_limit, admission.drained()).await.is_ok() {
        return Drained { cut: 0 };
    }
    let cut = admission.cut_all();
    tracing::warn!(cut, "connections cut at the drain limit");
    let _ = timeout(CUT_GRACE, admission.drained()).await;
    Drained { cut }
}
