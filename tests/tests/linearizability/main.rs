//! Several mounts of one workspace behave as processes on one machine: random calls on few files, on all mounts at once
//! and while mounts come and go, and for all that they saw there is one order.
//!
//! `LIN_OPS` says how many operations (more by what the last round brings), `LIN_MOUNTS` on how many mounts, `LIN_SEED` with
//! which numbers they begin. A seed determines who asks for what; when each call is served is the machine's.

mod round;
mod run;

use anyhow::{Context as _, Result};
use artifacts_tests::mounted;
use artifacts_tests::time::{Duration, unix_ms};

use self::run::Run;

/// So many operations belong to every run of all tests; `make test-linearizability` does more.
const OPS: u64 = 20_000;
const MOUNTS: u64 = 4;
/// A guard against hangs: so much for the mounts, and so much for each operation.
const LIMIT: Duration = Duration::from_secs(240);
const LIMIT_OF_OP: Duration = Duration::from_millis(25);

#[test]
fn several_mounts_are_one_file_system() -> Result<()> {
    let ops = number("LIN_OPS")?.unwrap_or(OPS);
    let mounts = number("LIN_MOUNTS")?.unwrap_or(MOUNTS);
    let seed = number("LIN_SEED")?.unwrap_or_else(unix_ms);
    println!("linearizability: LIN_SEED={seed} LIN_OPS={ops} LIN_MOUNTS={mounts}");
    let limit = LIMIT + LIMIT_OF_OP * u32::try_from(ops)?;
    mounted("linearizability", limit, |scratch| {
        let mut run = Run::start(scratch, seed, usize::try_from(mounts)?)?;
        while run.ops() < ops {
            run.round().with_context(|| format!("LIN_SEED={seed}"))?;
        }
        println!("{}", run.summary());
        run.end()
    })
}

fn number(variable: &str) -> Result<Option<u64>> {
    let Some(text) = std::env::var_os(variable).filter(|text| !text.is_empty()) else { return Ok(None) };
    let number = text.to_str().and_then(|text| text.parse().ok());
    Ok(Some(number.with_context(|| format!("{variable} has to be a number, and is {text:?}"))?))
}
