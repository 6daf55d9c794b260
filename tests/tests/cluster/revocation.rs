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
