use std::fs;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::now;
use artifacts_tests::{Credential, Mount, mounted};
use rustix::process::Signal;
use serde_json::json;

use crate::fixture::{Cluster, LIMIT, PATIENCE};
use crate::load::{Writer, expect_saved};

/// "Total loss: kill all, delete their disks, start new ones on the bucket."
#[test]
fn all_nodes_and_their_disks_are_lost_and_the_bucket_brings_everything_back() -> Result<()> {
    mounted("cluster-loss", LIMIT, |scratch| {
        Cluster::run(scratch, 3, |cluster| {
            let home = cluster.home(1, 2)?;
            let unused = cluster.ticket(0, &home, "later")?;
            let mount = Mount::new(scratch, "m", &Credential::Ticket(cluster.ticket(0, &home, "t")?))?;
            let writer = Writer::start(mount.path().to_owned());
            artifacts_tests::time::sleep(artifacts_tests::time::Duration::from_secs(2));
            let written = writer.stop()?;
            let before = cluster.api(0, &home.key)?.list("/v1/grants")?;
            mount.agent().signal(Signal::KILL)?;
            mount.tear_down()?;
            for node in &mut cluster.nodes {
                node.kill()?;
                fs::remove_dir_all(node.data())?;
            }
            for node in &mut cluster.nodes {
                node.start_again()?;
            }
            cluster.wait_settled(&[0, 1, 2])?;
            ensure!(cluster.api(2, &home.key)?.list("/v1/grants")? == before);
            let start = now();
            let mount = loop {
                match Mount::new(scratch, &format!("later-{}", start.elapsed().as_millis()), &Credential::Ticket(unused.clone())) {
                    Ok(mount) => break mount,
                    Err(error) if start.elapsed() > PATIENCE => return Err(error).context("no mount after the loss"),
                    Err(_) => {}
                }
            };
            expect_saved(mount.path(), &written)?;
            fs::write(mount.join("new"), "x")?;
            mount.unmount()?;
            let report = cluster.api(0, &home.key)?.post(&format!("/v1/workspaces/{}/fsck", home.workspace), &json!({ "data": true }))?;
            ensure!(report["clean"] == true, "{report:#}");
            Ok(())
        })
    })
}
