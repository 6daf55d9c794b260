use std::fs;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::{Api, NodeProcess, local};
use serde_json::json;

use super::nodes::LIMIT;

#[test]
fn a_node_without_ring_settings_has_nothing_of_a_ring() -> Result<()> {
    local("ring-alone", LIMIT, |scratch| {
        let node = NodeProcess::start(scratch, &json!({}))?;
        let pid = node.process()?.pid();
        let mut udp = String::new();
        for table in ["udp", "udp6"] {
            udp += &fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        }
        let inodes: Vec<&str> = udp.lines().filter_map(|line| line.split_whitespace().nth(9)).collect();
        let mut sockets = 0;
        for descriptor in fs::read_dir(format!("/proc/{pid}/fd"))? {
            let target = fs::read_link(descriptor?.path()).unwrap_or_default();
            let Some(inode) = target.to_str().and_then(|target| target.strip_prefix("socket:[")?.strip_suffix(']')) else { continue };
            sockets += 1;
            ensure!(!inodes.contains(&inode), "the node has a UDP socket");
        }
        ensure!(sockets > 0, "the node has no socket at all");
        ensure!(!node.data().join("ring.json").exists());
        let api = Api::new(&node.url())?;
        let status = api.with_token(&node.admin_token()?).get("/v1/cluster")?;
        ensure!(status["cluster"].is_null() && status["members"].as_array().context("members")?.is_empty(), "{status}");
        api.send("POST", "/internal/v1/status", None)?.expect_error(404, "not_found")
    })
}
