use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Result, ensure};
use artifacts_tests::time::{Duration, now, sleep};
use artifacts_tests::{Credential, Mount, mounted};
use serde_json::json;

use crate::fixture::{Cluster, LIMIT};
use crate::load::{Writer, expect_saved};

/// "Graceful stop and rolling restart without an error seen by an API client that keeps calling nor by a mount." The client calls a
/// node that is not the one being restarted, as a load balancer would let it.
#[test]
fn nodes_are_restarted_one_by_one_and_nobody_sees_an_error() -> Result<()> {
    mounted("cluster-rolling", LIMIT, |scratch| {
        Cluster::run(scratch, 3, |cluster| {
            let home = cluster.home(1, 2)?;
            let mount = Mount::new(scratch, "m", &Credential::Ticket(cluster.ticket(0, &home, "t")?))?;
            let writer = Writer::start(mount.path().to_owned());
            let apis = (0..3).map(|node| cluster.api(node, &home.key)).collect::<Result<Vec<_>>>()?;
            let (stop, at) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
            let (stopped, asked, workspace) = (Arc::clone(&stop), Arc::clone(&at), home.workspace.clone());
            let client = std::thread::spawn(move || {
                let (mut calls, mut errors, mut longest) = (0_usize, Vec::new(), Duration::ZERO);
                while !stopped.load(Ordering::SeqCst) {
                    let (api, start) = (&apis[asked.load(Ordering::SeqCst)], now());
                    let path = if calls % 2 == 0 { format!("/v1/workspaces/{workspace}") } else { "/v1/tenants".to_owned() };
                    let reply = if calls % 5 == 4 {
                        api.send("POST", "/v1/tenants", Some(&json!({ "slug": format!("t{calls}") })))
                    } else {
                        api.send("GET", &path, None)
                    };
                    match reply {
                        Ok(reply) if reply.status < 300 => {}
                        other => errors.push(format!("call {calls} {path}: {other:?}")),
                    }
                    calls += 1;
                    longest = longest.max(start.elapsed());
                    sleep(Duration::from_millis(20));
                }
                (calls, errors, longest)
            });
            for node in 0..3 {
                at.store((node + 1) % 3, Ordering::SeqCst);
                sleep(Duration::from_millis(500));
                let start = now();
                let status = cluster.nodes[node].terminate()?;
                ensure!(status.success(), "{status}");
                let stopped_after = start.elapsed();
                cluster.nodes[node].start_again()?;
                cluster.wait_settled(&[0, 1, 2])?;
                println!("n{node} stopped after {stopped_after:?}, all is settled after {:?}", start.elapsed());
            }
            stop.store(true, Ordering::SeqCst);
            let (calls, errors, longest) = client.join().map_err(|_| anyhow::anyhow!("the client panicked"))?;
            let written = writer.stop()?;
            println!("{calls} calls, the longest took {longest:?}; {} files, {:?}", written.saved.len(), written.longest);
            ensure!(errors.is_empty(), "{errors:#?}");
            ensure!(written.errors.is_empty(), "{:?}", written.errors);
            expect_saved(mount.path(), &written)?;
            mount.unmount()
        })
    })
}
