//! Every way to take access away from a busy mount, each with a bystander that must notice nothing.

use std::fs;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, monotonic_ns, now, sleep};
use artifacts_tests::{Credential, Hammer, Kind, Lab, Mount, Scratch, THREADS, Trace, late_successes, millis, mounted};
use serde_json::{Value, json};

use crate::aftermath::{Witness, expect_every_call_refused};

const LIMIT: Duration = Duration::from_secs(3 * 60);
/// How long a call may still succeed after the end of its right, before the test gives up. What is promised is
/// measured by `make bench`.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn grant_revoked_by_id() -> Result<()> {
    with_ticket("grant-by-id", "bob", "runtime-1", |lab| {
        let grant = lab.grant_of("alice", "runtime-1")?;
        lab.api.delete(&format!("/v1/grants/{grant}"))?;
        ensure!(lab.api.get(&format!("/v1/grants/{grant}"))?["revoked_at"].is_string(), "the grant does not say that it is revoked");
        Ok(())
    })
}

#[test]
fn grants_revoked_by_runtime() -> Result<()> {
    // The bystander is another runtime of the same tenant.
    with_ticket("by-runtime", "alice", "runtime-2", |lab| expect_counts(lab, &json!({ "tenant_slug": "alice", "runtime_id": "runtime-1" })))
}

#[test]
fn grants_revoked_by_tenant() -> Result<()> {
    with_ticket("by-tenant", "bob", "runtime-1", |lab| expect_counts(lab, &json!({ "tenant_slug": "alice" })))
}

#[test]
fn tenant_deleted() -> Result<()> {
    with_ticket("tenant-delete", "bob", "runtime-1", |lab| {
        lab.api.delete("/v1/tenants/alice")?;
        lab.api.send("GET", "/v1/tenants/alice", None)?.expect_error(404, "tenant_not_found")
    })
}

#[test]
fn session_ended() -> Result<()> {
    with_ticket("session-end", "bob", "runtime-1", |lab| {
        let session = lab.session_of("alice")?;
        lab.api.delete(&format!("/v1/sessions/{session}")).map(drop)
    })
}

#[test]
fn api_key_revoked() -> Result<()> {
    mounted("key-revoke", LIMIT, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let workspace = lab.workspace("shared")?;
        let key = lab.api.post("/v1/api-keys", &json!({ "name": "to be revoked" }))?;
        let secret = key["key"].as_str().context("no secret")?.to_owned();
        let credential = Credential::Key { url: lab.node.url(), key: secret, workspace: workspace.clone() };
        let bystander = lab.mount("bob", &workspace)?;
        let victim = Mount::new(scratch, "victim", &credential)?;
        take_away(&lab, victim, bystander, |lab| {
            let id = key["id"].as_str().context("no key id")?;
            lab.api.delete(&format!("/v1/api-keys/{id}")).map(drop)
        })
    })
}

#[test]
fn workspace_deleted() -> Result<()> {
    mounted("workspace-delete", LIMIT, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let (doomed, other) = (lab.workspace("doomed")?, lab.workspace("other")?);
        let (victim, bystander) = (lab.mount("alice", &doomed)?, lab.mount("bob", &other)?);
        take_away(&lab, victim, bystander, |lab| lab.api.delete(&format!("/v1/workspaces/{doomed}")).map(drop))
    })
}

/// A ticket's end comes by itself: not before its time, and not later than the proof of standing allows.
#[test]
fn ticket_expired() -> Result<()> {
    mounted("expiry", LIMIT, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let workspace = lab.workspace("shared")?;
        let bystander = lab.mount("bob", &workspace)?;
        Hammer::prepare(&bystander.join("hammer"))?;
        let ticket = lab.ticket_with("alice", "runtime-1", &json!({ "workspace": workspace, "mode": "rw", "ttl_seconds": 4 }))?;
        let issued_ns = monotonic_ns();
        let victim = Mount::new(scratch, "alice", &Credential::Ticket(ticket))?;
        let witness = Witness::new(&victim)?;
        let hammer = Hammer::on(&victim.join("hammer"), &THREADS)?;
        hammer.wait_all_failed(PATIENCE)?;
        sleep(Duration::from_millis(300));
        let traces = hammer.stop()?;
        expect_refused(&traces)?;
        let ended_ns = traces.iter().filter_map(|trace| trace.first_failure_ended_ns).min().unwrap_or(0);
        let lived = Duration::from_nanos(ended_ns - issued_ns);
        // Claims count whole seconds, so up to one is lost in rounding; a proof is good for one more.
        ensure!(lived > Duration::from_millis(2900) && lived < Duration::from_secs(6), "a ticket of 4 s lived for {lived:?}");
        witness.expect_refused()?;
        expect_every_call_refused(victim.path())?;
        fs::write(bystander.join("afterwards"), "bob goes on")?;
        victim.tear_down()?;
        bystander.unmount()
    })
}

