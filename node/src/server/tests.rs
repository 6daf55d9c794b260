//! The promises of the module, over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::extract::{ConnectInfo, State};
use axum::routing::{get, post};
use futures_util::StreamExt;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;

const REQUEST: &[u8] = b"GET /peer HTTP/1.1\r\nhost: node\r\n\r\n";

/// Longer than anything here takes, shorter than anybody's patience.
const SOON: Duration = Duration::from_secs(30);

struct Server {
    address: SocketAddr,
    shutdown: Shutdown,
    /// Says when a request to `/held` has arrived.
    arrived: mpsc::UnboundedReceiver<()>,
    /// Lets a request to `/held` go on.
    release: Arc<Notify>,
    task: JoinHandle<Drained>,
}

#[derive(Clone)]
struct Handlers {
    arrived: mpsc::UnboundedSender<()>,
    release: Arc<Notify>,
    shutdown: Shutdown,
}

async fn held(State(handlers): State<Handlers>) -> &'static str {
    handlers.arrived.send(()).unwrap();
    handlers.release.notified().await;
    "released"
}

async fn web_socket(State(handlers): State<Handlers>, upgrade: WebSocketUpgrade) -> axum::response::Response {
    upgrade.on_upgrade(async move |mut socket| {
        handlers.arrived.send(()).unwrap();
        handlers.shutdown.started().await;
        socket.send(Message::Text("bye".into())).await.unwrap();
    })
}

async fn serve(adjust: impl FnOnce(&mut ServerConfig)) -> Server {
    let mut config = ServerConfig::new(([127, 0, 0, 1], 0).into());
    adjust(&mut config);
    let (shutdown, release) = (Shutdown::new(), Arc::new(Notify::new()));
    let (sender, arrived) = mpsc::unbounded_channel();
    let router = Router::new()
        .route("/peer", get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string()))
        .route("/held", get(held))
        .route("/size", post(async |body: Bytes| body.len().to_string()))
        .route("/socket", get(web_socket))
        .with_state(Handlers { arrived: sender, release: Arc::clone(&release), shutdown: shutdown.clone() });
    let listener = Listener::bind(config).await.unwrap();
    let address = listener.local_address();
    let task = tokio::spawn(listener.serve(router, shutdown.clone()));
    Server { address, shutdown, arrived, release, task }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A connection on which a request has begun.
    async fn connect_held(&mut self) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(b"GET /held HTTP/1.1\r\nhost: node\r\n\r\n").await.unwrap();
        timeout(SOON, self.arrived.recv()).await.unwrap().unwrap();
        stream
    }

    /// A connection that has begun a request head and says no more.
    async fn connect_unfinished(&self) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(b"GET /peer HTTP/1.1\r\nhost:").await.unwrap();
        stream
    }
}

/// Reads one answer with a `content-length`, as text.
async fn answer<S: AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut text = Vec::new();
    let read = async {
        loop {
            text.push(stream.read_u8().await.expect("the answer was cut off"));
            let text = String::from_utf8_lossy(&text);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
            if body.len() == length.parse::<usize>().unwrap() {
                break;
            }
        }
    };
    timeout(SOON, read).await.expect("no answer");
    String::from_utf8(text).unwrap()
}

async fn ask<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> String {
    stream.write_all(REQUEST).await.unwrap();
    answer(stream).await
}

/// Whether the other side closes without another byte.
async fn is_closed_soon(stream: &mut TcpStream) -> bool {
    match timeout(SOON, stream.read(&mut [0; 1])).await {
        Ok(Ok(read)) => read == 0,
        Ok(Err(_)) => true,
        Err(_) => false,
    }
}

async fn is_open(stream: &mut TcpStream) -> bool {
    timeout(Duration::from_millis(20), stream.read(&mut [0; 1])).await.is_err()
}

#[tokio::test]
async fn a_handler_knows_its_peer_and_a_connection_serves_many_requests() {
    let server = serve(|_| {}).await;
    let mut stream = server.connect().await;
    let own = stream.local_addr().unwrap().to_string();
    for _ in 0..3 {
        let text = ask(&mut stream).await;
        assert!(text.starts_with("HTTP/1.1 200") && text.ends_with(&own), "{text}");
    }
}

