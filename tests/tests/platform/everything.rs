//! "Revoking everything": a tenant with very many live sessions, in one call.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, ensure};
use artifacts_core::protocol::FenceReason;
use artifacts_core::ticket::TicketFile;
use artifacts_mount::Credential;
use artifacts_mount::headless::{Headless, HeadlessMount};
use artifacts_tests::time::{Duration, now, wait_until};
use artifacts_tests::{Api, Lab, Scratch, greedy, local};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const LIMIT: Duration = Duration::from_secs(20 * 60);
/// Only a guard against hanging.
const PATIENCE: Duration = Duration::from_secs(120);
/// Sessions, unless `REVOKED_SESSIONS` says how many.
const SESSIONS: usize = 1_000;
/// So many open at a time.
const AT_A_TIME: usize = 16;
/// How often one that did not open is opened again.
const ATTEMPTS: usize = 5;
/// One crowd at a time.
static CROWD: Mutex<()> = Mutex::new(());
/// Workspaces that they share.
const WORKSPACES: usize = 20;

fn sessions() -> Result<usize> {
    std::env::var("REVOKED_SESSIONS").map_or(Ok(SESSIONS), |text| text.parse().with_context(|| format!("REVOKED_SESSIONS={text}")))
}

async fn gather(headless: &Arc<Headless>, tickets: Vec<TicketFile>) -> Result<Vec<HeadlessMount>> {
    let turns = Arc::new(Semaphore::new(AT_A_TIME));
    let mut openings = JoinSet::new();
    for ticket in tickets {
        let (headless, turn) = (Arc::clone(headless), Arc::clone(&turns).acquire_owned().await?);
        openings.spawn(async move {
            let credential = Credential::Ticket(ticket);
            let mut opened = headless.mount(&credential).await;
            // On a busy machine a hello may come too late.
            for _ in 0..ATTEMPTS {
                if opened.is_err() {
                    opened = headless.mount(&credential).await;
                }
            }
            drop(turn);
            opened
        });
    }
    let mut mounts = Vec::new();
    while let Some(opened) = openings.join_next().await {
        mounts.push(opened??);
    }
    Ok(mounts)
}

/// How many entries of this kind the audit trail has.
fn noted(api: &Api, kind: &str) -> Result<usize> {
    let (mut count, mut cursor) = (0, String::new());
    loop {
        let page = api.get(&format!("/v1/audit?kind={kind}&limit=200{cursor}"))?;
        count += page["items"].as_array().context("no items")?.len();
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(count),
        }
    }
}

/// Opens the sessions, revokes them with `call`, and sees that each of them has ended and hears so.
fn revoke_all(name: &str, call: impl Fn(&Api) -> Result<Value>) -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).context("the limit on open files")?;
    let _alone = CROWD.lock().unwrap_or_else(PoisonError::into_inner);
    let count = sessions()?;
    let body = |scratch: &Arc<Scratch>| {
        let lab = Lab::start(scratch, &json!({ "rate_limit": 0, "session_lease_ms": 60_000, "max_connections": 2 * count + 1_000 }))?;
        let workspaces = (0..WORKSPACES).map(|number| lab.workspace(&format!("w{number}"))).collect::<Result<Vec<_>>>()?;
        let tickets = (0..count)
            .map(|number| {
                let ticket = lab.ticket("crowd", &format!("runtime-{number}"), &workspaces[number % WORKSPACES], "rw")?;
                Ok(serde_json::from_value(ticket)?)
            })
            .collect::<Result<Vec<TicketFile>>>()?;
        let bystander = lab.account("other")?;
        bystander.post("/v1/workspaces", &json!({ "name": "w" }))?;
        let own =
            bystander.post("/v1/tenants/t/runtimes/r/mount-tickets", &json!({ "workspace": "w", "mode": "rw", "ttl_seconds": 600 }))?;
        let runtime = Runtime::new()?;
        let headless = Arc::new(Headless::new(None, 1 << 16)?);
        let mounts = runtime.block_on(gather(&headless, tickets))?;
        let other = runtime.block_on(headless.mount(&Credential::Ticket(serde_json::from_value(own["mount_ticket"].clone())?)))?;
        ensure!(mounts.len() == count);

        let begun = now();
        let answer = call(&lab.api)?;
        let took = begun.elapsed();
        println!("{name}: {count} sessions were ended by a call of {} ms: {}", took.as_millis(), answer["sessions"]);
        // One whose own heartbeat came between the record and the fence has ended already, and is not counted.
        let (matched, fenced_now) = (answer["sessions"]["matched"].as_u64(), answer["sessions"]["fenced"].as_u64());
        ensure!(matched == fenced_now && matched <= Some(count as u64) && matched > Some(0), "{}", answer["sessions"]);
        ensure!(lab.api.list("/v1/sessions")?.is_empty(), "sessions are left");
        wait_until("every mount knows", PATIENCE, || Ok(mounts.iter().all(|mount| mount.fenced() == Some(FenceReason::Revoked))))?;
        println!("{name}: every mount knew {} ms after the call was made", begun.elapsed().as_millis());
        ensure!(other.fenced().is_none(), "another account's session was ended");
        for kind in ["session_fenced", "session_out"] {
            wait_until(&format!("the trail has a {kind} of each"), PATIENCE, || Ok(noted(&lab.api, kind)? == count))?;
        }
        runtime.block_on(async {
            let mut endings = JoinSet::new();
            for mount in mounts {
                endings.spawn(mount.unmount());
            }
            while endings.join_next().await.is_some() {}
            other.unmount().await.map_err(|errno| anyhow::anyhow!("the bystander: {errno:?}"))
        })
    };
    // The limits of memory are not made for ten thousand sessions.
    if count > SESSIONS { greedy(name, LIMIT, body) } else { local(name, LIMIT, body) }
}

#[test]
fn a_tenant_with_a_thousand_sessions_is_revoked_in_one_call() -> Result<()> {
    revoke_all("revoke-tenant", |api| api.post("/v1/grants/revoke", &json!({ "tenant_slug": "crowd", "wait_ms": 5_000 })))
}

#[test]
fn an_account_with_a_thousand_sessions_is_revoked_in_one_call() -> Result<()> {
    revoke_all("revoke-everything", |api| api.post("/v1/account/revoke-everything", &json!({ "wait_ms": 5_000 })))
}
