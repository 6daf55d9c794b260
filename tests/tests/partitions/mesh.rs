//! Revocations and proofs go round a cut: by way of nodes in between, and over the second stream of a mount.

use std::fs::{self, File};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, monotonic_ns, sleep, wait_until};
use artifacts_tests::{Credential, Host, Mount, Scratch, Weather, mounted};
use serde_json::json;

use crate::fixture::{Cluster, Home, LIMIT, PATIENCE};
use crate::probe::Probe;

/// "In no case, partition included, a single success later than 2 s after the call returned."
const LATEST_NS: u64 = 2_000_000_000;
/// By then nothing counts any more that was known before a cut.
const STALE: Duration = Duration::from_millis(2_500);

/// A mount, and a program at work in it.
struct Client {
    mount: Mount,
    probe: Probe,
}

impl Client {
    fn start(cluster: &Cluster, scratch: &Arc<Scratch>, host: &Host, home: &Home) -> Result<Self> {
        let mount = Mount::new_in(host, scratch, "m", &Credential::Ticket(cluster.ticket(0, home, "tenant")?))?;
        let path = mount.join("file");
        fs::write(&path, [0; 8])?;
        let probe = Probe::start(&File::options().read(true).write(true).open(&path)?, &path)?;
        Ok(Self { mount, probe })
    }

    /// Waits until something works that was begun from now on.
    fn wait_served(&self, what: &str) -> Result<()> {
        let from_ns = monotonic_ns();
        wait_until(what, PATIENCE, || Ok(self.probe.last_success_ns() > from_ns + 100_000_000))
    }

    /// Takes its right through a node, and waits until every call fails.
    fn revoke(&self, cluster: &Cluster, through: usize, home: &Home) -> Result<()> {
        let body = json!({ "tenant_slug": "tenant", "wait_ms": 0 });
        let started_ns = monotonic_ns();
        let report = cluster.api(through, &home.key)?.post("/v1/grants/revoke", &body)?;
        let returned_ns = monotonic_ns();
        wait_until("access ends", PATIENCE, || Ok(self.probe.errno() == libc::EACCES))?;
        let last_ns = self.probe.last_success_ns();
        let since = |from_ns: u64| (last_ns as f64 - from_ns as f64) / 1e6;
        println!(
            "the last success came {:.0} ms after the call began, {:.0} ms after it returned, {}",
            since(started_ns),
            since(returned_ns),
            report["sessions"]
        );
        ensure!(last_ns <= returned_ns + LATEST_NS, "a call succeeded too late");
        Ok(())
    }
}

/// The owner of the account and that of the workspace do not hear each other. What is revoked goes by way of the third node, and so
/// do the proofs that the mount lives by.
fn between_owners(name: &str, weather: Weather) -> Result<()> {
    mounted(name, LIMIT, |scratch| {
        let mut wires = Vec::new();
        let started = Cluster::start_apart_on(scratch, 3, &json!({}), |lan, name| {
            let (host, wire) = lan.far_host(name)?;
            wires.push(wire);
            Ok(host)
        })?;
        let Some(cluster) = started else { return Ok(()) };
        cluster.check(|cluster| {
            let net = cluster.net()?;
            let host = net.lan.host("client")?;
            let home = cluster.home(1, 2)?;
            let client = Client::start(cluster, scratch, &host, &home)?;
            // No other node gives proofs.
            net.lan.cut(&host, &net.nodes[0])?;
            net.lan.cut(&host, &net.nodes[1])?;
            wires.iter().for_each(|wire| wire.set(weather));
            net.lan.cut(&net.nodes[1], &net.nodes[2])?;
            sleep(STALE);
            client.wait_served("calls are served while the owners are cut off from each other")?;
            // Not only from the mount's own memory.
            let during = client.mount.join("during");
            fs::write(&during, "x").and_then(|()| File::open(&during)?.sync_all()).context("saved while the owners are cut off")?;
            client.revoke(cluster, 1, &home)?;
            net.lan.restore(&net.nodes[1], &net.nodes[2])?;
            client.mount.tear_down()
        })
    })
}

#[test]
fn a_revocation_goes_round_a_cut_between_the_owners() -> Result<()> {
    between_owners("mesh-owners", Weather::default())
}

#[test]
fn a_revocation_goes_round_a_cut_through_a_network_that_loses_a_fifth() -> Result<()> {
    between_owners("mesh-loss", Weather { loses: 20, only_udp: true, ..Weather::default() })
}

/// The mount does not hear the owner of its workspace any more. It goes on with what it may decide by itself, by the word of another
/// node; and by the word of another node it ends.
#[test]
fn a_mount_that_does_not_hear_its_node_goes_by_the_word_of_another() -> Result<()> {
    mounted("mesh-second", LIMIT, |scratch| {
        // Nobody else wants what the mount holds, so nothing but the proofs bounds how long it goes on.
        let settings = json!({ "session_lease_ms": 60_000 });
        let Some(cluster) = Cluster::start_apart(scratch, 3, &settings)? else { return Ok(()) };
        cluster.check(|cluster| {
            let net = cluster.net()?;
            let host = net.lan.host("client")?;
            let home = cluster.home(1, 2)?;
            let client = Client::start(cluster, scratch, &host, &home)?;
            // What it writes would wait for the node to keep up.
            let path = client.mount.join("file");
            let client = Client { probe: Probe::reading(&File::open(&path)?, &path)?, ..client };
            wait_until("another node gives proofs", PATIENCE, || Ok(client.mount.status()?["second_endpoint"].is_string()))?;
            let status = client.mount.status()?;
            ensure!(status["endpoint"] == cluster.nodes[2].url() && status["second_endpoint"] != status["endpoint"], "{status}");
            net.lan.cut(&host, &net.nodes[2])?;
            sleep(STALE);
            client.wait_served("calls are served without the workspace's owner")?;
            client.revoke(cluster, 0, &home)?;
            net.lan.restore(&host, &net.nodes[2])?;
            client.mount.tear_down()
        })
    })
}
