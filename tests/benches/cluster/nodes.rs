use std::fs;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, wait_until};
use artifacts_tests::{Api, Credential, Mount, NodeOptions, NodeProcess, S3Server, Scratch, free_udp_address};
use serde_json::json;

use crate::proxy::Proxy;

const NODES: usize = 3;
const PATIENCE: Duration = Duration::from_secs(120);
/// For everything.
pub(crate) const LIMIT: Duration = Duration::from_secs(2 * 60 * 60);
const HANDLE: &str = "acme";

/// Three nodes whose bucket is behind a proxy, and an account.
pub(crate) struct Nodes {
    pub(crate) proxy: Proxy,
    api: Api,
    scratch: Arc<Scratch>,
    nodes: Vec<NodeProcess>,
    _places: Vec<Arc<Scratch>>,
}

impl Nodes {
    /// Starts them and waits until every shard has its owner; `None` where there is no S3 server.
    pub(crate) fn start(scratch: &Arc<Scratch>) -> Result<Option<Self>> {
        let Some(server) = S3Server::shared()? else { return Ok(None) };
        let proxy = Proxy::start(server.endpoint().trim_start_matches("http://"))?;
        let mut blobs = server.bucket()?;
        blobs["s3"]["endpoint"] = json!(proxy.url());
        let key_file = scratch.join("ring-keys");
        fs::write(&key_file, base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [7; 32]))?;
        let gossip: Vec<_> = (0..NODES).map(|_| free_udp_address()).collect::<Result<_>>()?;
        let (mut nodes, mut places) = (Vec::new(), Vec::new());
        for (index, address) in gossip.iter().enumerate() {
            let config = json!({
                "store": "slate", "blobs": blobs, "region": "eu", "rate_limit": 0,
                "ring": { "name": "bench", "node": format!("n{index}"), "listen": address, "seeds": gossip, "key_file": key_file },
            });
            let place = Arc::new(Scratch::new(&format!("bench-n{index}"), LIMIT)?);
            let options = NodeOptions { config, ..NodeOptions::default() };
            nodes.push(NodeProcess::start_with(&place, options).inspect_err(|_| place.show_logs())?);
            places.push(place);
        }
        let admin = Api::new(&nodes[0].url())?.with_token(&nodes[0].admin_token()?);
        wait_until("each shard has its owner", PATIENCE, || Ok(all_owned(&admin).is_ok()))?;
        let made = admin.post("/v1/accounts", &json!({ "handle": HANDLE }))?;
        let api = admin.with_token(made["api_key"]["key"].as_str().context("no key for the new account")?);
        Ok(Some(Self { proxy, api, scratch: Arc::clone(scratch), nodes, _places: places }))
    }

    /// A new workspace's address.
    pub(crate) fn workspace(&self, name: &str) -> Result<String> {
        self.api.post("/v1/workspaces", &json!({ "name": name }))?;
        Ok(format!("{HANDLE}/{name}"))
    }

    /// Mounts a workspace on `mnt/NAME`.
    pub(crate) fn mount(&self, name: &str, workspace: &str) -> Result<Mount> {
        let body = json!({ "workspace": workspace, "mode": "rw", "ttl_seconds": 24 * 60 * 60 });
        let made = self.api.post(&format!("/v1/tenants/bench/runtimes/{name}/mount-tickets"), &body)?;
        Mount::new(&self.scratch, name, &Credential::Ticket(made["mount_ticket"].clone()))
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.nodes.len()
    }
}

fn all_owned(admin: &Api) -> Result<()> {
    let status = admin.get("/v1/cluster")?;
    for shard in status["shards"].as_array().context("shards")? {
        let units = shard["units"].as_array().context("units")?;
        ensure!(units.len() == 1 && units[0]["state"] == "serving" && units[0]["node"] == shard["suggested_owner"], "{shard}");
    }
    Ok(())
}