/// A victim with a ticket of tenant `alice`, runtime `runtime-1`, and a bystander in the same workspace.
fn with_ticket(name: &str, tenant: &str, runtime: &str, revoke: impl FnOnce(&Lab) -> Result<()>) -> Result<()> {
    mounted(name, LIMIT, |scratch: &Arc<Scratch>| {
        let lab = Lab::start(scratch, &json!({}))?;
        let workspace = lab.workspace("shared")?;
        let ticket = lab.ticket(tenant, runtime, &workspace, "rw")?;
        let bystander = Mount::new(scratch, "bystander", &Credential::Ticket(ticket))?;
        let victim = lab.mount("alice", &workspace)?;
        take_away(&lab, victim, bystander, revoke)
    })
}

fn take_away(lab: &Lab, victim: Mount, bystander: Mount, revoke: impl FnOnce(&Lab) -> Result<()>) -> Result<()> {
    Hammer::prepare(&bystander.join("undisturbed"))?;
    let undisturbed = Hammer::on(&bystander.join("undisturbed"), &[Kind::Stat, Kind::Read, Kind::Write])?;
    let witness = Witness::new(&victim)?;
    let hammer = Hammer::start(&victim.join("hammer"))?;
    sleep(Duration::from_millis(200));

    let start = now();
    revoke(lab).context("the revoke call")?;
    let (took, returned_ns) = (start.elapsed(), monotonic_ns());
    hammer.wait_all_failed(PATIENCE)?;
    // Long enough for a success that should not be to show.
    sleep(Duration::from_millis(500));
    let traces = hammer.stop()?;
    let last_success_ns = traces.iter().map(|trace| trace.last_success_ended_ns).max().unwrap_or(0);
    println!(
        "the call took {:.1} ms; the last success came {:.1} ms after it",
        millis(took),
        millis(Duration::from_nanos(last_success_ns.saturating_sub(returned_ns)))
    );
    expect_refused(&traces)?;
    witness.expect_refused()?;
    expect_every_call_refused(victim.path())?;
    ensure!(victim.is_mounted(), "the mount point went away, so programs write to the directory below");

    undisturbed.wait_all_succeed(PATIENCE).context("the bystander")?;
    let traces = undisturbed.stop()?;
    ensure!(traces.iter().all(|trace| trace.errno == 0), "the bystander was disturbed: {traces:?}");
    bystander.unmount()?;
    // There is nothing that could be saved any more; the mount goes nevertheless.
    let output = victim.try_unmount()?;
    ensure!(!victim.is_mounted(), "a revoked mount cannot be unmounted: {output:?}");
    victim.tear_down()
}

/// Every call of every thread has failed with EACCES, and none that was started after the first failure succeeded.
fn expect_refused(traces: &[Trace]) -> Result<()> {
    for trace in traces {
        ensure!(trace.errno == libc::EACCES && trace.other_errno == 0, "another error than EACCES: {trace:?}");
    }
    let late = late_successes(traces);
    ensure!(late.is_empty(), "calls succeeded after one had been refused: {late:?}\nof {traces:?}");
    Ok(())
}

/// Revokes, and looks at what the answer counts. On a machine that is too busy to do it within a second the mount may have lost its
/// stream for want of proofs, and then confirms nothing.
fn expect_counts(lab: &Lab, whose: &Value) -> Result<()> {
    let start = now();
    let revoked = lab.api.post("/v1/grants/revoke", whose)?;
    let is_prompt = start.elapsed() < Duration::from_secs(1);
    ensure!(revoked["grants"].as_array().is_some_and(|grants| grants.len() == 1), "one grant was revoked: {revoked}");
    for count in ["matched", "fenced", "confirmed"] {
        let is_promised = is_prompt || count != "confirmed";
        ensure!(!is_promised || revoked["sessions"][count] == 1, "one session was {count}: {revoked}");
    }
    Ok(())
}
