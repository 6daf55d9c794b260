//! How fast a revocation takes effect, from the return of the revoke call to the first system call that fails, and to the last
//! that succeeds: on one node, and in clusters whose machines do not hear each other well.
//!
//! Then what gossip costs an agent that is idle.
//!
//! `ARTIFACTS_BENCH_ROUNDS` sets another number of rounds than 100. With `ARTIFACTS_BENCH_ONLY=mesh`, `alone` or `cost` it does one
//! part, with `mesh:TEXT` the lines whose names contain that.

mod alone;
#[path = "../../tests/cluster/fixture.rs"]
#[allow(dead_code, reason = "shared with the tests of clusters")]
mod fixture;
mod gossip;
mod mesh;
mod watch;

use anyhow::Result;
use artifacts_tests::require_fuse;

fn main() -> Result<()> {
    require_fuse()?;
    let rounds = std::env::var("ARTIFACTS_BENCH_ROUNDS").ok().map_or(Ok(100), |text| text.parse::<usize>())?;
    let only = std::env::var("ARTIFACTS_BENCH_ONLY").unwrap_or_default();
    if only.is_empty() || only == "alone" {
        alone::measure_all(rounds)?;
    }
    if only.is_empty() || only.starts_with("mesh") {
        mesh::measure_all(rounds, only.trim_start_matches("mesh").trim_start_matches(':'))?;
    }
    if only.is_empty() || only == "cost" {
        gossip::cost()?;
    }
    Ok(())
}
