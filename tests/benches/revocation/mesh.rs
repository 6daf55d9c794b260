//! Three nodes in machines of their own, and a mount in a fourth: what is cut, lost or far away, and how soon access ends all the same.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, monotonic_ns, now, sleep, wait_until};
use artifacts_tests::{Credential, Host, Lan, Mount, S3Server, Scratch, Table, Weather, Wire, greedy, percentile};
use serde_json::{Value, json};

use crate::fixture::{Cluster, Home, Net, PATIENCE};
use crate::gossip;
use crate::watch::Watch;

const LIMIT: Duration = Duration::from_secs(3 * 60 * 60);
/// In no case a success later than this after the call returned.
const PROMISED_LAST_MS: f64 = 2_000.0;
/// How long after the call something is to fail, if anything is.
const FAILS_WITHIN: Duration = Duration::from_secs(4);
/// One way, to the other region and back.
const REGION_DELAY: Duration = Duration::from_millis(100);

/// What is wrong with the network when the call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// All nodes lose datagrams.
    Loss(u32),
    /// The mount and the node that serves it do not hear each other.
    StreamsNode,
    /// The owners of account and workspace do not hear each other, for longer than anything counts that was known before.
    Owners,
    /// Nobody but the caller hears the owner of the account.
    Tenants,
}

/// The lines of the table: name, where the account's and the workspace's owners are, and what is wrong.
const LINES: [(&str, usize, usize, Fault); 6] = [
    ("same node", 2, 2, Fault::None),
    ("other node", 1, 2, Fault::None),
    ("other node, 20 % of datagrams lost", 1, 2, Fault::Loss(20)),
    ("stream's node cut off from the mount", 1, 2, Fault::StreamsNode),
    ("tenant's owner cut off from workspace's", 1, 2, Fault::Owners),
    ("tenant's owner cut off from all", 1, 2, Fault::Tenants),
];

/// Milliseconds, counted from the return of the call.
#[derive(Default)]
pub(crate) struct Samples {
    call: Vec<f64>,
    first_failure: Vec<f64>,
    last_success: Vec<f64>,
    /// How often nothing had failed when the network was made whole again.
    waiting: usize,
}

impl Samples {
    /// A round in which something failed: when the call was made and returned, when something failed first and worked last.
    pub(crate) fn add(&mut self, started_ns: u64, returned_ns: u64, failed_ns: u64, last_ns: u64) {
        let since = |ns: u64| (ns as f64 - returned_ns as f64) / 1e6;
        self.call.push(-since(started_ns));
        self.first_failure.push(since(failed_ns));
        self.last_success.push(since(last_ns));
    }
}

pub(crate) fn measure_all(rounds: usize, only: &str) -> Result<()> {
    let mut lines = Vec::new();
    // What was measured before a failure took long, and is shown.
    let measured = measure_lines(rounds, only, &mut lines);
    report(rounds, lines).and(measured)
}

