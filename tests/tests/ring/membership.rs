use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::local;
use artifacts_tests::time::{now, wait_until};
use serde_json::Value;

use super::nodes::{LIMIT, Nodes, PATIENCE};

#[test]
fn nodes_find_each_other_and_any_of_them_shows_all() -> Result<()> {
    local("ring-status", LIMIT, |scratch| {
        let nodes = Nodes::start(scratch, 3, |_, address| address)?;
        println!("three nodes serve after {:?}", nodes.wait_serving(&[0, 1, 2], 3)?);
        let mut shards = BTreeSet::new();
        for index in 0..3 {
            let status: Value = serde_json::from_str(&nodes.status_command(index, &["--format", "json"])?)?;
            for member in status["members"].as_array().context("members")? {
                ensure!(member["sees"] == 3 && member["problem"].is_null(), "{member}");
                ensure!(member["protocol"]["min"].is_u64() && member["release"].is_string() && member["region"] == "eu", "{member}");
            }
            let owners: BTreeSet<_> =
                status["shards"].as_array().context("shards")?.iter().map(|shard| shard["suggested_owner"].to_string()).collect();
            ensure!(owners.len() == 3, "{owners:?}");
            shards.insert(status["shards"].to_string());
        }
        ensure!(shards.len() == 1, "nodes disagree who should own what");
        let text = nodes.status_command(1, &[])?;
        ensure!(text.contains("SHOULD OWN") && text.contains("serving") && text.contains("n2"), "{text}");
        Ok(())
    })
}

#[test]
fn who_is_killed_is_missed_and_comes_back_as_somebody_newer() -> Result<()> {
    local("ring-kill", LIMIT, |scratch| {
        let mut nodes = Nodes::start(scratch, 3, |_, address| address)?;
        nodes.wait_serving(&[0, 1, 2], 3)?;
        let before = nodes.member(0, 2)?.context("n2")?;
        nodes.node(2).kill()?;
        println!("missed after {:?}", nodes.wait_serving(&[0, 1], 2)?);
        nodes.node(2).start_again()?;
        println!("back after {:?}", nodes.wait_serving(&[0, 1, 2], 3)?);
        let after = nodes.member(0, 2)?.context("n2")?;
        ensure!(after.generation > before.generation, "{before:?} {after:?}");
        Ok(())
    })
}

#[test]
fn who_hangs_is_missed_and_joins_anew_when_it_goes_on() -> Result<()> {
    local("ring-freeze", LIMIT, |scratch| {
        let mut nodes = Nodes::start(scratch, 3, |_, address| address)?;
        nodes.wait_serving(&[0, 1, 2], 3)?;
        let before = nodes.member(0, 2)?.context("n2")?;
        nodes.node(2).freeze()?;
        println!("missed after {:?}", nodes.wait_serving(&[0, 1], 2)?);
        nodes.node(2).thaw()?;
        let start = now();
        for at in 0..3 {
            wait_until("it is back in a later life", PATIENCE, || {
                Ok(nodes.member(at, 2)?.is_some_and(|member| member.live && member.generation > before.generation) && nodes.live(at)? == 3)
            })?;
        }
        println!("back after {:?}", start.elapsed());
        Ok(())
    })
}

#[test]
fn who_stops_in_good_order_hands_over_first() -> Result<()> {
    local("ring-leave", LIMIT, |scratch| {
        let mut nodes = Nodes::start(scratch, 3, |_, address| address)?;
        nodes.wait_serving(&[0, 1, 2], 3)?;
        let process = nodes.node(2).process()?;
        process.signal(rustix::process::Signal::TERM)?;
        // It leaves before it is gone: the others see it alive, and give it nothing.
        wait_until("it is leaving", PATIENCE, || Ok(nodes.member(0, 2)?.is_some_and(|member| member.live && member.phase == "leaving")))?;
        let status = nodes.status(0)?;
        ensure!(!status["shards"].to_string().contains("n2"), "{status}");
        process.wait_gone(PATIENCE)?;
        nodes.wait_serving(&[0, 1], 2)?;
        Ok(())
    })
}
