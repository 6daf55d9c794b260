//! Simulated mounts and nodes are one file system: millions of operations, and one order for all that was seen, whatever breaks meanwhile
//! (`docs/design/0018-simulation.md`). Here one world goes on and on; `artifacts sim` runs many short ones.
//!
//! `SIM_OPS` says how many operations, `SIM_SEED` with which numbers they begin; without it they are drawn. `SIM_TRACE` says from how many operations on to
//! remember what happens, to be printed with a violation.

use anyhow::{Context as _, Result};
use artifacts_sim::World;
use artifacts_tests::time::{now, unix_ms};

/// So many operations belong to every run of all tests, others each time; `make test-linearizability` does millions.
const OPS: u64 = 60_000;

#[test]
fn simulated_mounts_are_one_file_system() -> Result<()> {
    let ops = number("SIM_OPS")?.unwrap_or(OPS);
    let seed = number("SIM_SEED")?.unwrap_or_else(unix_ms);
    println!("linearizability, simulated: SIM_SEED={seed} SIM_OPS={ops}");
    let start = now();
    let mut world = World::new(seed);
    if let Some(from) = number("SIM_TRACE")? {
        world.trace_from(from);
    }
    while world.ops() < ops {
        if let Err(violation) = world.segment() {
            world.trace().iter().for_each(|line| println!("{line}"));
            return Err(violation.context(format!("SIM_SEED={seed}")));
        }
    }
    println!("{}, 0 violations, {:.1} s, SIM_SEED={seed}", world.summary(), start.elapsed().as_secs_f64());
    world.expect_everything_happened()
}

fn number(variable: &str) -> Result<Option<u64>> {
    let Some(text) = std::env::var_os(variable).filter(|text| !text.is_empty()) else { return Ok(None) };
    let number = text.to_str().and_then(|text| text.parse().ok());
    Ok(Some(number.with_context(|| format!("{variable} has to be a number, and is {text:?}"))?))
}