fn measure_lines(rounds: usize, only: &str, lines: &mut Vec<(&'static str, Samples)>) -> Result<()> {
    greedy("bench-mesh", LIMIT, |scratch| {
        let mut wires = Vec::new();
        let started = Cluster::start_apart_on(scratch, 3, &json!({}), |lan, name| {
            let (host, wire) = lan.far_host(name)?;
            wires.push(wire);
            Ok(host)
        })?;
        let Some(cluster) = started else { return Ok(()) };
        cluster.check(|cluster| {
            let cluster = &*cluster;
            for (name, account_at, workspace_at, fault) in LINES.into_iter().filter(|(name, ..)| name.contains(only)) {
                let line = Line { cluster, scratch, wires: &wires, home: cluster.home(account_at, workspace_at)?, fault };
                lines.push((name, line.measure(rounds).with_context(|| name.to_owned())?));
            }
            Ok(())
        })
    })?;
    let far = "other region, 100 ms one way";
    if far.contains(only) {
        greedy("bench-regions", LIMIT, |scratch| {
            if let Some(samples) = between_regions(scratch, rounds)? {
                lines.push((far, samples));
            }
            Ok(())
        })?;
    }
    let alone = "a host on gossip alone";
    if alone.contains(only) {
        greedy("bench-gossip", LIMIT, |scratch| {
            lines.extend(gossip::alone(scratch, rounds)?.map(|samples| (alone, samples)));
            Ok(())
        })?;
    }
    Ok(())
}

/// Two near nodes, and a region of one node and a bucket of its own behind a long wire; the mount is there.
fn between_regions(scratch: &Arc<Scratch>, rounds: usize) -> Result<Option<Samples>> {
    let Some(lan) = Lan::new()? else { return Ok(None) };
    let s3 = lan.host("s3")?;
    let (far, wire) = lan.far_host("n2")?;
    let Some((near_store, far_store)) = S3Server::start_in(&s3)?.zip(S3Server::start_in(&far)?) else { return Ok(None) };
    let buckets = [near_store.bucket()?, far_store.bucket()?];
    let nodes = vec![lan.host("n0")?, lan.host("n1")?, far];
    wire.set(Weather { delay: REGION_DELAY, ..Weather::default() });
    let settings = |node: usize| {
        let (region, bucket) = if node == 2 { ("us", &buckets[1]) } else { ("eu", &buckets[0]) };
        json!({ "region": region, "regions": ["eu", "us"], "blobs": bucket })
    };
    let cluster = Cluster::boot_each(scratch, 3, Some(Net::new(lan, nodes, s3, near_store)), None, settings)?;
    let mut samples = None;
    cluster.check(|cluster| {
        let cluster = &*cluster;
        let made = cluster.admin(0)?.post("/v1/accounts", &json!({ "handle": "acme", "region": "eu" }))?;
        let key = made["api_key"]["key"].as_str().context("key")?.to_owned();
        let workspace = cluster.api(0, &key)?.post("/v1/workspaces", &json!({ "name": "w", "region": "us" }))?;
        let workspace_id = workspace["id"].as_str().context("id")?.to_owned();
        let home = Home { key, handle: "acme".to_owned(), workspace: "acme/w".to_owned(), workspace_id };
        let wires = [wire];
        let line = Line { cluster, scratch, wires: &wires, home, fault: Fault::None };
        let host = &cluster.net()?.nodes[2];
        let mut measured = Samples::default();
        for round in 0..rounds {
            line.round(host, round, &mut measured).with_context(|| format!("round {round}"))?;
        }
        samples = Some(measured);
        Ok(())
    })?;
    drop(far_store);
    Ok(samples)
}

struct Line<'a> {
    cluster: &'a Cluster,
    scratch: &'a Arc<Scratch>,
    wires: &'a [Wire],
    home: Home,
    fault: Fault,
}

