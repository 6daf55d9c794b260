use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use artifacts_core::cluster::ShardMap;
use artifacts_core::{AccountId, WorkspaceId};
use artifacts_tests::time::Duration;
use artifacts_tests::{
    Api, Host, Lan, NodeOptions, NodeProcess, PeakMemory, S3Server, Scratch, ShardOwners, free_udp_address, shard_owners, wait_settled,
};
use serde_json::{Value, json};

/// Only a guard against hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// For a whole test.
pub(crate) const LIMIT: Duration = Duration::from_secs(300);
pub(crate) const SHARDS: u16 = 8;
/// Where nodes gossip that have a machine each.
const GOSSIP_PORT: u16 = 7701;

/// Some nodes that share a bucket.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<NodeProcess>,
    places: Vec<Arc<Scratch>>,
    admin: String,
    net: Option<Net>,
    gossip: Vec<SocketAddr>,
}

/// The machines of a cluster that has a network of its own. The test process is in it too, and reaches all of them.
pub(crate) struct Net {
    /// The network.
    pub(crate) lan: Lan,
    /// Those of the nodes.
    pub(crate) nodes: Vec<Host>,
    /// The S3 server's.
    pub(crate) s3: Host,
    _server: S3Server,
}

/// An account whose shard a chosen node owns, and a workspace of it that another one owns.
pub(crate) struct Home {
    pub(crate) key: String,
    pub(crate) handle: String,
    /// `handle/name`.
    pub(crate) workspace: String,
    pub(crate) workspace_id: String,
}

impl Net {
    /// Of machines that there are.
    pub(crate) fn new(lan: Lan, nodes: Vec<Host>, s3: Host, server: S3Server) -> Self {
        Self { lan, nodes, s3, _server: server }
    }
}

fn map() -> Result<ShardMap> {
    ShardMap::new(SHARDS).context("shards")
}

impl Cluster {
    /// Starts so many nodes; `None` where there is no S3 server.
    pub(crate) fn start(scratch: &Arc<Scratch>, count: usize) -> Result<Option<Self>> {
        let Some(server) = S3Server::shared()? else { return Ok(None) };
        Self::start_on(scratch, count, &server.bucket()?, None).map(Some)
    }

    /// Starts so many nodes on a bucket; one that holds a cluster has an admin token already.
    pub(crate) fn start_on(scratch: &Arc<Scratch>, count: usize, blobs: &Value, admin: Option<String>) -> Result<Self> {
        Self::boot_each(scratch, count, None, admin, |_| json!({ "blobs": blobs }))
    }

    /// The same with a machine for each node and one for the S3 server; `None` also where there are no network namespaces.
    pub(crate) fn start_apart(scratch: &Arc<Scratch>, count: usize, settings: &Value) -> Result<Option<Self>> {
        Self::start_apart_on(scratch, count, settings, Lan::host)
    }

    /// The same on machines that `machine` makes.
    pub(crate) fn start_apart_on(
        scratch: &Arc<Scratch>,
        count: usize,
        settings: &Value,
        mut machine: impl FnMut(&Lan, &str) -> Result<Host>,
    ) -> Result<Option<Self>> {
        let Some(lan) = Lan::new()? else { return Ok(None) };
        let s3 = lan.host("s3")?;
        let Some(server) = S3Server::start_in(&s3)? else { return Ok(None) };
        let nodes = (0..count).map(|number| machine(&lan, &format!("n{number}"))).collect::<Result<_>>()?;
        let mut settings = settings.clone();
        settings["blobs"] = server.bucket()?;
        Self::boot(scratch, count, Some(Net::new(lan, nodes, s3, server)), &settings).map(Some)
    }

    /// Starts the nodes, with these settings beside those that make them a cluster; `regions` are those of the ring.
    pub(crate) fn boot(scratch: &Arc<Scratch>, count: usize, net: Option<Net>, settings: &Value) -> Result<Self> {
        Self::boot_each(scratch, count, net, None, |_| settings.clone())
    }

