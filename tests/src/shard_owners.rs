use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use artifacts_core::cluster::Shard;
use serde_json::Value;

use crate::Api;
use crate::time::{Duration, now, wait_until};

/// Which node serves each shard: the number of the one named `nNUMBER`.
pub type ShardOwners = BTreeMap<Shard, usize>;

/// Who serves each of so many shards of a cluster of one region, by the word of the node that `operator` asks.
///
/// # Errors
/// Also while one is served by nobody, by two, or by another node than it should be.
pub fn shard_owners(operator: &Api, shards: u16) -> Result<ShardOwners> {
    let status = operator.get("/v1/cluster")?;
    let told = status["shards"].as_array().context("shards")?;
    let owner = |shard: &Value| {
        let units = shard["units"].as_array().context("units")?;
        ensure!(units.len() == 1 && units[0]["state"] == "serving", "{shard}");
        ensure!(units[0]["node"] == shard["suggested_owner"], "{shard}");
        let name = units[0]["node"].as_str().and_then(|name| name.strip_prefix('n')).context("a node")?;
        Ok((Shard(u16::try_from(shard["shard"].as_u64().context("shard")?)?), name.parse()?))
    };
    let owners: ShardOwners = told.iter().map(owner).collect::<Result<_>>()?;
    ensure!(owners.len() == usize::from(shards), "{status}");
    Ok(owners)
}

/// Waits until these nodes, and no others, serve all shards, by the word of each of them: `owners` asks one. Answers how long that
/// took.
///
/// # Errors
/// If they do not within `patience`.
pub fn wait_settled(nodes: &[usize], patience: Duration, owners: impl Fn(usize) -> Result<ShardOwners>) -> Result<Duration> {
    let start = now();
    let mut last = None;
    let settled = wait_until(&format!("{nodes:?} serve all shards"), patience, || {
        for &asked in nodes {
            match owners(asked) {
                Ok(owners) if owners.values().all(|owner| nodes.contains(owner)) => {}
                other => {
                    last = Some(other);
                    return Ok(false);
                }
            }
        }
        Ok(true)
    });
    settled.with_context(|| format!("last: {last:?}"))?;
    Ok(start.elapsed())
}
