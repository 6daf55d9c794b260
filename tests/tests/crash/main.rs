//! Kills at random moments, many times: what is left is a prefix of what was done, with everything that was fsynced.
//!
//! `CRASH_ROUNDS` says how many rounds, `CRASH_SEED` with which numbers they begin. A seed determines what is done and
//! which kill comes when; how far the processes have come by then is theirs.

mod evidence;
mod kill;
mod round;
mod tally;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, unix_ms};
use artifacts_tests::{Lab, mounted};
use serde_json::json;

use self::kill::Kill;
use self::round::Round;
use self::tally::Tally;

/// So many rounds belong to every run of all tests; `make test-crash` does more.
const ROUNDS: u64 = 12;
/// A guard against hangs, for each round.
const ROUND_LIMIT: Duration = Duration::from_secs(120);
/// How long a node keeps the place of an agent that is gone, in milliseconds: most rounds wait for it once.
const LEASE_MS: u64 = 4_000;

#[test]
fn a_crash_leaves_a_prefix_with_all_that_was_fsynced() -> Result<()> {
    let rounds = number("CRASH_ROUNDS")?.unwrap_or(ROUNDS);
    let seed = number("CRASH_SEED")?.unwrap_or_else(unix_ms);
    println!("crash: {rounds} rounds, CRASH_SEED={seed}");
    let limit = ROUND_LIMIT * u32::try_from(rounds + 1)?;
    mounted("crash", limit, |scratch| {
        let mut lab = Lab::start(scratch, &json!({ "session_lease_ms": LEASE_MS }))?;
        let mut tally = Tally::default();
        for number in 0..rounds {
            let kill = Kill::of_round(number);
            let round = Round::new(number, seed, kill);
            let report = round.run(&mut lab).with_context(|| format!("round {number}, {kill}, CRASH_SEED={seed}"))?;
            tally.add(kill, &report);
            if let Some(problem) = &report.problem {
                let directory = evidence::keep(scratch, &lab, &round, &report)?;
                println!("round {number}, {kill}: {problem:?}; the evidence is in {}", directory.display());
            }
        }
        println!("{tally}");
        ensure!(tally.is_clean(), "there were losses or violations; CRASH_SEED={seed}");
        Ok(())
    })
}

fn number(variable: &str) -> Result<Option<u64>> {
    let Some(text) = std::env::var_os(variable).filter(|text| !text.is_empty()) else { return Ok(None) };
    let number = text.to_str().and_then(|text| text.parse().ok());
    Ok(Some(number.with_context(|| format!("{variable} has to be a number, and is {text:?}"))?))
}
