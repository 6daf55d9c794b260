//! Nodes of a cluster are killed and cut off while eight mounts of one workspace write, read and lock, and every promise
//! stands: all that was seen has one order, what was fsynced is there, no lock has two holders.
//!
//! Three nodes, an S3 server and four machines with two mounts each, every one in a network namespace of its own. An event
//! is drawn from a seed; it has its round, in which everything works from before it until all shards are served again. Printed
//! is for how long calls stood still, and what was checked.
//!
//! `FAILOVER_KILLS` and `FAILOVER_CUTS` say how many, `FAILOVER_SEED` with which numbers they begin. A seed determines the events
//! and who asks for what; when each call is served is the machine's.

mod event;
mod holder;
mod journal;
mod judge;
mod lives;
mod mounts;
mod named;
mod pauses;
mod round;
mod run;
mod site;
mod turns;

use anyhow::{Context as _, Result};
use artifacts_tests::mounted;
use artifacts_tests::time::{Duration, unix_ms};

use self::run::Run;

/// So many belong to every run of all tests; `make test-failover` does more.
const KILLS: usize = 3;
const CUTS: usize = 2;
/// A guard against hangs: so much for the cluster and the mounts, and so much for each event.
const LIMIT: Duration = Duration::from_secs(300);
const LIMIT_OF_EVENT: Duration = Duration::from_secs(180);

#[test]
fn nodes_fail_under_load_and_no_promise_breaks() -> Result<()> {
    let kills = number("FAILOVER_KILLS")?.map_or(Ok(KILLS), usize::try_from)?;
    let cuts = number("FAILOVER_CUTS")?.map_or(Ok(CUTS), usize::try_from)?;
    let seed = number("FAILOVER_SEED")?.unwrap_or_else(unix_ms);
    println!("failover: FAILOVER_SEED={seed} FAILOVER_KILLS={kills} FAILOVER_CUTS={cuts}");
    let limit = LIMIT + LIMIT_OF_EVENT * u32::try_from(kills + cuts)?;
    mounted("failover", limit, |scratch| {
        let Some(run) = Run::start(scratch, seed, limit)? else { return Ok(()) };
        run.events(kills, cuts).with_context(|| format!("FAILOVER_SEED={seed}"))
    })
}

fn number(variable: &str) -> Result<Option<u64>> {
    let Some(text) = std::env::var_os(variable).filter(|text| !text.is_empty()) else { return Ok(None) };
    let number = text.to_str().and_then(|text| text.parse().ok());
    Ok(Some(number.with_context(|| format!("{variable} has to be a number, and is {text:?}"))?))
}
