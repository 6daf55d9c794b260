//! One connection, from the accepted socket to its end.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, Response, StatusCode};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;
use tower_http::timeout::TimeoutBody;

use super::Shutdown;
use super::admission::Slot;

/// What all connections of a listener share.
pub(super) struct Shell {
    pub(super) router: Router,
    pub(super) http: http1::Builder,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) handshake_timeout: Duration,
    pub(super) stall_timeout: Duration,
    pub(super) shutdown: Shutdown,
}

impl Shell {
    /// Serves a connection until it ends, is evicted, or becomes a WebSocket and with that somebody else's.
    pub(super) async fn run(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, slot: Slot) {
        let slot = Arc::new(slot);
        let socket = Socket { stream, _slot: Arc::clone(&slot) };
        tokio::select! {
            biased;
            () = slot.cut() => tracing::debug!(%peer, "connection cut"),
            () = self.secure(socket, peer, &slot) => {}
        }
    }

    async fn secure(&self, socket: Socket, peer: SocketAddr, slot: &Arc<Slot>) {
        let Some(tls) = &self.tls else {
            return self.converse(socket, peer, slot).await;
        };
        match timeout(self.handshake_timeout, tls.accept(socket)).await {
            Ok(Ok(socket)) => self.converse(socket, peer, slot).await,
            Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
            Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
        }
    }

    async fn converse<S>(&self, socket: S, peer: SocketAddr, slot: &Arc<Slot>)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let service = service_fn(|request| self.answer(request, peer, Arc::clone(slot)));
        let connection = self.http.serve_connection(TokioIo::new(socket), service).with_upgrades();
        let mut connection = pin!(connection);
        let told_to_end = async {
            tokio::select! {
                () = self.shutdown.started() => {}
                () = slot.close() => {}
            }
        };
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = told_to_end => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "connection broken off");
        }
    }

    async fn answer(&self, request: Request<Incoming>, peer: SocketAddr, slot: Arc<Slot>) -> Result<Response<Body>, Infallible> {
        slot.request_started();
        let mut request = request.map(|body| Body::new(TimeoutBody::new(self.stall_timeout, body)));
        request.extensions_mut().insert(ConnectInfo(peer));
        let response = self.router.clone().oneshot(request).await?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            // Busy until the socket is dropped.
            return Ok(response);
        }
        Ok(response.map(|body| Body::new(Answer { body, slot })))
    }
}

/// A socket that keeps its place as long as it is open, also after it has become a WebSocket.
struct Socket {
    stream: TcpStream,
    _slot: Arc<Slot>,
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The body of an answer; hyper drops it when the last of it has been handed to the socket.
struct Answer {
    body: Body,
    slot: Arc<Slot>,
}

impl hyper::body::Body for Answer {
    type Data = <Body as hyper::body::Body>::Data;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.slot.request_finished();
    }
}
