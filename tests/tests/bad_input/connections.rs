//! A thousand connections that never finish their handshake.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, wait_until};
use artifacts_tests::{Lab, RawStream, local};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

/// How many of each sort; there are three.
const CONNECTIONS: usize = 1_000;
/// How long the node may keep an unfinished connection.
const PATIENCE: Duration = Duration::from_secs(90);

#[test]
fn a_thousand_unfinished_handshakes_keep_nobody_out() -> Result<()> {
    allow_many_files();
    for (what, said) in [
        ("nothing", String::new()),
        ("half a head", "GET /v1/whoami HTTP/1.1\r\nhost: x\r\nx-half: ".to_owned()),
        (
            "no hello",
            "GET /v1/stream HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                .to_owned(),
        ),
    ] {
        local(&format!("unfinished-{}", what.replace(' ', "-")), Duration::from_secs(5 * 60), |scratch| {
            let lab = Lab::start(scratch, &json!({}))?;
            let address = lab.workspace("project")?;
            let (mut before, _) = RawStream::open_with_ticket(lab.node.port(), &lab.ticket("before", "r", &address, "rw")?)?;
            let mut open = Vec::new();
            for number in 0..CONNECTIONS {
                let mut tcp = TcpStream::connect(("127.0.0.1", lab.node.port())).with_context(|| format!("connection {number}"))?;
                // A node that has had enough may end a connection at once.
                let _ = tcp.write_all(said.as_bytes());
                tcp.set_nonblocking(true)?;
                open.push(tcp);
            }
            lab.api.get("/v1/whoami").context("the API, with all of them open")?;
            before.expect_standing().context("a session from before")?;
            let (mut during, _) = RawStream::open_with_ticket(lab.node.port(), &lab.ticket("during", "r", &address, "rw")?)
                .context("a new session, with all of them open")?;
            during.expect_standing()?;
            lab.node.note_memory();
            wait_until("the node ends connections that never finish", PATIENCE, || {
                before.expect_standing()?;
                open.retain_mut(|tcp| !has_ended(tcp));
                Ok(open.is_empty())
            })
            .with_context(|| format!("{} of {CONNECTIONS} connections that said {what} are still open", open.len()))?;
            ensure!(lab.api.send("GET", "/readyz", None)?.status == 200, "not ready afterwards");
            during.expect_standing()
        })?;
    }
    Ok(())
}

/// Whether the other side has closed the connection.
fn has_ended(tcp: &mut TcpStream) -> bool {
    let mut bytes = [0; 4096];
    loop {
        match tcp.read(&mut bytes) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != ErrorKind::WouldBlock,
        }
    }
}

/// Each connection takes a descriptor here.
fn allow_many_files() {
    let limit = getrlimit(Resource::Nofile);
    // Should it fail, connecting will say so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
