//! The ring of control nodes: how its nodes learn what the owner of the account's shard has revoked.

use artifacts_core::mesh::{Facts, Incarnation, NodePhase};
use artifacts_core::protocol::VersionRange;
use artifacts_core::revocation::{Recent, SignedBeacon, SignedRevocation, from_text, to_text};

use super::authority::{self, Authority};
use super::case::Case;
use super::cost::{Cost, thread_cpu_us};
use super::mesh::{Event, Joining, Mesh};
use super::node_log::NodeLog;
use super::plan::{OWNER, Plan, RING_INTERVAL_MS, random};
use super::weather::Weather;

/// How often a node asks the owner of a feed what is new, one question at a time.
pub(super) const FOLLOW_US: u64 = 200_000;
/// How often the owner says how things stand.
const BEACON_US: u64 = 250_000;
/// To how many nodes a beacon goes at once, and to how many a record does.
const FEW: usize = 3;
const MANY: usize = 16;
/// So many nodes are seeds.
const SEEDS: usize = 3;

pub(super) const BEACON: &str = "rev-beacon-0";
pub(super) const RECORDS: &str = "rev-records-";

enum Timer {
    Measure,
    Beacon,
    Revoke(usize),
}

/// What each node learns and when, and what a member of the ring costs.
pub(super) async fn simulate(plan: &Plan, authority: &Authority) -> anyhow::Result<(Vec<NodeLog>, Cost)> {
    let weather = Weather::new(plan.settings.loss_ppm);
    let mut logs: Vec<NodeLog> = (0..plan.nodes.len()).map(|node| follow(plan, weather, node)).collect();
    let mut random = random(plan.settings.seed, 1);
    let joining = plan.nodes.iter().map(|region| node(*region, format!("node-{:016x}", random.next()))).collect();
    let mut mesh = Mesh::start("ring", joining, SEEDS, RING_INTERVAL_MS, weather, random).await?;
    mesh.at(plan.warm_us(), Timer::Measure);
    let first_us = mesh.random().below(BEACON_US);
    mesh.at(first_us, Timer::Beacon);
    plan.revoked_us.iter().enumerate().for_each(|(round, at_us)| mesh.at(*at_us, Timer::Revoke(round)));
    let (mut recent, mut seen, mut cpu_us) = (Recent::default(), vec![0; logs.len()], 0);
    while let Some(event) = mesh.next(plan.end_us()).await? {
        let now_us = mesh.now_us();
        match event {
            Event::Timer(Timer::Measure) => {
                mesh.forget_sent();
                cpu_us = thread_cpu_us();
            }
            Event::Timer(Timer::Beacon) => {
                mesh.at(now_us + BEACON_US, Timer::Beacon);
                logs[OWNER].beacons.push((now_us, now_us));
                mesh.say(OWNER, &[(BEACON.to_owned(), to_text(&authority.beacon(now_us)))], FEW).await?;
            }
            Event::Timer(Timer::Revoke(round)) => {
                let slots = Case::GOSSIPED.map(|case| recent.push(authority.record(case, round, now_us)));
                let pairs = slots.map(|slot| (format!("{RECORDS}{slot}"), to_text(&recent.slot(slot).to_vec())));
                mesh.say(OWNER, &pairs, MANY).await?;
            }
            Event::News(node) => {
                for (key, value) in mesh.changed(node, OWNER, &mut seen[node]).await {
                    take(&mut logs[node], authority, now_us, &key, &value);
                }
            }
        }
    }
    let cost = Cost::of(&mesh, plan.end_us() - plan.warm_us(), thread_cpu_us() - cpu_us);
    Ok((logs, cost))
}

/// What a node learns on streams: of pushes, and by following the owner's feed.
fn follow(plan: &Plan, weather: Weather, node: usize) -> NodeLog {
    let heard_us = vec![[None; 2]; plan.rounds()];
    if node == OWNER {
        return NodeLog { is_owner: true, heard_us, ..NodeLog::default() };
    }
    let (mut random, region, owners) = (random(plan.settings.seed, 1_000 + node as u64), plan.nodes[node], plan.nodes[OWNER]);
    let pushed_us = plan.revoked_us.iter().map(|at_us| at_us + weather.stream_us(owners, region, &mut random)).collect();
    let mut log = NodeLog { pushed_us, heard_us, ..NodeLog::default() };
    let mut asked_us = random.below(FOLLOW_US);
    while asked_us < plan.end_us() {
        let seen_us = asked_us + weather.stream_us(region, owners, &mut random);
        let answered_us = seen_us + weather.stream_us(owners, region, &mut random);
        log.feed(answered_us, asked_us, seen_us);
        asked_us += (answered_us - asked_us).div_ceil(FOLLOW_US) * FOLLOW_US;
    }
    log
}

fn take(log: &mut NodeLog, authority: &Authority, now_us: u64, key: &str, value: &str) {
    if key == BEACON {
        let beacon = from_text::<SignedBeacon>(value).filter(|beacon| beacon.verifies(&authority.keys));
        log.beacons.extend(beacon.map(|beacon| (now_us, Authority::at_us(beacon.content.at_ms))));
    } else if key.starts_with(RECORDS) {
        for signed in from_text::<Vec<SignedRevocation>>(value).unwrap_or_default() {
            if let Some((case, round)) = authority::revoked(signed.record.target).filter(|_| signed.verifies(&authority.keys))
                && let Some(place) = case.gossiped()
            {
                log.heard_us[round][place].get_or_insert(now_us);
            }
        }
    }
}

/// A node, with what it says of itself.
pub(super) fn node(region: usize, name: String) -> Joining {
    let facts = Facts {
        api: format!("https://{name}.internal:7700"),
        stream: format!("https://{name}.example.com:7700"),
        region: format!("region-{region}"),
        protocol: VersionRange::OURS,
        release: env!("CARGO_PKG_VERSION").to_owned(),
        calls: Incarnation { generation: 1_760_000_000_000, salt: [1; 16] },
        phase: NodePhase::Serving,
        regions: String::new(),
        shards: None,
    };
    Joining { name, region, pairs: facts.pairs() }
}