    /// The same with settings of its own for each; a bucket that holds a cluster has an admin token already.
    pub(crate) fn boot_each(
        scratch: &Arc<Scratch>,
        count: usize,
        net: Option<Net>,
        admin: Option<String>,
        settings: impl Fn(usize) -> Value,
    ) -> Result<Self> {
        let key_file = scratch.join("ring-keys");
        fs::write(&key_file, base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [7; 32]))?;
        let host = |number: usize| net.as_ref().map(|net| net.nodes[number].clone());
        let address = |number| host(number).map_or_else(free_udp_address, |host| Ok((host.address(), GOSSIP_PORT).into()));
        let gossip: Vec<_> = (0..count).map(address).collect::<Result<_>>()?;
        let (mut nodes, mut places) = (Vec::new(), Vec::new());
        for (index, address) in gossip.iter().enumerate() {
            let mut config = json!({
                "store": "slate", "region": "eu", "cluster": { "shards": SHARDS }, "rate_limit": 0,
                "ring": {
                    "name": "test", "node": format!("n{index}"), "listen": address, "seeds": gossip, "key_file": key_file,
                },
            });
            for (name, value) in settings(index).as_object().context("settings")? {
                config[name] = value.clone();
            }
            if let Some(regions) = config.as_object_mut().and_then(|config| config.remove("regions")) {
                config["ring"]["regions"] = regions;
            }
            let place = Arc::new(Scratch::new(&format!("cluster-n{index}"), scratch.limit())?);
            let options = NodeOptions { config, host: host(index), ..NodeOptions::default() };
            nodes.push(NodeProcess::start_with(&place, options).inspect_err(|_| place.show_logs())?);
            places.push(place);
        }
        let made = || nodes.first().context("no nodes")?.admin_token();
        let admin = admin.map_or_else(made, Ok)?;
        let cluster = Self { nodes, places, admin, net, gossip };
        cluster.wait_settled(&(0..count).collect::<Vec<_>>())?;
        Ok(cluster)
    }

    /// Where its nodes receive datagrams.
    pub(crate) fn gossip(&self) -> Vec<SocketAddr> {
        self.gossip.clone()
    }

    /// Its machines.
    pub(crate) fn net(&self) -> Result<&Net> {
        self.net.as_ref().context("the cluster has no network of its own")
    }

    /// What its nodes held at most, each.
    pub(crate) fn memory(&self) -> impl Iterator<Item = &PeakMemory> {
        self.places.iter().map(|place| place.memory())
    }

    /// Runs a test with so many nodes, and shows what they logged if it fails.
    pub(crate) fn run(scratch: &Arc<Scratch>, count: usize, body: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let Some(cluster) = Self::start(scratch, count)? else { return Ok(()) };
        cluster.check(body)
    }

    /// As [`Cluster::run`], with a machine for each node.
    pub(crate) fn run_apart(scratch: &Arc<Scratch>, count: usize, body: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let Some(cluster) = Self::start_apart(scratch, count, &json!({}))? else { return Ok(()) };
        cluster.check(body)
    }

    /// Runs a test, and shows what the nodes logged if it fails.
    pub(crate) fn check(self, body: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let mut cluster = self;
        let outcome = body(&mut cluster);
        if outcome.is_err() {
            cluster.places.iter().for_each(|place| place.show_logs());
        }
        outcome
    }

    /// Stops a node in good order and starts it again with one setting changed, or taken back to what it is without.
    pub(crate) fn restart_with(&mut self, node: usize, name: &str, value: Option<Value>) -> Result<()> {
        let file = self.places[node].join("node.json");
        let mut config: Value = serde_json::from_str(&fs::read_to_string(&file)?)?;
        let settings = config.as_object_mut().context("settings")?;
        settings.remove(name);
        settings.extend(value.map(|value| (name.to_owned(), value)));
        fs::write(&file, config.to_string())?;
        let status = self.nodes[node].terminate()?;
        ensure!(status.success(), "{status}");
        self.nodes[node].start_again()
    }

    /// A client of one node, with a token.
    pub(crate) fn api(&self, node: usize, token: &str) -> Result<Api> {
        Ok(Api::new(&self.nodes[node].url())?.with_token(token))
    }

    pub(crate) fn admin(&self, node: usize) -> Result<Api> {
        self.api(node, &self.admin)
    }

    /// What a node says of the cluster.
    pub(crate) fn status(&self, node: usize) -> Result<Value> {
        self.admin(node)?.get("/v1/cluster")
    }

    /// Who serves each shard, by the word of one node; an error while one is served by nobody, or by two.
    pub(crate) fn owners(&self, asked: usize) -> Result<ShardOwners> {
        shard_owners(&self.admin(asked)?, SHARDS)
    }

    /// Waits until these nodes, and no others, serve all shards, and returns how long that took.
    pub(crate) fn wait_settled(&self, nodes: &[usize]) -> Result<Duration> {
        wait_settled(nodes, PATIENCE, |asked| self.owners(asked))
    }

    /// Which node owns a workspace.
    pub(crate) fn owner_of(&self, asked: usize, home: &Home) -> Result<usize> {
        let id: WorkspaceId = home.workspace_id.parse().map_err(|error| anyhow::anyhow!("{error:?}"))?;
        Ok(self.owners(asked)?[&map()?.of(id)])
    }

    /// An account at one node with a workspace at another.
    pub(crate) fn home(&self, account_at: usize, workspace_at: usize) -> Result<Home> {
        let owners = self.owners(0)?;
        for number in 0..1_000 {
            let handle = format!("acme{number}");
            if owners[&map()?.of_bytes(handle.as_bytes())] != account_at {
                continue;
            }
            let made = self.admin(number % self.nodes.len())?.post("/v1/accounts", &json!({ "handle": handle }));
            let Ok(made) = made else { continue };
            let id: AccountId = made["account"]["id"].as_str().context("id")?.parse().map_err(|error| anyhow::anyhow!("{error:?}"))?;
            ensure!(owners[&map()?.of(id)] == account_at, "an account does not lie where its handle does");
            let key = made["api_key"]["key"].as_str().context("key")?.to_owned();
            let api = self.api(0, &key)?;
            for number in 0..200 {
                let made = api.post("/v1/workspaces", &json!({ "name": format!("w{number}") }))?;
                let workspace_id = made["id"].as_str().context("id")?.to_owned();
                let home = Home { key: key.clone(), workspace: format!("{handle}/w{number}"), handle: handle.clone(), workspace_id };
                if self.owner_of(0, &home)? == workspace_at {
                    return Ok(home);
                }
            }
        }
        anyhow::bail!("nothing of what was drawn lies at {account_at} and {workspace_at}")
    }

    /// A ticket for ten minutes, made through one node.
    pub(crate) fn ticket(&self, node: usize, home: &Home, tenant: &str) -> Result<Value> {
        let body = json!({ "workspace": home.workspace, "mode": "rw", "ttl_seconds": 600 });
        let path = format!("/v1/tenants/{tenant}/runtimes/r/mount-tickets");
        Ok(self.api(node, &home.key)?.post(&path, &body)?["mount_ticket"].clone())
    }
}
