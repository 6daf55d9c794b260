//! Connections that speak HTTP badly.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::Duration;
use artifacts_tests::{Lab, local};
use serde_json::json;

#[test]
fn bad_http_ends_its_own_connection_and_no_other() -> Result<()> {
    local("http", Duration::from_secs(3 * 60), |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let line = |text: &str| text.as_bytes().to_vec();
        let many_headers: String = (0..10_000).map(|index| format!("x-{index}: y\r\n")).collect();
        let requests: Vec<(&str, Vec<u8>)> = vec![
            ("garbage", (0..5_000u32).map(|index| (index * 7 % 256) as u8).collect()),
            ("another protocol", line("EHLO example.org\r\n\r\n")),
            ("a TLS hello", vec![0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]),
            ("an endless request line", [line("GET /"), vec![b'a'; 1 << 20]].concat()),
            ("an endless header", [line("GET / HTTP/1.1\r\nhost: x\r\nx: "), vec![b'a'; 1 << 20]].concat()),
            ("ten thousand headers", [line("GET / HTTP/1.1\r\nhost: x\r\n"), line(&many_headers), line("\r\n")].concat()),
            ("two lengths", line("POST /v1/tenants HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 5\r\n\r\nabc")),
            ("a negative length", line("POST /v1/tenants HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n")),
            (
                "length and chunks",
                line("POST /v1/tenants HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
            ),
            ("a bad chunk", line("POST /v1/tenants HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n")),
            ("a NUL in a header", line("GET /healthz HTTP/1.1\r\nhost: x\r\nx: a\0b\r\n\r\n")),
            ("an upgrade to nothing", line("GET /v1/stream HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: nothing\r\n\r\n")),
            ("no upgrade", line("GET /v1/stream HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")),
            (
                "half a WebSocket handshake",
                line(
                    "GET /v1/stream HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\r\n",
                ),
            ),
        ];
        for (what, request) in requests {
            let answer = exchange(lab.node.port(), &request).with_context(|| what.to_owned())?;
            // Either the connection just ends, or with an answer that says it was the client's fault.
            let head = String::from_utf8_lossy(&answer).chars().take(40).collect::<String>();
            ensure!(answer.is_empty() || head.starts_with("HTTP/1.1 4") || head.starts_with("HTTP/1.0 4"), "{what}: {head}");
            lab.api.get("/v1/whoami").with_context(|| format!("after {what}"))?;
        }
        Ok(())
    })
}

/// A body far over the limit is answered before it has been read; the connection may end under the client's hands,
/// but not before the answer is on its way.
#[test]
fn an_oversized_body_is_told_so() -> Result<()> {
    local("oversized", Duration::from_secs(2 * 60), |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        for bytes in [100 << 10, 2 << 20, 16 << 20] {
            let key = lab.api.token();
            let head = format!(
                "POST /v1/tenants HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {bytes}\r\n\r\n"
            );
            let answer = exchange(lab.node.port(), &[head.into_bytes(), vec![b' '; bytes]].concat())?;
            let answer = String::from_utf8_lossy(&answer);
            ensure!(answer.starts_with("HTTP/1.1 413") && answer.contains("payload_too_large"), "{bytes} bytes: {answer:?}");
            lab.api.get("/v1/whoami").with_context(|| format!("after {bytes} bytes"))?;
        }
        Ok(())
    })
}

/// A body that never ends is cut off at the limit, though no length was announced.
#[test]
fn an_endless_body_is_cut_off() -> Result<()> {
    local("endless", Duration::from_secs(2 * 60), |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let mut tcp = connect(lab.node.port())?;
        let key = lab.api.token();
        let head = format!(
            "POST /v1/tenants HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        tcp.write_all(head.as_bytes())?;
        let chunk = [b"10000\r\n".to_vec(), vec![b' '; 0x10000], b"\r\n".to_vec()].concat();
        let mut sent_bytes = 0;
        // The node stops reading, or resets the connection, long before this.
        while sent_bytes < 64 << 20 && tcp.write_all(&chunk).is_ok() {
            sent_bytes += chunk.len();
        }
        ensure!(sent_bytes < 64 << 20, "the node took in 64 MiB of a request");
        lab.node.note_memory();
        lab.api.get("/v1/whoami").context("after an endless body").map(drop)
    })
}

fn connect(port: u16) -> Result<TcpStream> {
    let tcp = TcpStream::connect(("127.0.0.1", port))?;
    tcp.set_read_timeout(Some(Duration::from_secs(30)))?;
    tcp.set_write_timeout(Some(Duration::from_secs(10)))?;
    Ok(tcp)
}

/// Sends bytes and reads until the node ends the connection.
fn exchange(port: u16, request: &[u8]) -> Result<Vec<u8>> {
    let mut tcp = connect(port)?;
    // The node may have had enough before it has read everything.
    let _ = tcp.write_all(request);
    let mut answer = Vec::new();
    match tcp.read_to_end(&mut answer) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => anyhow::bail!("the node keeps the connection open"),
        _ => Ok(answer),
    }
}
