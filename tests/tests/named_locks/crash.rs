use std::thread;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::local;
use artifacts_tests::time::{Duration, now, sleep};
use serde_json::json;

use crate::shop::{Shop, expect_code, token};

/// `kill -9` of the node: what is held is held until its time is over, and no token comes twice.
#[test]
fn a_lock_outlives_the_node() -> Result<()> {
    local("lock-crash", Duration::from_secs(2 * 60), |scratch| {
        let mut shop = Shop::open(scratch)?;
        let mut greatest = 0;
        let held = shop.acquire("deploy", &json!({ "ttl_ms": 6_000, "note": "release 42" }))?.success()?;
        let since = now();
        for round in 0..3 {
            for lock in ["a", "b"] {
                let other = shop.acquire(lock, &json!({}))?.success()?;
                ensure!(token(&other)? > greatest, "round {round}: token {} after {greatest}", token(&other)?);
                greatest = token(&other)?;
                shop.release(lock, &other)?;
            }
            shop.lab.node.kill()?;
            shop.lab.node.start_again()?;
        }
        let refused = shop.acquire("deploy", &json!({}))?;
        ensure!(since.elapsed() < Duration::from_secs(6), "the machine is too slow for this test");
        refused.expect_error(409, "lock_held")?;
        ensure!(refused.text.contains("release 42"), "{}", refused.text);
        for lock in ["a", "b"] {
            ensure!(shop.listed(lock)?.is_null(), "what was released is held again");
        }
        let next = shop.acquire("deploy", &json!({ "wait_ms": 20_000 }))?.success()?;
        let waited = since.elapsed();
        ensure!(waited >= Duration::from_millis(5_900) && waited < Duration::from_secs(9), "it ran out after {waited:?}");
        ensure!(token(&next)? > greatest && token(&next)? > token(&held)?, "tokens do not grow");
        shop.release("deploy", &next)
    })
}

/// A command that waits for its lock waits on when the node dies and comes back.
#[test]
fn whoever_waits_waits_on_when_the_node_comes_back() -> Result<()> {
    local("lock-wait", Duration::from_secs(2 * 60), |scratch| {
        let mut shop = Shop::open(scratch)?;
        let held = shop.acquire("deploy", &json!({ "ttl_ms": 60_000 }))?.success()?;
        let waiting = shop.start(&["run", "deploy", "-w", "project", "--", "echo", "done"])?;
        shop.wait_for("deploy", 1, 1)?;
        shop.lab.node.kill()?;
        sleep(Duration::from_millis(1_500));
        shop.lab.node.start_again()?;
        shop.wait_for("deploy", 1, 1)?;
        shop.release("deploy", &held)?;
        let output = waiting.wait_with_output()?;
        expect_code(&output, 0)?;
        ensure!(output.stdout == b"done\n", "{output:?}");
        shop.wait_free("deploy", Duration::from_secs(5))
    })
}

/// The node ends in good order though somebody waits for a lock and somebody watches, and does not keep them waiting.
#[test]
fn the_node_stops_though_somebody_waits() -> Result<()> {
    local("lock-stop", Duration::from_secs(2 * 60), |scratch| {
        let mut shop = Shop::open(scratch)?;
        shop.acquire("deploy", &json!({ "ttl_ms": 60_000 }))?.success()?;
        let api = shop.lab.api.clone();
        let watch = shop.start(&["watch", "-w", "project"])?;
        let waiting = thread::spawn(move || {
            let body = json!({ "mode": "exclusive", "ttl_ms": 1_000, "wait_ms": 50_000 });
            api.send("POST", "/v1/workspaces/acme/project/locks/deploy/acquire", Some(&body))
        });
        shop.wait_for("deploy", 1, 1)?;
        let start = now();
        let status = shop.lab.node.terminate()?;
        ensure!(status.success() && start.elapsed() < Duration::from_secs(5), "{status} after {:?}", start.elapsed());
        waiting.join().ok().context("the waiter panicked")??.expect_error(503, "unavailable")?;
        let mut watch = watch;
        watch.kill()?;
        watch.wait()?;
        Ok(())
    })
}
