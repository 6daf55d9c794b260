use std::fs;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, now, sleep};
use artifacts_tests::{Credential, Mount, S3Server, Scratch, mounted};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::fixture::{Cluster, Home, LIMIT, PATIENCE};
use crate::load::{Writer, Written, expect_saved};

const NODES: usize = 2;
/// Enough that segments are put.
const LARGE_BYTES: usize = 3 << 20;

/// A cluster and what is in it.
struct Original {
    cluster: Cluster,
    blobs: Value,
    home: Home,
    unused: Value,
    grants: Vec<Value>,
    large: Vec<u8>,
    mount: Mount,
}

fn original(scratch: &Arc<Scratch>, server: &S3Server) -> Result<Original> {
    let blobs = server.bucket()?;
    let cluster = Cluster::start_on(scratch, NODES, &blobs, None)?;
    let home = cluster.home(0, 1)?;
    let unused = cluster.ticket(0, &home, "later")?;
    cluster.ticket(0, &home, "revoked")?;
    cluster.api(1, &home.key)?.post("/v1/grants/revoke", &json!({ "tenant_slug": "revoked" }))?;
    let mount = Mount::new(scratch, "original", &Credential::Ticket(cluster.ticket(0, &home, "t")?))?;
    let large: Vec<u8> = (0..LARGE_BYTES).map(|at| (at / 7) as u8).collect();
    fs::write(mount.join("large"), &large)?;
    fs::File::open(mount.join("large"))?.sync_all()?;
    let grants = cluster.api(0, &home.key)?.list("/v1/grants")?;
    Ok(Original { cluster, blobs, home, unused, grants, large, mount })
}

/// New nodes on the copy have everything that was saved, and all of it is whole.
fn expect_restored(scratch: &Arc<Scratch>, copy: &Value, admin: String, original: Original, written: &Written) -> Result<()> {
    let Original { cluster, home, mut unused, grants, large, .. } = original;
    drop(cluster);
    let cluster = Cluster::start_on(scratch, NODES, copy, Some(admin))?;
    for node in 0..NODES {
        ensure!(cluster.api(node, &home.key)?.list("/v1/grants")? == grants);
    }
    // The new nodes are elsewhere, which is all that a ticket of before does not know.
    unused["endpoints"] = json!([cluster.nodes[0].url()]);
    let start = now();
    let mount = loop {
        match Mount::new(scratch, &format!("restored-{}", start.elapsed().as_millis()), &Credential::Ticket(unused.clone())) {
            Ok(mount) => break mount,
            Err(error) if start.elapsed() > PATIENCE => return Err(error).context("no mount of what was restored"),
            Err(_) => {}
        }
    };
    expect_saved(mount.path(), written)?;
    ensure!(fs::read(mount.join("large"))? == large);
    fs::write(mount.join("new"), "written after")?;
    mount.unmount()?;
    let report = cluster.api(1, &home.key)?.post(&format!("/v1/workspaces/{}/fsck", home.workspace), &json!({ "data": true }))?;
    ensure!(report["clean"] == true, "{report:#}");
    Ok(())
}

/// "Backup": all objects are copied while no node runs. "Restore": new nodes on the copy.
#[test]
fn a_copy_of_a_stopped_clusters_bucket_is_the_cluster() -> Result<()> {
    mounted("cluster-backup", LIMIT, |scratch| {
        let Some(server) = S3Server::shared()? else { return Ok(()) };
        let mut original = original(scratch, server)?;
        let admin = original.cluster.nodes[0].admin_token()?;
        let writer = Writer::start(original.mount.path().to_owned());
        sleep(Duration::from_secs(1));
        let written = writer.stop()?;
        ensure!(!written.saved.is_empty() && written.errors.is_empty(), "{:?}", written.errors);
        original.mount.agent().signal(Signal::KILL)?;
        for node in &mut original.cluster.nodes {
            ensure!(node.terminate()?.success());
        }
        let copy = server.copy(&original.blobs)?;
        expect_restored(scratch, &copy, admin, original, &written)
    })
}

/// What a bucket held at one instant, as versioning or a snapshot brings it back, is what the loss of all nodes at that instant
/// leaves. Here the instant is long: every node is frozen while a mount writes.
#[test]
fn what_the_bucket_held_at_one_instant_is_the_cluster_of_then() -> Result<()> {
    mounted("cluster-instant", LIMIT, |scratch| {
        let Some(server) = S3Server::shared()? else { return Ok(()) };
        let original = original(scratch, server)?;
        let admin = original.cluster.nodes[0].admin_token()?;
        let writer = Writer::start(original.mount.path().to_owned());
        sleep(Duration::from_secs(1));
        for node in &original.cluster.nodes {
            node.freeze()?;
        }
        let copy = server.copy(&original.blobs)?;
        for node in &original.cluster.nodes {
            node.process()?.signal(Signal::KILL)?;
        }
        original.mount.agent().signal(Signal::KILL)?;
        let written = writer.stop()?;
        ensure!(!written.saved.is_empty());
        expect_restored(scratch, &copy, admin, original, &written)
    })
}
