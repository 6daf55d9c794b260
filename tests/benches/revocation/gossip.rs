//! Host agents in the mesh: how soon access ends for one that hears nothing but gossip, and what gossip costs one that is idle.

use std::fs;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, monotonic_ns, now, sleep, wait_until};
use artifacts_tests::{Credential, Host, HostAgent, Mount, Network, Process, Relay, S3Server, Scratch, Table, greedy};
use serde_json::json;

use crate::fixture::{Cluster, PATIENCE};
use crate::mesh::Samples;
use crate::watch::Watch;

const LIMIT: Duration = Duration::from_secs(60 * 60);
/// What was known before a cut counts no more after so long.
const STALE: Duration = Duration::from_millis(1_500);
/// How long after the call something is to fail, if anything is.
const FAILS_WITHIN: Duration = Duration::from_secs(4);
/// An agent that reached no node by HTTP for a minute would have gone from its cell; so many rounds take less.
const AGENT_ROUNDS: usize = 20;
/// How long an idle agent is watched.
const IDLE: Duration = Duration::from_secs(20);
/// Hosts in a cell that is full, and in one that is not.
const CELLS: [usize; 2] = [1, 48];

/// Three nodes on one machine that agents reach through relays, which are cut before each call: datagrams alone get through.
pub(crate) fn alone(scratch: &Arc<Scratch>, rounds: usize) -> Result<Option<Samples>> {
    let Some(server) = S3Server::shared()? else { return Ok(None) };
    let bucket = server.bucket()?;
    let relays = (0..3).map(|_| Relay::start("")).collect::<Result<Vec<_>>>()?;
    let settings =
        |node: usize| json!({ "blobs": bucket, "session_lease_ms": 60_000, "public_urls": [format!("http://{}", relays[node].address())] });
    let cluster = Cluster::boot_each(scratch, 3, None, None, settings)?;
    relays.iter().zip(&cluster.nodes).for_each(|(relay, node)| relay.point_at(&node.address().to_string()));
    let cut = |is_cut| relays.iter().for_each(|relay| relay.set(if is_cut { Network::Cut } else { Network::Open }));
    let mut samples = Samples::default();
    cluster.check(|cluster| {
        let home = cluster.home(1, 2)?;
        let (_, file) = HostAgent::credential(scratch, &cluster.nodes[0].url(), &home.key, "host")?;
        let start = || HostAgent::start_with(None, scratch, &["--mesh-credential-file", &file]);
        let mut agent = start()?;
        for round in 0..rounds {
            if round > 0 && round % AGENT_ROUNDS == 0 {
                drop(agent);
                agent = start()?;
            }
            let tenant = format!("tenant-{round}");
            let mount = Mount::new(scratch, &tenant, &Credential::Ticket(cluster.ticket(0, &home, &tenant)?))?;
            ensure!(agent.serves(&mount)?, "the mount was not handed over");
            let watch = Watch::start(&mount.join("watched"), false)?;
            wait_in_cell(&mount)?;
            cut(true);
            sleep(STALE);
            let from_ns = monotonic_ns();
            wait_until("calls are served on gossip alone", PATIENCE, || Ok(watch.last_success_ns() > from_ns))?;
            let (api, started_ns) = (cluster.api(1, &home.key)?, monotonic_ns());
            api.post("/v1/grants/revoke", &json!({ "tenant_slug": tenant, "wait_ms": 0 }))?;
            let (returned_ns, returned) = (monotonic_ns(), now());
            while watch.failure().is_none() && returned.elapsed() < FAILS_WITHIN {
                sleep(Duration::from_millis(1));
            }
            let (at_ns, errno) = watch.failure().with_context(|| format!("round {round}: nothing failed"))?;
            ensure!(errno == libc::EACCES, "round {round}: it failed with {errno}");
            samples.add(started_ns, returned_ns, at_ns, watch.last_success_ns());
            cut(false);
            // Its agent stays for the next.
            mount.unmount()?;
        }
        Ok(())
    })?;
    Ok(Some(samples))
}

fn wait_in_cell(mount: &Mount) -> Result<()> {
    wait_until("a fresh proof by gossip", PATIENCE, || {
        let gossip = mount.status()?["gossip"].clone();
        Ok(gossip["members"].as_u64() >= Some(3) && gossip["proof_age_ms"].as_u64().is_some_and(|age_ms| age_ms < 1_000))
    })
}

