use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, now, wait_until};
use artifacts_tests::{Api, NodeOptions, NodeProcess, Scratch, artifacts_binary, free_udp_address};
use serde_json::{Value, json};

/// Only a guard against hanging: a member is suspected after two seconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// For a whole test.
pub(crate) const LIMIT: Duration = Duration::from_secs(300);

/// A key of the ring: one byte, 32 times.
pub(crate) fn key(byte: u8) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [byte; 32])
}

/// Some nodes of one cluster.
pub(crate) struct Nodes {
    nodes: Vec<NodeProcess>,
    gossip: Vec<SocketAddr>,
    key_file: PathBuf,
}

/// One node, as another shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) name: String,
    pub(crate) live: bool,
    pub(crate) generation: u64,
    pub(crate) phase: String,
}

impl Nodes {
    /// Starts so many nodes. Each tells the others where it is itself, or the address that `advertised` makes of it.
    pub(crate) fn start(scratch: &Arc<Scratch>, count: usize, advertised: impl Fn(usize, SocketAddr) -> SocketAddr) -> Result<Self> {
        let key_file = scratch.join("ring-keys");
        fs::write(&key_file, key(7))?;
        let gossip: Vec<_> = (0..count).map(|_| free_udp_address()).collect::<Result<_>>()?;
        let known: Vec<_> = gossip.iter().enumerate().map(|(index, address)| advertised(index, *address)).collect();
        let mut nodes = Vec::new();
        for index in 0..count {
            let ring = json!({
                "name": "test", "node": format!("n{index}"), "listen": gossip[index], "advertise": known[index],
                "seeds": known, "key_file": key_file,
            });
            let place = Arc::new(Scratch::new(&format!("ring-n{index}"), LIMIT)?);
            nodes.push(NodeProcess::start_with(
                &place,
                NodeOptions { config: json!({ "region": "eu", "ring": ring }), ..NodeOptions::default() },
            )?);
        }
        Ok(Self { nodes, gossip, key_file })
    }

    pub(crate) fn node(&mut self, index: usize) -> &mut NodeProcess {
        &mut self.nodes[index]
    }

    /// Where a node receives datagrams.
    pub(crate) fn gossip(&self, index: usize) -> SocketAddr {
        self.gossip[index]
    }

    /// Replaces the file of keys, which each node reads when it starts.
    pub(crate) fn set_keys(&self, keys: &[u8]) -> Result<()> {
        let lines: Vec<_> = keys.iter().map(|byte| key(*byte)).collect();
        Ok(fs::write(&self.key_file, lines.join("\n"))?)
    }

    /// What a node says of the cluster.
    pub(crate) fn status(&self, index: usize) -> Result<Value> {
        let node = &self.nodes[index];
        Api::new(&node.url())?.with_token(&node.admin_token()?).get("/v1/cluster")
    }

    /// The members as a node shows them.
    pub(crate) fn members(&self, index: usize) -> Result<Vec<Shown>> {
        let status = self.status(index)?;
        let member = |member: &Value| {
            Some(Shown {
                name: member["name"].as_str()?.to_owned(),
                live: member["live"].as_bool()?,
                generation: member["generation"].as_u64()?,
                phase: member["phase"].as_str().unwrap_or("unknown").to_owned(),
            })
        };
        let members = status["members"].as_array().with_context(|| format!("{status}"))?;
        members.iter().map(|value| member(value).with_context(|| format!("{value}"))).collect()
    }

    pub(crate) fn member(&self, at: usize, whom: usize) -> Result<Option<Shown>> {
        Ok(self.members(at)?.into_iter().find(|member| member.name == format!("n{whom}")))
    }

    pub(crate) fn live(&self, at: usize) -> Result<usize> {
        Ok(self.members(at)?.iter().filter(|member| member.live).count())
    }

    /// Waits until each of these nodes counts so many that are alive and serve, and returns how long that took.
    pub(crate) fn wait_serving(&self, at: &[usize], wanted: usize) -> Result<Duration> {
        let start = now();
        wait_until(&format!("{wanted} nodes serve, as seen from {at:?}"), PATIENCE, || {
            for index in at {
                if self.members(*index)?.iter().filter(|member| member.live && member.phase == "serving").count() != wanted {
                    return Ok(false);
                }
            }
            Ok(true)
        })?;
        Ok(start.elapsed())
    }

    /// `artifacts node status`, asked of one node.
    pub(crate) fn status_command(&self, index: usize, arguments: &[&str]) -> Result<String> {
        let node = &self.nodes[index];
        let output = Command::new(artifacts_binary()?)
            .args(["node", "--data"])
            .arg(node.data())
            .arg("status")
            .args(arguments)
            .env("TONBO_API_URL", node.url())
            .env_remove("TONBO_API_KEY")
            .output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }
}
