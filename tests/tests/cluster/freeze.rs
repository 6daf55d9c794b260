use std::fs;

use anyhow::{Result, ensure};
use artifacts_tests::time::{Duration, now, sleep, wait_until};
use artifacts_tests::{Credential, Mount, mounted};
use serde_json::json;

use crate::fixture::{Cluster, LIMIT, PATIENCE};
use crate::load::{Writer, expect_saved};

/// "SIGSTOP of the owner and thaw: it answers nothing stale."
#[test]
fn an_owner_that_was_frozen_answers_nothing_stale() -> Result<()> {
    mounted("cluster-freeze", LIMIT, |scratch| {
        Cluster::run(scratch, 3, |cluster| {
            let home = cluster.home(1, 2)?;
            let mount = Mount::new(scratch, "m", &Credential::Ticket(cluster.ticket(0, &home, "t")?))?;
            let writer = Writer::start(mount.path().to_owned());
            sleep(Duration::from_secs(1));
            cluster.nodes[2].freeze()?;
            let start = now();
            wait_until("the mount writes again", PATIENCE, || Ok(fs::write(mount.join("after"), "x").is_ok()))?;
            println!("written again {:?} after the owner was frozen", start.elapsed());
            cluster.wait_settled(&[0, 1])?;
            let lock = format!("/v1/workspaces/{}/locks/one/acquire", home.workspace);
            let wish = json!({ "mode": "exclusive", "ttl_ms": 120_000 });
            cluster.api(0, &home.key)?.post(&lock, &wish)?;

            cluster.nodes[2].thaw()?;
            // Asked at once, it does not know of the lock if it answers by itself.
            for _ in 0..20 {
                let reply = cluster.api(2, &home.key)?.send("POST", &lock, Some(&wish))?;
                ensure!(matches!((reply.status, reply.code()), (409, "lock_held") | (503, _)), "{reply:?}");
                let listed = cluster.api(2, &home.key)?.send("GET", &format!("/v1/workspaces/{}/locks", home.workspace), None)?;
                if listed.status == 200 {
                    ensure!(listed.success()?["items"].as_array().is_some_and(|locks| locks.len() == 1));
                }
            }
            cluster.wait_settled(&[0, 1, 2])?;
            let written = writer.stop()?;
            println!("{} files, the longest took {:?}", written.saved.len(), written.longest);
            ensure!(written.errors.is_empty(), "{:?}", written.errors);
            expect_saved(mount.path(), &written)?;
            mount.unmount()
        })
    })
}