impl Line<'_> {
    fn measure(&self, rounds: usize) -> Result<Samples> {
        let host = self.cluster.net()?.lan.host(&format!("m{}", monotonic_ns() % 1_000_000))?;
        let mut samples = Samples::default();
        if let Fault::Loss(loses) = self.fault {
            self.wires.iter().for_each(|wire| wire.set(Weather { loses, only_udp: true, ..Weather::default() }));
        }
        let measured = (0..rounds).try_for_each(|round| self.round(&host, round, &mut samples).with_context(|| format!("round {round}")));
        self.wires.iter().for_each(|wire| wire.set(Weather::default()));
        measured.map(|()| samples)
    }

    fn round(&self, host: &Host, round: usize, samples: &mut Samples) -> Result<()> {
        let (cluster, home) = (self.cluster, &self.home);
        let tenant = format!("tenant-{round}");
        let name = format!("{}-{round}", host.address());
        let ticket = cluster.ticket(0, home, &tenant)?;
        let mount = Mount::new_in(host, self.scratch, &name, &Credential::Ticket(ticket))?;
        let watch = Watch::start(&mount.join("watched"), self.fault != Fault::StreamsNode)?;
        if self.fault == Fault::StreamsNode {
            wait_until("another node gives proofs", PATIENCE, || Ok(mount.status()?["second_endpoint"].is_string()))?;
        }
        self.part(host, true)?;
        match self.fault {
            // What was known before the cut counts no more.
            Fault::Owners | Fault::StreamsNode => sleep(Duration::from_millis(1_500)),
            _ => sleep(Duration::from_millis(150)),
        }
        let from_ns = monotonic_ns();
        if self.fault != Fault::Tenants {
            wait_until("calls are served", PATIENCE, || Ok(watch.last_success_ns() > from_ns))?;
        }
        let api = cluster.api(1, &home.key)?;
        let (body, started_ns) = (json!({ "tenant_slug": tenant, "wait_ms": 0 }), monotonic_ns());
        api.post("/v1/grants/revoke", &body)?;
        let (returned_ns, returned) = (monotonic_ns(), now());
        while watch.failure().is_none() && returned.elapsed() < FAILS_WITHIN {
            sleep(Duration::from_millis(1));
        }
        let (failure, last_ns) = (watch.failure(), watch.last_success_ns());
        self.part(host, false)?;
        let since = |ns: u64| (ns as f64 - returned_ns as f64) / 1e6;
        samples.call.push((returned_ns - started_ns) as f64 / 1e6);
        samples.last_success.push(since(last_ns));
        match failure {
            Some((at_ns, errno)) => {
                ensure!(errno == libc::EACCES, "it failed with {errno}");
                samples.first_failure.push(since(at_ns));
            }
            None => samples.waiting += 1,
        }
        wait_until("access has ended when the network is whole", PATIENCE, || Ok(watch.failure().is_some()))?;
        ensure!(watch.last_success_ns() <= last_ns.max(returned_ns), "calls were served again");
        mount.tear_down()?;
        if self.fault == Fault::Tenants {
            cluster.wait_settled(&[0, 1, 2])?;
        }
        Ok(())
    }

    /// Makes the cut, or ends it.
    fn part(&self, host: &Host, is_cut: bool) -> Result<()> {
        let net = self.cluster.net()?;
        let nodes = &net.nodes;
        let pairs: Vec<(&Host, &Host)> = match self.fault {
            Fault::None | Fault::Loss(_) => Vec::new(),
            Fault::StreamsNode => vec![(host, &nodes[2])],
            Fault::Owners => vec![(&nodes[1], &nodes[2])],
            Fault::Tenants => vec![(&nodes[1], &nodes[2]), (&nodes[1], &nodes[0]), (&nodes[1], host)],
        };
        pairs.into_iter().try_for_each(|(one, other)| if is_cut { net.lan.cut(one, other) } else { net.lan.restore(one, other) })
    }
}

fn report(rounds: usize, lines: Vec<(&str, Samples)>) -> Result<()> {
    println!("\nrevocation in a cluster, {rounds} rounds each, milliseconds; mounts are guests, on streams alone, but for the last");
    let mut table = Table::new(&["", "call p50", "p99", "first failure p50", "p99", "max", "last success p50", "p99", "max", "waiting"]);
    let mut latest = Vec::new();
    for (name, mut samples) in lines {
        let mut cells = vec![name.to_owned()];
        let mut add = |values: &mut Vec<f64>, percents: &[f64]| {
            cells.extend(
                percents
                    .iter()
                    .map(|percent| if values.is_empty() { "-".to_owned() } else { format!("{:.0}", percentile(values, *percent)) }),
            );
        };
        add(&mut samples.call, &[50.0, 99.0]);
        add(&mut samples.first_failure, &[50.0, 99.0, 100.0]);
        add(&mut samples.last_success, &[50.0, 99.0, 100.0]);
        cells.push(samples.waiting.to_string());
        table.row(cells);
        latest.extend(samples.last_success.iter().copied().filter(|ms| *ms > PROMISED_LAST_MS).map(|ms| json!([name, ms])));
    }
    table.print();
    println!(
        "failure and success are counted from the return of the call; `waiting`: rounds in which calls waited until the network was whole"
    );
    println!("promised: no success later than {PROMISED_LAST_MS} ms after the call returned");
    ensure!(latest.is_empty(), "later: {}", Value::from(latest));
    Ok(())
}