/// Prints what an agent with one idle mount takes of processor and network: on streams alone, and with a place in a cell.
pub(crate) fn cost() -> Result<()> {
    greedy("bench-gossip-cost", LIMIT, |scratch| {
        let Some(cluster) = Cluster::start_apart(scratch, 3, &json!({}))? else { return Ok(()) };
        cluster.check(|cluster| {
            let net = cluster.net()?;
            let mut table =
                Table::new(&["an idle agent with one mount", "processor", "KB/s received", "KB/s sent", "a node of the cell, processor"]);
            for hosts in std::iter::once(0).chain(CELLS) {
                // An account of its own, whose cells nobody is in who has just gone.
                let home = cluster.home(1, 2)?;
                let host = net.lan.host(&format!("h{hosts}"))?;
                let arguments = |name: &str| -> Result<Vec<String>> {
                    let (_, file) = HostAgent::credential(scratch, &cluster.nodes[0].url(), &home.key, name)?;
                    Ok(vec!["--mesh-credential-file".to_owned(), file])
                };
                let own = if hosts == 0 { Vec::new() } else { arguments(&format!("own-{hosts}"))? };
                let agent = HostAgent::start_with(Some(&host), scratch, &own.iter().map(String::as_str).collect::<Vec<_>>())?;
                // On a machine of their own, so that their bytes are not counted.
                let crowd = net.lan.host(&format!("c{hosts}"))?;
                let neighbours = (1..hosts).map(|number| neighbour(&crowd, scratch, number, &arguments(&format!("n-{hosts}-{number}"))?));
                let neighbours = neighbours.collect::<Result<Vec<_>>>()?;
                let tenant = format!("t{hosts}");
                let mount = Mount::new_in(&host, scratch, &tenant, &Credential::Ticket(cluster.ticket(0, &home, &tenant)?))?;
                ensure!(agent.serves(&mount)?, "the mount was not handed over");
                if hosts > 0 {
                    wait_until("all are in the cell", PATIENCE, || {
                        Ok(mount.status()?["gossip"]["members"].as_u64() >= Some(hosts as u64 + 2))
                    })?;
                }
                let node = cluster.nodes[1].process()?;
                let (before, node_before) = (Taken::of(agent.process())?, node.cpu_seconds().context("cpu")?);
                sleep(IDLE);
                let (after, node_after) = (Taken::of(agent.process())?, node.cpu_seconds().context("cpu")?);
                let seconds = IDLE.as_secs_f64();
                let name = if hosts == 0 { "two streams".to_owned() } else { format!("two streams, and a cell of {hosts} hosts") };
                table.row(vec![
                    name,
                    format!("{:.2} %", 100.0 * (after.cpu_seconds - before.cpu_seconds) / seconds),
                    format!("{:.1}", (after.received - before.received) as f64 / 1e3 / seconds),
                    format!("{:.1}", (after.sent - before.sent) as f64 / 1e3 / seconds),
                    format!("{:.2} %", 100.0 * (node_after - node_before) / seconds),
                ]);
                mount.tear_down()?;
                drop(neighbours);
            }
            println!();
            table.print();
            println!("the node owns the account's shard; what 1,000 sessions cost a node is in the benchmark of agents");
            Ok(())
        })
    })
}

/// Another host of the cell: an agent without mounts.
fn neighbour(host: &Host, scratch: &Arc<Scratch>, number: usize, arguments: &[String]) -> Result<HostAgent> {
    let socket = scratch.join(format!("run/neighbour-{number}.sock")).to_string_lossy().into_owned();
    let mut all: Vec<&str> = arguments.iter().map(String::as_str).collect();
    all.extend(["--socket", &socket]);
    HostAgent::start_with(Some(host), scratch, &all)
}

/// What a process, and the network that it is in, have taken so far.
struct Taken {
    cpu_seconds: f64,
    received: u64,
    sent: u64,
}

impl Taken {
    fn of(process: Process) -> Result<Self> {
        let text = fs::read_to_string(format!("/proc/{}/net/dev", process.pid()))?;
        let (mut received, mut sent) = (0, 0);
        for line in text.lines().skip(2).filter(|line| !line.trim_start().starts_with("lo:")) {
            let numbers: Vec<u64> = line
                .split_once(':')
                .map_or("", |(_, numbers)| numbers)
                .split_whitespace()
                .filter_map(|number| number.parse().ok())
                .collect();
            received += numbers.first().copied().unwrap_or(0);
            sent += numbers.get(8).copied().unwrap_or(0);
        }
        Ok(Self { cpu_seconds: process.cpu_seconds().context("cpu")?, received, sent })
    }
}
