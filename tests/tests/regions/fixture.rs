use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, wait_until};
use artifacts_tests::{Api, NodeOptions, NodeProcess, S3Server, Scratch, artifacts_binary, free_udp_address};
use serde_json::{Value, json};

/// Only a guard against hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
/// For a whole test.
pub(crate) const LIMIT: Duration = Duration::from_secs(420);
/// The nodes of each region.
pub(crate) const EU: [usize; 2] = [0, 1];
pub(crate) const US: [usize; 2] = [2, 3];
pub(crate) const ALL: [usize; 4] = [0, 1, 2, 3];
/// Not the same in both, so that nobody takes the one for the other.
const SHARDS: [(&str, u16); 2] = [("eu", 4), ("us", 6)];

/// The nodes of both regions.
pub(crate) struct World {
    pub(crate) nodes: Vec<NodeProcess>,
    places: Vec<Arc<Scratch>>,
    admin: String,
    ground: Ground,
}

/// What nodes are started from.
struct Ground {
    key_file: PathBuf,
    gossip: Vec<SocketAddr>,
    buckets: Vec<Value>,
}

impl Ground {
    fn config(&self, name: &str, listen: SocketAddr, bucket: usize, region: &str, regions: &[&str]) -> Value {
        json!({
            "store": "slate", "blobs": self.buckets[bucket], "region": region, "cluster": { "shards": SHARDS[bucket].1 },
            "rate_limit": 0, "session_lease_ms": 60_000,
            "ring": {
                "name": "test", "node": name, "listen": listen, "seeds": self.gossip, "key_file": self.key_file, "regions": regions,
            },
        })
    }
}

/// The region of a node.
pub(crate) fn region(node: usize) -> &'static str {
    SHARDS[node / 2].0
}

