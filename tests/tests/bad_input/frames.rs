//! Streams that go on as they should not: each ends with the reason, and the session goes on over the next one.

use anyhow::{Context as _, Result, ensure};
use artifacts_core::namespace::{Ino, Mutation, Name, NewNode};
use artifacts_core::protocol::{ClientFrame, FRAME_MAX_BYTES, Opening, Request, Welcome, encode};
use artifacts_tests::time::Duration;
use artifacts_tests::{Closed, Lab, RawStream, local};
use serde_json::json;

use crate::hellos::some_frame;

/// WebSocket close codes (RFC 6455 section 7.4.1).
const PROTOCOL: u16 = 1002;
const UNSUPPORTED: u16 = 1003;
const TOO_BIG: u16 = 1009;

#[test]
fn what_is_no_frame_ends_the_stream_with_a_reason_and_not_the_session() -> Result<()> {
    local("frames", Duration::from_secs(5 * 60), |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let address = lab.workspace("project")?;
        let ticket = lab.ticket("tenant", "r", &address, "rw")?;
        let (stream, welcome) = RawStream::open_with_ticket(lab.node.port(), &ticket)?;
        let mut session = Session { port: lab.node.port(), welcome, stream, files: 0 };
        session.make_file()?;

        let frame = some_frame()?;
        let mut garbage = vec![vec![], vec![0xff; 100], vec![0x7f], (0..=255).collect(), vec![0; 100_000]];
        garbage.extend([1, 2, frame.len() / 2, frame.len() - 1].map(|cut| frame[..cut].to_vec()));
        garbage.push([frame.as_slice(), &[0]].concat());
        // A list that claims to be longer than memory, and a name with a slash in it.
        garbage.push(vec![2, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
        let name = Name::new(&b"ab"[..]).map_err(|errno| anyhow::anyhow!("{errno}"))?;
        let lookup = encode(&ClientFrame::Request { id: 1, request: Request::Lookup { parent: Ino::ROOT, name } })?;
        garbage.push(lookup.iter().map(|&byte| if byte == b'a' { b'/' } else { byte }).collect());
        for bytes in garbage {
            let what = format!("{} bytes beginning with {:?}", bytes.len(), &bytes[..bytes.len().min(12)]);
            session.stream.send_bytes(&bytes)?;
            session.expect_end(&what, &[PROTOCOL])?;
        }
        session.stream.send_text("a text message")?;
        session.expect_end("text", &[UNSUPPORTED])?;
        // The connection may end while this is still on its way.
        let _ = session.stream.send_bytes(&vec![0; FRAME_MAX_BYTES + 1]);
        session.expect_end("an oversized frame", &[TOO_BIG, PROTOCOL])?;
        lab.api.get("/v1/whoami").map(drop)
    })
}

/// Bytes below the WebSocket that are no WebSocket.
#[test]
fn a_broken_websocket_ends_the_stream_and_not_the_session() -> Result<()> {
    local("websocket", Duration::from_secs(3 * 60), |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let address = lab.workspace("project")?;
        let (stream, welcome) = RawStream::open_with_ticket(lab.node.port(), &lab.ticket("tenant", "r", &address, "rw")?)?;
        let mut session = Session { port: lab.node.port(), welcome, stream, files: 0 };
        let broken: [(&str, &[u8]); 5] = [
            ("an unmasked frame", &[0x82, 0x03, 1, 2, 3]),
            ("reserved bits", &[0xf2, 0x83, 0, 0, 0, 0, 1, 2, 3]),
            ("an unknown kind of frame", &[0x8b, 0x80, 0, 0, 0, 0]),
            ("a frame of 2^63 bytes", &[0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
            ("a continuation of nothing", &[0x80, 0x81, 0, 0, 0, 0, 1]),
        ];
        for (what, bytes) in broken {
            std::io::Write::write_all(session.stream.tcp(), bytes)?;
            session.stream.wait_closed().with_context(|| what.to_owned())?;
            session.resume(what)?;
        }
        // Half a message, and then nothing more: the connection is cut.
        std::io::Write::write_all(session.stream.tcp(), &[0x82, 0xfe, 0x10, 0x00, 0, 0, 0, 0, 1, 2, 3])?;
        session.stream.tcp().shutdown(std::net::Shutdown::Both)?;
        session.resume("half a message")
    })
}

/// A session that outlives its streams.
struct Session {
    port: u16,
    welcome: Welcome,
    stream: RawStream,
    files: u64,
}

impl Session {
    /// The stream ends with one of these codes and a reason; the session goes on over a new one.
    fn expect_end(&mut self, what: &str, codes: &[u16]) -> Result<()> {
        let closed: Closed = self.stream.wait_closed().with_context(|| what.to_owned())?;
        ensure!(closed.code.is_some_and(|code| codes.contains(&code)), "{what}: the stream ended with {closed:?}");
        ensure!(!closed.reason.is_empty(), "{what}: the stream ended without a reason");
        self.resume(what)
    }

    fn resume(&mut self, what: &str) -> Result<()> {
        let opening = Opening::Resume { session: self.welcome.session, secret: self.welcome.secret.clone() };
        let (stream, welcome) = RawStream::open(self.port, opening).with_context(|| format!("after {what}"))?;
        self.stream = stream;
        ensure!(welcome.session == self.welcome.session, "another session after {what}");
        self.stream.send(&ClientFrame::ResendDone { open: Vec::new() })?;
        self.make_file().with_context(|| format!("after {what}"))
    }

    /// A good op under the next number of the session.
    fn make_file(&mut self) -> Result<()> {
        let name = Name::new(format!("file-{}", self.files).into_bytes()).map_err(|errno| anyhow::anyhow!("{errno}"))?;
        let ino = Ino(self.welcome.inodes.first + self.files);
        let mutation = Mutation::Create { parent: Ino::ROOT, name, ino, node: NewNode::File, mode: 0o644, umask: 0, uid: 0, gid: 0 };
        let result = self.stream.commit_as(self.files + 1, mutation)?;
        ensure!(result.result.is_ok(), "a good op is refused: {result:?}");
        self.files += 1;
        self.stream.expect_standing()
    }
}
