//! Agents that ask for more than they read.

use anyhow::{Context as _, Result, ensure};
use artifacts_core::namespace::Ino;
use artifacts_core::protocol::{ClientFrame, Request, encode};
use artifacts_tests::time::{Duration, now};
use artifacts_tests::{Lab, RawStream, local};
use serde_json::json;

/// How long to flood for, at most.
const FLOOD: Duration = Duration::from_secs(10);
/// How many frames to send, at most.
const FRAMES: usize = 4_000_000;

/// A flood of frames whose answers nobody reads costs the node no more than a bounded amount of memory (checked at
/// the end of every test), and others are served meanwhile.
#[test]
fn a_stream_that_reads_nothing_is_bounded() -> Result<()> {
    let frames = [
        ("heartbeats", ClientFrame::Heartbeat { sent_ms: u64::MAX }),
        ("questions", ClientFrame::Request { id: 1, request: Request::Attr { ino: Ino::ROOT } }),
        ("flushes", ClientFrame::Flush { seq: 0 }),
        ("reservations", ClientFrame::Request { id: 1, request: Request::ReserveInodes }),
    ];
    for (what, frame) in frames {
        local(&format!("flood-{what}"), Duration::from_secs(3 * 60), |scratch| {
            let lab = Lab::start(scratch, &json!({}))?;
            let address = lab.workspace("project")?;
            let (mut flooding, _) = RawStream::open_with_ticket(lab.node.port(), &lab.ticket("flood", "r", &address, "rw")?)?;
            let (mut other, _) = RawStream::open_with_ticket(lab.node.port(), &lab.ticket("other", "r", &address, "rw")?)?;
            flooding.tcp().set_write_timeout(Some(Duration::from_millis(500)))?;
            let (bytes, start, mut sent) = (encode(&frame)?, now(), 0);
            // Ends when the node stops reading, which it should, or ends the stream, which it may.
            while sent < FRAMES && start.elapsed() < FLOOD && flooding.flood_bytes(&bytes).is_ok() {
                sent += 1;
            }
            lab.node.note_memory();
            println!("{sent} {what} in {:.1} s; {}", start.elapsed().as_secs_f64(), scratch.memory().describe());
            other.expect_standing().context("another session during the flood")?;
            lab.api.get("/v1/whoami").context("the API during the flood")?;
            drop(flooding);
            ensure!(lab.api.send("GET", "/readyz", None)?.status == 200, "not ready after the flood");
            other.expect_standing().context("another session after the flood")
        })?;
    }
    Ok(())
}
