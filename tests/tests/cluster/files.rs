use anyhow::{Result, ensure};
use artifacts_tests::mounted;
use serde_json::json;

use crate::fixture::{Cluster, LIMIT};

/// More than a node holds of a call that it passes on.
const LARGE: usize = 20 << 20;

/// A file is the same at every node, and its content streams through those that do not own the workspace.
#[test]
fn files_and_forks_are_the_same_at_every_node() -> Result<()> {
    mounted("cluster-files", LIMIT, |scratch| {
        Cluster::run(scratch, 3, |cluster| {
            let home = cluster.home(1, 2)?;
            let files = format!("/v1/workspaces/{}/files", home.workspace);
            let ticket = cluster.ticket(0, &home, "t")?;
            let token = ticket["token"].as_str().unwrap_or_default();
            for node in 0..3 {
                let content: String = (0..LARGE / 8).map(|number| format!("{:07x}{node}", number & 0xfff_ffff)).collect();
                let bearer = if node == 0 { token } else { &home.key };
                let body = ("application/octet-stream", content.clone().into_bytes());
                let put = cluster.api(node, bearer)?.send_bytes("PUT", &format!("{files}/f{node}"), &[], Some(body))?;
                ensure!(put.status == 201, "{} {}", put.status, put.text);
                for other in 0..3 {
                    let got = cluster.api(other, &home.key)?.send("GET", &format!("{files}/f{node}"), None)?;
                    ensure!(got.status == 200 && got.text == content, "node {other} gives {} bytes", got.text.len());
                    ensure!(cluster.api(other, token)?.list(&files)?.len() == node + 1, "a list of node {other} is not complete");
                }
            }
            for node in 0..3 {
                let api = cluster.api(node, &home.key)?;
                let fork = api.post(&format!("/v1/workspaces/{}/fork", home.workspace), &json!({ "name": format!("fork{node}") }))?;
                ensure!(fork["usage"]["bytes"] == 3 * LARGE, "{fork}");
                let address = format!("{}/fork{node}", home.handle);
                let report = api.post(&format!("/v1/workspaces/{address}/fsck"), &json!({ "data": true }))?;
                ensure!(report["clean"] == true && report["objects"] == 0, "{report}");
                let moved = json!({ "from": "f0", "to": format!("g{node}") });
                let path = format!("/v1/workspaces/{address}/files");
                api.post(&format!("{path}/move"), &moved)?;
                ensure!(cluster.api((node + 1) % 3, &home.key)?.send("DELETE", &format!("{path}/f1"), None)?.status == 204);
                ensure!(api.list(&path)?.len() == 2 && api.list(&files)?.len() == 3);
            }
            Ok(())
        })
    })
}
