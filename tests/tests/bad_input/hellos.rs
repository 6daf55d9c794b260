//! Streams that do not begin as they should.

use anyhow::{Context as _, Result, bail, ensure};
use artifacts_core::ErrorCode;
use artifacts_core::protocol::{ClientFrame, FRAME_MAX_BYTES, PROTOCOL_VERSION, encode};
use artifacts_tests::time::Duration;
use artifacts_tests::{Lab, RawStream, local};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(2 * 60);

#[test]
fn a_stream_that_does_not_begin_with_a_hello_is_refused() -> Result<()> {
    local("hellos", LIMIT, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let port = lab.node.port();
        let address = lab.workspace("project")?;
        let texts = [
            String::new(),
            "hello".to_owned(),
            "{}".to_owned(),
            "[]".to_owned(),
            "{\"protocol\":{\"min\":1,\"max\":1}}".to_owned(),
            hello(json!({ "by": "magic" })).to_string(),
            hello(json!({ "by": "ticket", "token": 7 })).to_string(),
            hello(json!({ "by": "resume", "session": "ses_x", "secret": "s" })).to_string(),
            hello(json!({ "by": "api_key", "key": "k", "workspace": "//", "mode": "rw" })).to_string(),
            "[".repeat(100_000),
        ];
        for text in texts {
            let mut stream = RawStream::connect(port)?;
            stream.send_text(&text)?;
            let what = text.chars().take(60).collect::<String>();
            expect_refusal(&mut stream, ErrorCode::InvalidRequest).with_context(|| format!("the hello {what}"))?;
        }
        let mut stream = RawStream::connect(port)?;
        stream.send(&ClientFrame::Heartbeat { sent_ms: 1 })?;
        expect_refusal(&mut stream, ErrorCode::InvalidRequest).context("a frame before the hello")?;

        let mut stream = RawStream::connect(port)?;
        // The connection may end while this is still on its way.
        let _ = stream.send_text(&"x".repeat(FRAME_MAX_BYTES + 1));
        ensure!(!matches!(stream.hello_answer(), Ok(Ok(_))), "an oversized hello was taken in");

        let (mut good, _) = RawStream::open_with_ticket(port, &lab.ticket("tenant", "r", &address, "rw")?)?;
        good.expect_standing()
    })
}

/// "A node that shares no protocol version with the agent answers `refused` with code `unsupported_version` and says
/// which it speaks."
#[test]
fn an_unknown_protocol_version_is_refused_by_name() -> Result<()> {
    local("versions", LIMIT, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let address = lab.workspace("project")?;
        let ticket = lab.ticket("tenant", "r", &address, "rw")?;
        let opening = json!({ "by": "ticket", "token": ticket["token"] });
        for (min, max) in [(PROTOCOL_VERSION + 1, 9), (0, 1), (65_535, 65_535), (9, 2)] {
            let mut stream = RawStream::connect(lab.node.port())?;
            let mut text = hello(opening.clone());
            text["protocol"] = json!({ "min": min, "max": max });
            stream.send_text(&text.to_string())?;
            expect_refusal(&mut stream, ErrorCode::UnsupportedVersion).with_context(|| format!("versions {min} to {max}"))?;
        }
        // An agent of the future that still speaks our version is welcome, and the ticket is unused so far.
        let mut stream = RawStream::connect(lab.node.port())?;
        let mut text = hello(opening);
        text["protocol"] = json!({ "min": 1, "max": 9 });
        text["from_the_future"] = json!([1, 2, 3]);
        stream.send_text(&text.to_string())?;
        let welcome = stream.hello_answer()?.map_err(|refusal| anyhow::anyhow!("refused: {refusal}"))?;
        ensure!(welcome.version == PROTOCOL_VERSION, "{welcome:?}");
        stream.expect_standing()
    })
}

/// "The agent sends a `Hello` as JSON text within 5 seconds."
#[test]
fn a_silent_stream_is_ended() -> Result<()> {
    local("silent", LIMIT, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let mut stream = RawStream::connect(lab.node.port())?;
        expect_refusal(&mut stream, ErrorCode::InvalidRequest)
    })
}

fn hello(opening: Value) -> Value {
    json!({ "protocol": { "min": 1, "max": 1 }, "agent": "raw/0", "host": "test", "opening": opening })
}

fn expect_refusal(stream: &mut RawStream, code: ErrorCode) -> Result<()> {
    match stream.hello_answer()? {
        Err(refusal) => ensure!(refusal.code == code && !refusal.message.is_empty(), "refused with {refusal}"),
        Ok(welcome) => bail!("welcomed: {welcome:?}"),
    }
    stream.wait_closed().context("the stream stays open")?;
    Ok(())
}

/// A frame that decodes, for those who need one to cut to pieces.
pub(crate) fn some_frame() -> Result<Vec<u8>> {
    Ok(encode(&ClientFrame::Closed { inodes: (1..100).map(artifacts_core::namespace::Ino).collect() })?)
}
