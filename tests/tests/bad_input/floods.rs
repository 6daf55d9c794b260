//! Agents that ask for more than they read. What the node holds meanwhile is bounded (the limit on its memory is
//! checked at the end of every test), and others are served.

use anyhow::{Context as _, Result, anyhow, ensure};
use artifacts_core::namespace::{Ino, Mutation, Name, Op};
use artifacts_core::protocol::{ClientFrame, NumberedOp, Request, encode};
use artifacts_tests::time::{Duration, now};
use artifacts_tests::{Lab, RawStream, local};
use serde_json::json;

/// How long to flood for, at most.
const FLOOD: Duration = Duration::from_secs(6);
/// How many frames to send, at most.
const FRAMES: usize = 4_000_000;

#[test]
fn heartbeats() -> Result<()> {
    flood("heartbeats", &ClientFrame::Heartbeat { sent_ms: u64::MAX })
}

#[test]
fn questions() -> Result<()> {
    flood("questions", &ClientFrame::Request { id: 1, request: Request::Attr { ino: Ino::ROOT } })
}

#[test]
fn listings() -> Result<()> {
    flood("listings", &ClientFrame::Request { id: 1, request: Request::ReadDir { dir: Ino::ROOT, after: None, limit: u32::MAX } })
}

#[test]
fn reservations() -> Result<()> {
    flood("reservations", &ClientFrame::Request { id: 1, request: Request::ReserveInodes })
}

#[test]
fn flushes() -> Result<()> {
    flood("flushes", &ClientFrame::Flush { seq: 0 })
}

#[test]
fn flushes_of_what_never_comes() -> Result<()> {
    flood("far-flushes", &ClientFrame::Flush { seq: u64::MAX })
}

#[test]
fn refused_ops() -> Result<()> {
    let name = Name::new(&b"absent"[..]).map_err(|errno| anyhow!("{errno}"))?;
    let op = Op { mutation: Mutation::Unlink { parent: Ino::ROOT, name }, time: 0 };
    flood("refused-ops", &ClientFrame::Commit { acked: 0, ops: vec![NumberedOp { seq: u64::MAX, order: None, op }] })
}

#[test]
fn closings() -> Result<()> {
    flood("closings", &ClientFrame::Closed { inodes: (0..100).map(Ino).collect() })
}

#[test]
fn ends_of_resending() -> Result<()> {
    flood("resend-done", &ClientFrame::ResendDone { open: (0..100).map(Ino).collect() })
}

#[test]
fn confirmations() -> Result<()> {
    flood("confirmations", &ClientFrame::FenceConfirmed)
}

fn flood(what: &str, frame: &ClientFrame) -> Result<()> {
    local(&format!("flood-{what}"), Duration::from_secs(3 * 60), |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let address = lab.workspace("project")?;
        let (mut flooding, _) = RawStream::open_with_ticket(lab.node.port(), &lab.ticket("flood", "r", &address, "rw")?)?;
        let (mut other, _) = RawStream::open_with_ticket(lab.node.port(), &lab.ticket("other", "r", &address, "rw")?)?;
        flooding.tcp().set_write_timeout(Some(Duration::from_millis(500)))?;
        let (bytes, start, mut sent) = (encode(frame)?, now(), 0);
        // Ends when the node stops reading, which it should, or ends the stream, which it may.
        while sent < FRAMES && start.elapsed() < FLOOD && flooding.flood_bytes(&bytes).is_ok() {
            sent += 1;
        }
        println!("{sent} frames in {:.1} s", start.elapsed().as_secs_f64());
        other.expect_standing().context("another session during the flood")?;
        lab.api.get("/v1/whoami").context("the API during the flood")?;
        drop(flooding);
        ensure!(lab.api.send("GET", "/readyz", None)?.status == 200, "not ready after the flood");
        other.request(Request::Attr { ino: Ino::ROOT })?.map_err(|errno| anyhow!("another session after the flood: {errno}"))?;
        other.expect_standing().context("another session after the flood")
    })
}
