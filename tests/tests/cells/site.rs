use std::fs::{self, File};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, monotonic_ns, sleep, wait_until};
use artifacts_tests::{Credential, HostAgent, Mount, Network, Relay, S3Server, Scratch};
use serde_json::{Value, json};

use crate::fixture::{Cluster, Home, PATIENCE};
use crate::probe::Probe;

/// "In no case, partition included, a single success later than 2 s after the call returned."
const LATEST_NS: u64 = 2_000_000_000;

/// By then nothing counts any more that was known before a cut.
pub(crate) const STALE: Duration = Duration::from_millis(2_500);

/// Three nodes that agents reach through relays, for TCP; datagrams go straight. Account at the second, workspace at the third.
pub(crate) struct Site {
    relays: Vec<Relay>,
    pub(crate) home: Home,
}

impl Site {
    /// Runs a test on it; does nothing where there is no S3 server.
    pub(crate) fn run(scratch: &Arc<Scratch>, body: impl FnOnce(&mut Cluster, &Self) -> Result<()>) -> Result<()> {
        Self::run_admitting(scratch, "hosts", body)
    }

    /// The same with nodes whose mesh lets these in.
    pub(crate) fn run_admitting(scratch: &Arc<Scratch>, who: &str, body: impl FnOnce(&mut Cluster, &Self) -> Result<()>) -> Result<()> {
        let Some(server) = S3Server::shared()? else { return Ok(()) };
        let bucket = server.bucket()?;
        let relays = (0..3).map(|_| Relay::start("")).collect::<Result<Vec<_>>>()?;
        // Nobody else wants what a mount holds, so nothing but the proofs bounds how long it goes on.
        let settings = |node: usize| {
            let urls = [format!("http://{}", relays[node].address())];
            json!({ "blobs": bucket, "session_lease_ms": 60_000, "public_urls": urls, "mesh": { "admit": who } })
        };
        let cluster = Cluster::boot_each(scratch, 3, None, None, settings)?;
        for (relay, node) in relays.iter().zip(&cluster.nodes) {
            relay.point_at(&node.address().to_string());
        }
        cluster.check(|cluster| {
            let home = cluster.home(1, 2)?;
            body(cluster, &Self { relays, home })
        })
    }

    /// No agent reaches any node any more, or all do again, but for datagrams.
    pub(crate) fn cut_streams(&self, is_cut: bool) {
        self.relays.iter().for_each(|relay| relay.set(if is_cut { Network::Cut } else { Network::Open }));
    }

    /// Cuts all streams, and waits until agents have nothing to go by but gossip.
    pub(crate) fn leave_gossip_alone(&self) {
        self.cut_streams(true);
        sleep(STALE);
    }

    /// On gossip alone: one that is in a cell serves, and ends with its right; one with another right goes on.
    pub(crate) fn expect_gossip_to_do(&self, cluster: &Cluster, client: Client, bystander: Client) -> Result<()> {
        self.leave_gossip_alone();
        client.wait_served("calls are served on gossip alone")?;
        client.revoke(cluster, 0, self)?;
        bystander.wait_served("a mount with another right goes on")?;
        self.cut_streams(false);
        client.mount.tear_down()?;
        bystander.mount.tear_down()
    }

    /// A mount of the host's, with a program at work in it that only reads.
    pub(crate) fn client(&self, cluster: &Cluster, scratch: &Arc<Scratch>, tenant: &str) -> Result<Client> {
        self.client_with(cluster, scratch, tenant, "r", &[])
    }

    /// The same for one runtime of a tenant, with further options of `artifacts mount`.
    pub(crate) fn client_with(
        &self,
        cluster: &Cluster,
        scratch: &Arc<Scratch>,
        tenant: &str,
        runtime: &str,
        options: &[&str],
    ) -> Result<Client> {
        let ticket = Credential::Ticket(self.ticket(cluster, tenant, runtime)?);
        let mount = Mount::with_options(scratch, &format!("{tenant}-{runtime}"), &ticket, options)?;
        let path = mount.join("file");
        if !path.exists() {
            fs::write(&path, [0; 8])?;
        }
        let probe = Probe::reading(&File::open(&path)?, &path)?;
        Ok(Client { mount, probe, tenant: tenant.to_owned(), runtime: runtime.to_owned() })
    }

