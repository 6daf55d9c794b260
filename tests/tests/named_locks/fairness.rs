use std::thread;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::local;
use artifacts_tests::time::{Duration, now};
use serde_json::json;

use crate::shop::{Shop, WORKSPACE};

const CONTENDERS: usize = 8;
const FOR: Duration = Duration::from_secs(5);

/// One lock, wanted by eight at all times. 12.5 % each would be equal.
#[test]
fn eight_contenders_get_equal_shares() -> Result<()> {
    local("lock-fairness", Duration::from_secs(2 * 60), |scratch| {
        let shop = Shop::open(scratch)?;
        let start = now();
        let contend = |api: artifacts_tests::Api| -> Result<usize> {
            let path = format!("/v1/workspaces/{WORKSPACE}/locks/wanted");
            let mut grants = 0;
            while start.elapsed() < FOR {
                let held = api.post(&format!("{path}/acquire"), &json!({ "mode": "exclusive", "ttl_ms": 10_000, "wait_ms": 30_000 }))?;
                grants += 1;
                api.post(&format!("{path}/release"), &json!({ "lock_id": held["lock_id"] }))?;
            }
            Ok(grants)
        };
        let grants = thread::scope(|scope| {
            let threads: Vec<_> = (0..CONTENDERS).map(|_| scope.spawn(|| contend(shop.lab.api.clone()))).collect();
            threads.into_iter().map(|thread| thread.join().ok().context("a contender panicked")?).collect::<Result<Vec<_>>>()
        })?;
        let all: usize = grants.iter().sum();
        println!("{all} grants: {grants:?}");
        ensure!(all >= CONTENDERS * 20, "only {all} grants in {FOR:?}");
        for share in grants.iter().map(|&grants| grants as f64 / all as f64) {
            ensure!((0.08..=0.18).contains(&share), "a share of {:.1} % of {grants:?}", share * 100.0);
        }
        Ok(())
    })
}
