use std::fs;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use artifacts_core::cluster::{Shard, ShardMap};
use artifacts_core::{AccountId, WorkspaceId};
use artifacts_tests::time::Duration;
use artifacts_tests::{
    Api, Credential, Host, Lan, Mount, NodeOptions, NodeProcess, S3Server, Scratch, ShardOwners, shard_owners, wait_settled,
};
use serde_json::{Value, json};

pub(crate) const NODES: usize = 3;
/// Machines with mounts on them.
pub(crate) const CAMPS: usize = 4;
const SHARDS: u16 = 8;
const GOSSIP_PORT: u16 = 7_701;
/// Only a guard against hanging.
const PATIENCE: Duration = Duration::from_secs(120);
const HANDLE: &str = "acme";
const WORKSPACE: &str = "shared";

/// A cluster in a network, with one workspace.
pub(crate) struct Site {
    pub(crate) nodes: Vec<NodeProcess>,
    pub(crate) network: Network,
    pub(crate) key: String,
    places: Vec<Arc<Scratch>>,
    scratch: Arc<Scratch>,
    admin: String,
    account: Shard,
    workspace: Shard,
    tickets: u32,
    _server: S3Server,
}

/// The machines.
pub(crate) struct Network {
    pub(crate) lan: Lan,
    pub(crate) store: Host,
    pub(crate) nodes: Vec<Host>,
    pub(crate) camps: Vec<Host>,
}

impl Network {
    fn new() -> Result<Option<Self>> {
        let Some(lan) = Lan::new()? else { return Ok(None) };
        let store = lan.host("s3")?;
        let nodes = (0..NODES).map(|number| lan.host(&format!("n{number}"))).collect::<Result<_>>()?;
        let camps = (0..CAMPS).map(|number| lan.host(&format!("c{number}"))).collect::<Result<_>>()?;
        Ok(Some(Self { lan, store, nodes, camps }))
    }
}

impl Site {
    /// Starts it; `None` where there are no namespaces or no S3 server.
    pub(crate) fn start(scratch: &Arc<Scratch>, limit: Duration) -> Result<Option<Self>> {
        let Some(network) = Network::new()? else { return Ok(None) };
        let Some(server) = S3Server::start_in(&network.store)? else { return Ok(None) };
        let blobs = server.bucket()?;
        let key_file = scratch.join("ring-keys");
        fs::write(&key_file, base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [7; 32]))?;
        let gossip: Vec<String> = network.nodes.iter().map(|host| format!("{}:{GOSSIP_PORT}", host.address())).collect();
        let (mut nodes, mut places) = (Vec::new(), Vec::new());
        for (number, (host, address)) in network.nodes.iter().zip(&gossip).enumerate() {
            let config = json!({
                "store": "slate", "blobs": blobs, "region": "eu", "cluster": { "shards": SHARDS }, "rate_limit": 0,
                "ring": {
                    "name": "test", "node": format!("n{number}"), "listen": address, "seeds": gossip, "key_file": key_file,
                },
            });
            let place = Arc::new(Scratch::new(&format!("failover-n{number}"), limit)?);
            let options = NodeOptions { config, host: Some(host.clone()), ..NodeOptions::default() };
            nodes.push(NodeProcess::start_with(&place, options).inspect_err(|_| place.show_logs())?);
            places.push(place);
        }
        let admin = nodes.first().context("no nodes")?.admin_token()?;
        let (key, account, workspace) = (String::new(), Shard(0), Shard(0));
        let scratch = Arc::clone(scratch);
        let mut site = Self { nodes, network, key, places, scratch, admin, account, workspace, tickets: 0, _server: server };
        site.wait_settled(&[0, 1, 2])?;
        site.furnish()?;
        Ok(Some(site))
    }

    fn furnish(&mut self) -> Result<()> {
        let map = ShardMap::new(SHARDS).context("shards")?;
        let made = self.api(0, &self.admin)?.post("/v1/accounts", &json!({ "handle": HANDLE }))?;
        self.key = made["api_key"]["key"].as_str().context("key")?.to_owned();
        let account: AccountId = id(&made["account"]["id"])?;
        let made = self.api(1, &self.key)?.post("/v1/workspaces", &json!({ "name": WORKSPACE }))?;
        let workspace: WorkspaceId = id(&made["id"])?;
        (self.account, self.workspace) = (map.of(account), map.of(workspace));
        Ok(())
    }

    /// `handle/name` of the workspace.
    pub(crate) fn workspace(&self) -> String {
        format!("{HANDLE}/{WORKSPACE}")
    }

    /// A client of one node, with a token.
    pub(crate) fn api(&self, node: usize, token: &str) -> Result<Api> {
        Ok(Api::new(&self.nodes[node].url())?.with_token(token))
    }

    /// Who serves each shard, by the word of one node; an error while one is served by nobody, or by two.
    fn owners(&self, asked: usize) -> Result<ShardOwners> {
        shard_owners(&self.api(asked, &self.admin)?, SHARDS)
    }

    /// Which node owns the shard of the workspace.
    pub(crate) fn owner_of_workspace(&self) -> Result<usize> {
        Ok(self.owners(0)?[&self.workspace])
    }

    /// Which node owns the shard of the account.
    pub(crate) fn owner_of_account(&self) -> Result<usize> {
        Ok(self.owners(0)?[&self.account])
    }

    /// Waits until these nodes, and no others, serve all shards, and all of these say so.
    pub(crate) fn wait_settled(&self, nodes: &[usize]) -> Result<Duration> {
        wait_settled(nodes, PATIENCE, |asked| self.owners(asked))
    }

    /// Mounts the workspace on a machine, with a ticket of its own.
    pub(crate) fn mount(&mut self, camp: usize, name: &str) -> Result<Mount> {
        self.tickets += 1;
        let body = json!({ "workspace": self.workspace(), "mode": "rw", "ttl_seconds": 86_400 });
        let path = format!("/v1/tenants/{name}/runtimes/r{}/mount-tickets", self.tickets);
        let ticket = self.api(camp % NODES, &self.key)?.post(&path, &body)?["mount_ticket"].clone();
        Mount::new_in(&self.network.camps[camp], &self.scratch, name, &Credential::Ticket(ticket))
    }

    /// What the node says of the workspace after it has read everything.
    pub(crate) fn check(&self) -> Result<Value> {
        self.api(0, &self.key)?.post(&format!("/v1/workspaces/{}/fsck", self.workspace()), &json!({ "data": true }))
    }

    /// What the nodes have logged.
    pub(crate) fn show_logs(&self) {
        self.places.iter().for_each(|place| place.show_logs());
    }
}

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(value: &Value) -> Result<T> {
    value.as_str().context("id")?.parse().map_err(|error| anyhow::anyhow!("{error:?}"))
}
