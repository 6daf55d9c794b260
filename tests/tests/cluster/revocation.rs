use std::fs;
use std::io::ErrorKind;

use anyhow::{Result, ensure};
use artifacts_tests::time::{Duration, now, sleep, wait_until};
use artifacts_tests::{Credential, Mount, mounted};
use serde_json::json;

use crate::fixture::{Cluster, LIMIT, PATIENCE};

/// "A tenant revoked through another node than the workspace's owner ends access within a second."
#[test]
fn a_revocation_through_any_node_ends_access_at_once() -> Result<()> {
    mounted("cluster-revoke", LIMIT, |scratch| {
        Cluster::run(scratch, 3, |cluster| {
            let home = cluster.home(1, 2)?;
            // Most of them through the owner, which answers before anything else was said about the account since the mount came.
            for (round, node) in [0, 1, 2, 2, 2, 2, 2, 2].into_iter().enumerate() {
                let tenant = format!("t{round}");
                let mount = Mount::new(scratch, &tenant, &Credential::Ticket(cluster.ticket(0, &home, &tenant)?))?;
                fs::write(mount.join("file"), "x")?;
                let (start, body) = (now(), json!({ "tenant_slug": tenant }));
                let report = cluster.api(node, &home.key)?.post("/v1/grants/revoke", &body)?;
                let told = start.elapsed();
                wait_until("access ends", Duration::from_secs(1), || {
                    Ok(fs::read(mount.join("file")).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied))
                })?;
                println!("through n{node}: answered after {told:?}, {}", report["sessions"]);
                ensure!(report["sessions"] == json!({ "matched": 1, "fenced": 1, "confirmed": 1 }), "{report}");
                mount.tear_down()?;
            }
            Ok(())
        })
    })
}

/// Everything of an account ends in one call, through whichever node, and what is granted afterwards stands.
#[test]
fn everything_is_revoked_through_any_node() -> Result<()> {
    mounted("cluster-everything", LIMIT, |scratch| {
        Cluster::run(scratch, 3, |cluster| {
            let home = cluster.home(1, 2)?;
            for node in 0..3 {
                let mount = |name: &str| -> Result<Mount> {
                    let name = format!("{name}{node}");
                    Mount::new(scratch, &name, &Credential::Ticket(cluster.ticket(0, &home, &name)?))
                };
                let api = cluster.api(node, &home.key)?;
                let other = api.post("/v1/api-keys", &json!({}))?;
                let mounts = [mount("one")?, mount("two")?];
                let start = now();
                let answer = api.post("/v1/account/revoke-everything", &json!({}))?;
                println!("through n{node}: answered after {:?}, {}", start.elapsed(), answer["sessions"]);
                ensure!(answer["sessions"]["matched"] == answer["sessions"]["fenced"], "{answer}");
                for mount in &mounts {
                    wait_until("access ends", Duration::from_secs(1), || {
                        Ok(fs::read_dir(mount.path()).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied))
                    })?;
                }
                mounts.into_iter().try_for_each(Mount::tear_down)?;
                let secret = other["key"].as_str().unwrap_or_default();
                for asked in 0..3 {
                    let reply = cluster.api(asked, secret)?.send("GET", "/v1/whoami", None)?;
                    ensure!(reply.status == 401, "n{asked} takes a key that was revoked: {}", reply.text);
                }
                mount("later")?.unmount()?;
            }
            let api = cluster.api(0, &home.key)?;
            for kind in ["session_fenced", "session_out"] {
                wait_until(&format!("the trail has a {kind} of each"), PATIENCE, || {
                    Ok(api.list(&format!("/v1/audit?kind={kind}"))?.iter().filter(|entry| entry["revoked"] == "everything").count() == 6)
                })?;
            }
            Ok(())
        })
    })
}

/// The owner of the account cannot be asked: what it may have revoked nobody knows, so nobody is vouched for. When it has another
/// owner, mounts go on.
#[test]
fn a_mount_waits_while_nobody_knows_what_was_revoked() -> Result<()> {
    mounted("cluster-standing", LIMIT, |scratch| {
        Cluster::run(scratch, 3, |cluster| {
            let home = cluster.home(1, 2)?;
            let mount = Mount::new(scratch, "m", &Credential::Ticket(cluster.ticket(0, &home, "t")?))?;
            fs::write(mount.join("file"), "x")?;
            sleep(Duration::from_secs(1));
            cluster.nodes[1].freeze()?;
            let start = now();
            // Frozen for a moment only, and nothing may be read before somebody can say that the right stands.
            sleep(Duration::from_millis(2_200));
            let (file, asked) = (mount.join("file"), now());
            let read = fs::read(&file);
            println!("read after {:?} of waiting, {:?} after the account's owner was frozen", asked.elapsed(), start.elapsed());
            ensure!(read.is_ok(), "{read:?}");
            ensure!(asked.elapsed() > Duration::from_millis(500), "read while nobody could say that it was allowed");
            cluster.nodes[1].thaw()?;
            cluster.wait_settled(&[0, 1, 2])?;
            wait_until("it is read", PATIENCE, || Ok(fs::read(&file).is_ok()))?;
            mount.unmount()
        })
    })
}
