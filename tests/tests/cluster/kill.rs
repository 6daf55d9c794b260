use std::fs;

use anyhow::{Result, ensure};
use artifacts_tests::time::{Duration, now, sleep, wait_until};
use artifacts_tests::{Credential, Mount, mounted};
use serde_json::json;

use crate::fixture::{Cluster, LIMIT, PATIENCE};
use crate::load::{Writer, expect_saved};

/// "kill -9 of the owner under load: mounts go on within seconds, nothing fsynced is lost."
#[test]
fn mounts_go_on_when_the_owner_is_killed() -> Result<()> {
    mounted("cluster-kill", LIMIT, |scratch| {
        Cluster::run(scratch, 3, |cluster| {
            let home = cluster.home(1, 2)?;
            let mount = Mount::new(scratch, "m", &Credential::Ticket(cluster.ticket(0, &home, "t")?))?;
            let lock = format!("/v1/workspaces/{}/locks/one", home.workspace);
            let wish = json!({ "mode": "exclusive", "ttl_ms": 120_000 });
            let held = cluster.api(0, &home.key)?.post(&format!("{lock}/acquire"), &wish)?;
            let writer = Writer::start(mount.path().to_owned());
            sleep(Duration::from_secs(2));

            cluster.nodes[2].kill()?;
            let start = now();
            wait_until("the mount writes again", PATIENCE, || Ok(fs::write(mount.join("after"), "x").is_ok()))?;
            println!("written again {:?} after the owner was killed", start.elapsed());
            let taken = cluster.wait_settled(&[0, 1])?;
            println!("all shards have owners {:?} later", taken);
            let again = cluster.api(1, &home.key)?.send("POST", &format!("{lock}/acquire"), Some(&wish))?;
            again.expect_error(409, "lock_held")?;
            cluster.api(1, &home.key)?.post(&format!("{lock}/release"), &json!({ "lock_id": held["lock_id"] }))?;
            sleep(Duration::from_secs(1));
            let written = writer.stop()?;
            println!("{} files, the longest took {:?}", written.saved.len(), written.longest);
            ensure!(written.errors.is_empty(), "{:?}", written.errors);
            ensure!(written.saved.len() > 10, "{written:?}");
            expect_saved(mount.path(), &written)?;
            // The node comes back and gets its shards, and nobody notices.
            cluster.nodes[2].start_again()?;
            cluster.wait_settled(&[0, 1, 2])?;
            expect_saved(mount.path(), &written)?;
            mount.unmount()?;
            let report = cluster.api(0, &home.key)?.post(&format!("/v1/workspaces/{}/fsck", home.workspace), &json!({ "data": true }))?;
            ensure!(report["clean"] == true, "{report:#}");
            Ok(())
        })
    })
}
