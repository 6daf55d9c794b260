use std::fs;
use std::thread;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, now};
use artifacts_tests::{Api, Mount, mounted};
use serde_json::json;

use crate::shop::{Shop, WORKSPACE};

const MOUNTS: usize = 4;
const TIMES: usize = 1_000;

/// Reads, adds one and writes, each time under the lock. A read that is older than the last write would lose one.
fn count(api: &Api, mount: &Mount) -> Result<()> {
    let path = format!("/v1/workspaces/{WORKSPACE}/locks/counter");
    let body = json!({ "mode": "exclusive", "ttl_ms": 30_000, "wait_ms": 50_000 });
    for _ in 0..TIMES {
        let held = api.post(&format!("{path}/acquire"), &body)?;
        let file = mount.join("counter");
        let number: usize = fs::read_to_string(&file)?.parse()?;
        fs::write(&file, (number + 1).to_string())?;
        api.post(&format!("{path}/release"), &json!({ "lock_id": held["lock_id"] }))?;
    }
    Ok(())
}

#[test]
fn four_mounts_count_under_one_named_lock() -> Result<()> {
    mounted("lock-counter", Duration::from_secs(5 * 60), |scratch| {
        let shop = Shop::open(scratch)?;
        let mut mounts = Vec::new();
        for index in 0..MOUNTS {
            let tenant = format!("tenant-{index}");
            let ticket = shop.lab.ticket(&tenant, "runtime", WORKSPACE, "rw")?;
            let api = shop.lab.api.with_token(ticket["token"].as_str().context("no token")?);
            mounts.push((api, shop.lab.mount(&format!("mount-{index}"), WORKSPACE)?));
        }
        fs::write(mounts[0].1.join("counter"), "0")?;
        let start = now();
        thread::scope(|scope| {
            let counting: Vec<_> = mounts.iter().map(|(api, mount)| scope.spawn(move || count(api, mount))).collect();
            counting.into_iter().try_for_each(|thread| thread.join().ok().context("a thread panicked")?)
        })?;
        println!("{} increments under one lock in {:?}", MOUNTS * TIMES, start.elapsed());
        for (_, mount) in &mounts {
            let counted = fs::read_to_string(mount.join("counter"))?;
            ensure!(counted == (MOUNTS * TIMES).to_string(), "{counted} were counted");
        }
        mounts.into_iter().try_for_each(|(_, mount)| mount.unmount())
    })
}
