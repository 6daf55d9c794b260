//! More questions than a stream may have under way, of which none can be answered.

use anyhow::{Context as _, Result, bail, ensure};
use artifacts_core::namespace::Ino;
use artifacts_core::protocol::{ClientFrame, Request, ServerFrame};
use artifacts_tests::time::{Duration, monotonic_ns};
use artifacts_tests::{Heard, Lab, RawStream, local};
use serde_json::json;

/// More than the node lets wait at once.
const QUESTIONS: u32 = 1_000;

/// A heartbeat does not wait behind what waits: a mount whose questions take long stands all the same.
#[test]
fn heartbeats_are_answered_while_questions_wait() -> Result<()> {
    local("waiting", Duration::from_secs(60), |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let address = lab.workspace("project")?;
        let open = |tenant: &str| RawStream::open_with_ticket(lab.node.port(), &lab.ticket(tenant, "r", &address, "rw")?);
        let (mut holder, _) = open("holder")?;
        holder.send(&ClientFrame::WantLease)?;
        let epoch = holder.wait_for("the lease", |frame| match frame {
            ServerFrame::Lease { epoch, .. } => Some(*epoch),
            _ => None,
        })?;
        let (mut other, _) = open("other")?;
        for id in 0..QUESTIONS {
            other.send(&ClientFrame::Request { id, request: Request::Attr { ino: Ino::ROOT } })?;
        }
        for _ in 0..5 {
            // Nobody is fenced meanwhile.
            holder.expect_standing()?;
            let mark = monotonic_ns();
            other.send(&ClientFrame::Heartbeat { sent_ms: mark })?;
            match other.hear()? {
                Heard::Frame(ServerFrame::Proof { sent_ms }) => ensure!(sent_ms == mark),
                heard => bail!("instead of a proof came {heard:?}"),
            }
        }
        holder
            .wait_for("the recall", |frame| matches!(frame, ServerFrame::Recall { epoch: recalled } if *recalled == epoch).then_some(()))?;
        holder.send(&ClientFrame::ReturnLease)?;
        for expected in 0..QUESTIONS {
            let answered = other.wait_for("a reply", |frame| match frame {
                ServerFrame::Reply { id, result } => Some((*id, result.is_ok())),
                _ => None,
            })?;
            ensure!(answered == (expected, true), "{answered:?} instead of {expected}");
        }
        other.expect_standing().context("afterwards")
    })
}
