//! A node that hears the others and does not reach the object store.

use std::fs;

use anyhow::{Result, ensure};
use artifacts_tests::time::{Duration, now, sleep, wait_until};
use artifacts_tests::{Credential, Mount, mounted};

use crate::fixture::{Cluster, LIMIT, PATIENCE};
use crate::load::{Writer, expect_saved};

/// It can prove to own nothing, and says so: others take over what it has, and it passes calls and agents on to them.
#[test]
fn an_owner_that_is_cut_off_from_the_object_store_alone_is_replaced() -> Result<()> {
    mounted("stranded", LIMIT, |scratch| {
        Cluster::run_apart(scratch, 3, |cluster| {
            let net = cluster.net()?;
            let near = net.lan.host("near")?;
            let home = cluster.home(2, 2)?;
            let mut ticket = cluster.ticket(0, &home, "t")?;
            // It knows of no other node than the one that is cut off.
            ticket["endpoints"] = serde_json::json!([cluster.nodes[2].url()]);
            let mount = Mount::new_in(&near, scratch, "m", &Credential::Ticket(ticket))?;
            let writer = Writer::start(mount.path().to_owned());
            sleep(Duration::from_secs(1));
            net.lan.cut(&net.nodes[2], &net.s3)?;
            let start = now();
            sleep(Duration::from_secs(3));
            let (before, path) = (mount.join("before"), format!("/v1/workspaces/{}", home.workspace));
            wait_until("the mount goes on while the node is cut off", PATIENCE, || Ok(fs::write(&before, "x").is_ok()))?;
            println!("stranded: written again {:?} after the cut", start.elapsed());
            for node in 0..3 {
                ensure!(cluster.api(node, &home.key)?.get(&path)?["status"] == "active");
            }
            println!("stranded: every node answers {:?} after the cut", start.elapsed());
            let ready = cluster.api(2, "")?.without_token().send("GET", "/readyz", None)?;
            ready.expect_error(503, "unavailable")?;
            ensure!(ready.text.contains("object store"), "{}", ready.text);
            net.lan.restore(&net.nodes[2], &net.s3)?;
            let start = now();
            // Until the node has found out that it reaches the store again, all is settled without it.
            let is_back = || Ok(cluster.owner_of(0, &home).is_ok_and(|owner| owner == 2));
            wait_until("the node has its shards again", PATIENCE, is_back)?;
            cluster.wait_settled(&[0, 1, 2])?;
            println!("stranded: all is settled {:?} after the cut ended", start.elapsed());
            let after = mount.join("after");
            wait_until("the mount goes on with the node", PATIENCE, || Ok(fs::write(&after, "x").is_ok()))?;
            let written = writer.stop()?;
            println!("stranded: {} files saved, {:?}, the longest took {:?}", written.saved.len(), written.errors, written.longest);
            ensure!(!written.saved.is_empty());
            expect_saved(mount.path(), &written)?;
            mount.unmount()
        })
    })
}