impl World {
    /// Starts all nodes; `None` where there is no S3 server.
    fn start(scratch: &Arc<Scratch>) -> Result<Option<Self>> {
        let Some(server) = S3Server::shared()? else { return Ok(None) };
        let key_file = scratch.join("ring-keys");
        fs::write(&key_file, base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [7; 32]))?;
        let gossip: Vec<_> = ALL.iter().map(|_| free_udp_address()).collect::<Result<_>>()?;
        let (mut nodes, mut places) = (Vec::new(), Vec::new());
        let buckets = vec![server.bucket()?, server.bucket()?];
        let ground = Ground { key_file, gossip, buckets };
        for (index, address) in ground.gossip.iter().enumerate() {
            let names = SHARDS.map(|(name, _)| name);
            let config = ground.config(&format!("n{index}"), *address, index / 2, region(index), &names);
            let place = Arc::new(Scratch::new(&format!("regions-n{index}"), LIMIT)?);
            let options = NodeOptions { config, ..NodeOptions::default() };
            nodes.push(NodeProcess::start_with(&place, options).inspect_err(|_| place.show_logs())?);
            places.push(place);
        }
        let admin = nodes.first().context("no nodes")?.admin_token()?;
        let world = Self { nodes, places, admin, ground };
        world.wait_settled(&ALL)?;
        Ok(Some(world))
    }

    /// Starts a node of its own mind: with the bucket of this node, and these words about regions. Or what it says instead.
    pub(crate) fn start_other(&self, bucket_of: usize, region: &str, regions: &[&str]) -> Result<Result<NodeProcess, String>> {
        let config = self.ground.config("other", free_udp_address()?, bucket_of / 2, region, regions);
        let place = Arc::new(Scratch::new("regions-other", LIMIT)?);
        match NodeProcess::start_with(&place, NodeOptions { config, ..NodeOptions::default() }) {
            Ok(node) => Ok(Ok(node)),
            Err(_) => Ok(Err(fs::read_to_string(place.join("logs/node.log"))?)),
        }
    }

    /// Runs a test in it, and shows what the nodes logged if it fails.
    pub(crate) fn run(scratch: &Arc<Scratch>, body: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let Some(mut world) = Self::start(scratch)? else { return Ok(()) };
        let outcome = body(&mut world);
        if outcome.is_err() {
            world.places.iter().for_each(|place| place.show_logs());
        }
        outcome
    }

    /// A client of one node, with a token.
    pub(crate) fn api(&self, node: usize, token: &str) -> Result<Api> {
        Ok(Api::new(&self.nodes[node].url())?.with_token(token))
    }

    /// The operator, with the token of the first region.
    pub(crate) fn admin(&self, node: usize) -> Result<Api> {
        self.api(node, &self.admin)
    }

    /// Whether all shards of the regions of these nodes are served by them, by the word of each.
    fn is_settled(&self, nodes: &[usize]) -> Result<()> {
        for asked in nodes {
            let status = self.admin(*asked)?.get("/v1/cluster")?;
            for region in nodes.iter().map(|node| region(*node)) {
                let shards = status["shards"].as_array().context("shards")?;
                let of_region: Vec<&Value> = shards.iter().filter(|shard| shard["region"] == region).collect();
                let count = SHARDS.iter().find(|(name, _)| *name == region).map(|(_, count)| usize::from(*count));
                ensure!(Some(of_region.len()) == count, "{region}: {} shards", of_region.len());
                for shard in of_region {
                    let units = shard["units"].as_array().context("units")?;
                    ensure!(units.len() == 1 && units[0]["state"] == "serving", "{shard}");
                    ensure!(units[0]["node"] == shard["suggested_owner"], "{shard}");
                    ensure!(nodes.iter().any(|node| units[0]["node"] == format!("n{node}")), "{shard}");
                }
            }
        }
        Ok(())
    }

    /// Waits until these nodes, and no others, serve all shards of their regions.
    pub(crate) fn wait_settled(&self, nodes: &[usize]) -> Result<()> {
        let mut last = None;
        let settled = wait_until(&format!("{nodes:?} serve all shards"), PATIENCE, || match self.is_settled(nodes) {
            Ok(()) => Ok(true),
            Err(error) => {
                last = Some(error);
                Ok(false)
            }
        });
        settled.with_context(|| format!("last: {last:?}"))
    }

    /// Kills nodes as a region is lost, and waits until the others know.
    pub(crate) fn lose(&mut self, lost: &[usize], others: &[usize]) -> Result<()> {
        for node in lost {
            self.nodes[*node].kill()?;
        }
        let name = lost.first().map(|node| region(*node)).context("nobody is lost")?;
        wait_until("the region is missed", PATIENCE, || {
            let mut live = Vec::new();
            for node in others {
                let status = self.admin(*node)?.get("/v1/cluster")?;
                let regions = status["regions"].as_array().context("regions")?;
                live.extend(regions.iter().filter(|region| region["name"] == name).map(|region| region["live"].clone()));
            }
            Ok(live.len() == others.len() && live.iter().all(|live| *live == 0))
        })
    }

    /// Starts nodes again that were lost, and waits until everything is served.
    pub(crate) fn bring_back(&mut self, lost: &[usize]) -> Result<()> {
        for node in lost {
            self.nodes[*node].start_again()?;
        }
        self.wait_settled(&ALL)
    }

    /// `artifacts node status`, asked of a node that has an admin token.
    pub(crate) fn status_command(&self, node: usize) -> Result<String> {
        let node = &self.nodes[node];
        let mut command = Command::new(artifacts_binary()?);
        command.args(["node", "--data"]).arg(node.data()).arg("status").env("TONBO_API_URL", node.url()).env_remove("TONBO_API_KEY");
        let output = command.output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Makes an account in a region through a node, and gives its key.
    pub(crate) fn account(&self, node: usize, handle: &str, region: &str) -> Result<String> {
        let made = self.admin(node)?.post("/v1/accounts", &json!({ "handle": handle, "region": region }))?;
        ensure!(made["account"]["region"] == region, "{made}");
        Ok(made["api_key"]["key"].as_str().context("key")?.to_owned())
    }

    /// A ticket for ten minutes, made through one node.
    pub(crate) fn ticket(&self, node: usize, key: &str, workspace: &str, tenant: &str) -> Result<Value> {
        let body = json!({ "workspace": workspace, "mode": "rw", "ttl_seconds": 600 });
        Ok(self.api(node, key)?.post(&format!("/v1/tenants/{tenant}/runtimes/r/mount-tickets"), &body)?["mount_ticket"].clone())
    }
}