#[tokio::test]
async fn three_hundred_connections_that_never_finish_do_not_keep_out_a_good_one() {
    let mut server = serve(|config| config.max_unfinished = 256).await;
    let mut held = server.connect_held().await;
    let mut unfinished = Vec::new();
    for _ in 0..300 {
        unfinished.push(server.connect_unfinished().await);
    }
    let mut good = server.connect().await;
    assert!(ask(&mut good).await.starts_with("HTTP/1.1 200"));
    // 301 asked for 256 places: the oldest had to go, the newest and those with a request did not.
    for stream in &mut unfinished[..45] {
        assert!(is_closed_soon(stream).await);
    }
    for stream in &mut unfinished[45..] {
        stream.write_all(b" node\r\n\r\n").await.unwrap();
        assert!(answer(stream).await.starts_with("HTTP/1.1 200"));
    }
    server.release.notify_one();
    assert!(answer(&mut held).await.ends_with("released"));
}

#[tokio::test]
async fn when_every_place_is_taken_an_idle_connection_makes_room_and_a_busy_one_does_not() {
    let mut server = serve(|config| config.max_connections = 3).await;
    let mut idle = server.connect().await;
    ask(&mut idle).await;
    let mut held = [server.connect_held().await, server.connect_held().await];
    let mut third = server.connect_held().await;
    assert!(is_closed_soon(&mut idle).await);
    assert!(is_closed_soon(&mut server.connect().await).await);
    for stream in held.iter_mut().chain([&mut third]) {
        server.release.notify_one();
        assert!(answer(stream).await.ends_with("released"));
    }
    assert!(ask(&mut server.connect().await).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_slow_head_is_cut_even_when_it_trickles() {
    let server = serve(|config| config.header_read_timeout = Duration::from_secs(1)).await;
    let (mut silent, mut trickling) = (server.connect().await, server.connect().await);
    trickling.write_all(b"GET /peer HTTP/1.1\r\nx-slow: ").await.unwrap();
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    let (mut reader, mut writer) = trickling.split();
    let trickle = async {
        while writer.write_all(b"a").await.is_ok() {
            tick.tick().await;
        }
    };
    let mut answer = Vec::new();
    tokio::select! {
        () = trickle => {}
        outcome = timeout(SOON, reader.read_to_end(&mut answer)) => drop(outcome.expect("still open")),
    }
    assert!(answer.is_empty(), "cut for its slowness, not for its content");
    assert!(is_closed_soon(&mut silent).await, "a connection without a byte is cut as well");
    assert!(ask(&mut server.connect().await).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_body_that_stalls_is_cut() {
    let server = serve(|config| config.stall_timeout = Duration::from_millis(200)).await;
    let mut stream = server.connect().await;
    stream.write_all(b"POST /size HTTP/1.1\r\nhost: node\r\ncontent-length: 10\r\n\r\n12345").await.unwrap();
    let text = answer(&mut stream).await;
    assert!(text.starts_with("HTTP/1.1 4"), "{text}");
    assert!(is_closed_soon(&mut stream).await);
}

#[tokio::test]
async fn a_shutdown_finishes_what_has_begun_and_nothing_else() {
    let mut server = serve(|_| {}).await;
    let mut held = server.connect_held().await;
    let mut idle = server.connect().await;
    ask(&mut idle).await;
    let mut unfinished = server.connect_unfinished().await;

    server.shutdown.start();
    assert!(is_closed_soon(&mut idle).await);
    assert!(is_closed_soon(&mut unfinished).await);
    assert!(is_open(&mut held).await);
    assert!(TcpStream::connect(server.address).await.is_err());
    server.release.notify_one();
    assert!(answer(&mut held).await.ends_with("released"));
    assert_eq!(timeout(SOON, server.task).await.unwrap().unwrap(), Drained { cut: 0 });
}

#[tokio::test]
async fn a_shutdown_ends_at_the_drain_limit() {
    let mut server = serve(|config| config.drain_limit = Duration::from_millis(100)).await;
    let mut held = server.connect_held().await;
    server.shutdown.start();
    assert_eq!(timeout(SOON, server.task).await.unwrap().unwrap(), Drained { cut: 1 });
    assert!(is_closed_soon(&mut held).await);
}

#[tokio::test]
async fn a_web_socket_keeps_its_place_and_is_told_of_the_shutdown() {
    let mut server = serve(|config| (config.max_connections, config.max_unfinished) = (2, 1)).await;
    let url = format!("ws://{}/socket", server.address);
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    server.arrived.recv().await.unwrap();
    let mut held = server.connect_held().await;
    assert!(is_closed_soon(&mut server.connect().await).await, "both places are in use");
    server.release.notify_one();
    assert!(answer(&mut held).await.ends_with("released"));

    server.shutdown.start();
    let message = timeout(SOON, socket.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(message.into_text().unwrap(), "bye");
    assert_eq!(timeout(SOON, server.task).await.unwrap().unwrap(), Drained { cut: 0 });
}

#[tokio::test]
async fn binding_raises_the_limit_on_open_files_and_names_an_address_in_use() {
    let server = serve(|_| {}).await;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    assert_eq!(limit.current, limit.maximum);
    let error = Listener::bind(ServerConfig::new(server.address)).await.err().unwrap();
    assert!(error.to_string().contains(&server.address.to_string()), "{error}");
}

/// Writes a self-signed identity for `localhost` and returns its files and its certificate.
fn identity(directory: &Path, name: &str) -> (TlsFiles, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate_chain = directory.join(format!("{name}.crt"));
    let private_key = directory.join(format!("{name}.key"));
    std::fs::write(&certificate_chain, made.cert.pem()).unwrap();
    std::fs::write(&private_key, made.signing_key.serialize_pem()).unwrap();
    (TlsFiles { certificate_chain, private_key }, made.cert.der().clone())
}

fn connector(trusted: CertificateDer<'static>) -> tokio_rustls::TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    tokio_rustls::TlsConnector::from(Arc::new(config))
}

#[tokio::test]
async fn https_works_and_a_handshake_that_never_ends_is_cut() {
    let directory = tempfile::tempdir().unwrap();
    let (files, certificate) = identity(directory.path(), "node");
    let server = serve(|config| {
        config.tls = Some(files);
        config.handshake_timeout = Duration::from_secs(2);
    })
    .await;
    let mut silent = server.connect().await;

    let tcp = server.connect().await;
    let own = tcp.local_addr().unwrap().to_string();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = connector(certificate).connect(name, tcp).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    for _ in 0..2 {
        assert!(ask(&mut stream).await.ends_with(&own));
    }
    assert!(is_closed_soon(&mut silent).await);

    server.shutdown.start();
    assert_eq!(timeout(SOON, server.task).await.unwrap().unwrap(), Drained { cut: 0 });
}

#[tokio::test]
async fn tls_files_that_cannot_be_used_are_named_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let (good, _) = identity(directory.path(), "good");
    let (other, _) = identity(directory.path(), "other");
    let text = directory.path().join("text");
    std::fs::write(&text, "no PEM").unwrap();
    let missing = directory.path().join("missing");
    let pair = |certificate: &Path, key: &Path| TlsFiles { certificate_chain: certificate.into(), private_key: key.into() };
    let cases = [
        (pair(&missing, &good.private_key), &missing, "No such file"),
        (pair(&good.certificate_chain, &missing), &missing, "No such file"),
        (pair(&text, &good.private_key), &text, "BEGIN CERTIFICATE"),
        (pair(&good.certificate_chain, &text), &text, "PRIVATE KEY"),
        (pair(&good.certificate_chain, &good.certificate_chain), &good.certificate_chain, "PRIVATE KEY"),
        (pair(&good.certificate_chain, &other.private_key), &other.private_key, "not the key of the first certificate"),
    ];
    for (files, named, reason) in cases {
        let mut config = ServerConfig::new(([127, 0, 0, 1], 0).into());
        config.tls = Some(files);
        let error = Listener::bind(config).await.err().unwrap().to_string();
        assert!(error.contains(&named.display().to_string()) && error.contains(reason), "{error}");
    }
}