    /// A ticket for ten minutes.
    pub(crate) fn ticket(&self, cluster: &Cluster, tenant: &str, runtime: &str) -> Result<Value> {
        let body = json!({ "workspace": self.home.workspace, "mode": "rw", "ttl_seconds": 600 });
        let path = format!("/v1/tenants/{tenant}/runtimes/{runtime}/mount-tickets");
        Ok(cluster.api(0, &self.home.key)?.post(&path, &body)?["mount_ticket"].clone())
    }

    /// A host agent with a credential, whose id is given too.
    pub(crate) fn agent(&self, cluster: &Cluster, scratch: &Arc<Scratch>) -> Result<(HostAgent, String)> {
        let (id, file) = HostAgent::credential(scratch, &cluster.nodes[0].url(), &self.home.key, "host")?;
        Ok((HostAgent::start_with(None, scratch, &["--mesh-credential-file", &file])?, id))
    }

    /// Another host, to which nobody hands a mount.
    pub(crate) fn neighbour(scratch: &Arc<Scratch>, file: &str, number: usize) -> Result<HostAgent> {
        let socket = scratch.join(format!("run/neighbour-{number}.sock")).to_string_lossy().into_owned();
        HostAgent::start_with(None, scratch, &["--mesh-credential-file", file, "--socket", &socket])
    }
}

/// A mount, and a program at work in it.
pub(crate) struct Client {
    pub(crate) mount: Mount,
    probe: Probe,
    tenant: String,
    runtime: String,
}

impl Client {
    /// What its agent has from the mesh.
    pub(crate) fn gossip(&self) -> Result<Value> {
        Ok(self.mount.status()?["gossip"].clone())
    }

    /// Waits until its agent is in a cell with two nodes, and has a proof from there that counts.
    pub(crate) fn wait_in_cell(&self) -> Result<()> {
        wait_until("the host is in a cell, with a fresh proof", PATIENCE, || {
            let gossip = self.gossip()?;
            Ok(gossip["members"].as_u64() >= Some(3) && gossip["proof_age_ms"].as_u64().is_some_and(|age_ms| age_ms < 1_000))
        })
    }

    /// Waits until something works that was begun from now on.
    pub(crate) fn wait_served(&self, what: &str) -> Result<()> {
        let from_ns = monotonic_ns();
        wait_until(what, PATIENCE, || Ok(self.probe.last_success_ns() > from_ns + 100_000_000))
    }

    /// Its cell.
    pub(crate) fn cell(&self) -> Result<String> {
        Ok(self.gossip()?["cell"].as_str().context("it is in no cell")?.to_owned())
    }

    /// For how long nothing worked at the most, while this goes on.
    pub(crate) fn longest_pause(&self, mut goes_on: impl FnMut() -> Result<bool>) -> Result<Duration> {
        let (mut last_ns, mut longest_ns) = (self.probe.last_success_ns(), 0);
        while goes_on()? {
            sleep(Duration::from_millis(5));
            longest_ns = longest_ns.max(monotonic_ns().saturating_sub(last_ns));
            last_ns = self.probe.last_success_ns();
        }
        ensure!(self.probe.errno() == 0, "a call has failed with {}", self.probe.errno());
        Ok(Duration::from_nanos(longest_ns))
    }

    /// Takes its right through a node, and waits until every call fails: no later than is promised.
    pub(crate) fn revoke(&self, cluster: &Cluster, through: usize, site: &Site) -> Result<Duration> {
        let body = json!({ "tenant_slug": self.tenant, "runtime_id": self.runtime, "wait_ms": 0 });
        cluster.api(through, &site.home.key)?.post("/v1/grants/revoke", &body).context("the revoke call")?;
        let returned_ns = monotonic_ns();
        wait_until("access ends", PATIENCE, || Ok(self.probe.errno() == libc::EACCES))?;
        let late_ns = self.probe.last_success_ns().saturating_sub(returned_ns);
        println!("the last success came {:.0} ms after the call returned", late_ns as f64 / 1e6);
        ensure!(late_ns <= LATEST_NS, "a call succeeded too late");
        Ok(Duration::from_nanos(late_ns))
    }
}
