//! Says in gossip what was revoked in this node's shards, and goes by what others say: a second way for revocations to spread, and
//! a second proof that a right stands, for whoever the push does not reach and who cannot ask the owner of an account.
//!
//! - **What is heard counts for its signature, whoever says it** ([`Evidence`](artifacts_core::revocation::Evidence)).
//! - **A beacon is signed only while it is proven that this node owns the shard**, and says what the log held at its moment or later.
//! - **Only shards that somebody asks about have beacons**, so a shard that is not in use costs nothing.
//! - What is said is bounded: the newest records, one beacon for all shards, the last question of each member.
//!
//! `docs/design/0015-revocation-mesh.md` tells why.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use artifacts_core::cluster::{Region, Seat, Shard};
use artifacts_core::name::NodeName;
use artifacts_core::revocation::rumour::{ASK, BEACON, CLOCK, RECORDS, WANTS};
use artifacts_core::revocation::{
    BEACON_SHARDS_MAX, Beacon, READINGS_MAX, Reading, Readings, Recent, RevocationRecord, ShardHead, Signed, SignedBeacon, SignedReadings,
    SignedRevocation, Taken, from_text, to_text,
};
use artifacts_core::ticket::VerifyingKeys;
use tokio::time::MissedTickBehavior;

use super::Fleet;
use super::handle::Inner;
use super::place::Home;
use crate::ring::Rumours;

/// How often to say how things stand.
const PERIOD: Duration = Duration::from_millis(250);
/// How often to ask others for the time of their clocks.
const ASK_MS: u64 = 5_000;
/// For how long after a node has asked for a shard's revocations there are beacons of it, even if gossip says of nobody that it
/// wants them.
const FOLLOWED_MS: u64 = 10_000;
/// How long a signing key has been published before beacons are signed with it: all nodes look every two seconds.
pub(super) const PUBLISHED_MS: u64 = 10_000;
/// To how many beacons go at once, and to how many records do.
const FEW: usize = 3;
const MANY: usize = 16;
/// How many shards a node may want beacons of: so they fit into a value of gossip.
const WANTS_MAX: usize = 500;
/// Of the records that were in a shard's log when it was opened so many are said again.
const SAID_AGAIN: u64 = 16;

/// What a node wants beacons of.
type Wants = Vec<(Region, Shard)>;

/// This node's part in it.
#[derive(Default)]
struct Gossip {
    /// What was heard and needs no second look.
    seen: BTreeMap<(NodeName, String), Arc<str>>,
    /// When this node has asked last.
    asked_ms: Option<u64>,
    /// The last question of each member, with what the clock said when it came.
    readings: BTreeMap<NodeName, Reading>,
    has_readings: bool,
    recent: Recent,
    /// Up to where each shard's feed was said, by the feed's name.
    said: BTreeMap<Shard, (u64, u64)>,
    /// The moment of the last beacon.
    last_ms: u64,
}

/// Speaks and listens for as long as there is a fleet.
pub(super) async fn run(fleet: Weak<Inner>) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut gossip = Gossip::default();
    let Some(mut rumours) = fleet.upgrade().map(|inner| inner.parts.ring.rumours()) else { return };
    loop {
        let Some(inner) = fleet.upgrade() else { return };
        let is_made = tokio::select! {
            _ = ticks.tick() => Some(false),
            () = inner.say_now.notified() => Some(true),
            changed = rumours.changed() => if changed.is_err() { return } else { None },
        };
        let fleet = Fleet(inner);
        let heard = rumours.borrow_and_update().clone();
        gossip.hear(&fleet, &heard);
        if let Some(is_made) = is_made {
            let pairs = gossip.speak(&fleet, &heard);
            if !pairs.is_empty() {
                fleet.ring().say(pairs, if is_made { MANY } else { FEW }).await;
            }
        }
    }
}

impl Gossip {
    /// Takes in what is new. What is signed with a key that is not known yet is looked at again.
    fn hear(&mut self, fleet: &Fleet, heard: &Rumours) {
        let mut keys = Keys { fleet, known: BTreeMap::new() };
        let mut revoked = Vec::new();
        for ((member, key), value) in heard.iter() {
            let place = (member.clone(), key.clone());
            if self.seen.get(&place).is_some_and(|seen| Arc::ptr_eq(seen, value)) {
                continue;
            }
            let is_done = match key.as_str() {
                ASK => self.take_question(fleet, member, value),
                CLOCK => take_readings(&mut keys, value),
                key if key.starts_with(BEACON) => take_beacon(&mut keys, value),
                key if key.starts_with(RECORDS) => take_records(&mut keys, value, &mut revoked),
                _ => true,
            };
            if is_done {
                self.seen.insert(place, value.clone());
            }
        }
        self.seen.retain(|place, _| heard.contains_key(place));
        self.readings.retain(|member, _| heard.keys().any(|(name, _)| name == member));
        if !revoked.is_empty() {
            metrics::counter!("artifacts_revocations_heard_total").increment(revoked.len() as u64);
            revoked.into_iter().for_each(|record| fleet.enforce_heard(record));
        }
    }

    fn take_question(&mut self, fleet: &Fleet, member: &NodeName, value: &str) -> bool {
        if let Some(nonce) = from_text::<u64>(value)
            && self.readings.get(member).is_none_or(|reading| reading.nonce != nonce)
        {
            let at_ms = fleet.clock().monotonic_ms();
            self.readings.insert(member.clone(), Reading { nonce, at_ms });
            self.has_readings = true;
        }
        true
    }

    /// What is to be said now.
    fn speak(&mut self, fleet: &Fleet, heard: &Rumours) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        let is_alone = || fleet.ring().view().members.iter().filter(|member| member.live).count() < 2;
        if heard.is_empty() && fleet.0.cells.is_idle() && is_alone() {
            return pairs;
        }
        let now_ms = fleet.clock().monotonic_ms();
        if self.asked_ms.is_none_or(|asked_ms| now_ms.saturating_sub(asked_ms) >= ASK_MS) {
            let mut nonce = [0; 8];
            fleet.entropy().fill(&mut nonce);
            let nonce = u64::from_le_bytes(nonce);
            fleet.0.evidence.lock().ask(nonce, now_ms);
            self.asked_ms = Some(now_ms);
            pairs.push((ASK.to_owned(), to_text(&nonce)));
        }
        let wants: Wants = fleet.accounts_in_use().into_iter().take(WANTS_MAX).map(|seat| (seat.region, seat.shard)).collect();
        pairs.push((WANTS.to_owned(), to_text(&wants)));
        self.say_records(fleet, &mut pairs);
        let Some((kid, key)) =
            fleet.common().key_ring.read().settled(fleet.clock().wall(), PUBLISHED_MS).map(|(kid, key)| (kid.to_owned(), key))
        else {
            return pairs;
        };
        let (region, clock) = (fleet.regions().here().clone(), fleet.0.clock_id);
        if std::mem::take(&mut self.has_readings) {
            let readings = self.readings.values().take(READINGS_MAX).copied().collect();
            let readings = Readings { region: region.clone(), clock, readings };
            pairs.push((CLOCK.to_owned(), to_text(&Signed::sign(readings, &kid, &key))));
        }
        let at_ms = now_ms.max(self.last_ms + 1);
        self.last_ms = at_ms;
        let mut wanted = wanted(heard, &region);
        wanted.extend(fleet.0.cells.seats().into_iter().filter(|seat| seat.region == region).map(|seat| seat.shard));
        let heads: Vec<ShardHead> = heads(fleet, &wanted, now_ms);
        for (number, shards) in heads.chunks(BEACON_SHARDS_MAX).enumerate() {
            let beacon = Beacon { region: region.clone(), clock, at_ms, shards: shards.to_vec() };
            let signed = Signed::sign(beacon, &kid, &key);
            let text = to_text(&signed);
            fleet.0.cells.offer_beacon(&signed, &text);
            pairs.push((format!("{BEACON}{number}"), text));
        }
        pairs
    }

    /// What was revoked since the last time, in all shards that are here.
    fn say_records(&mut self, fleet: &Fleet, pairs: &mut Vec<(String, String)>) {
        let mut changed = BTreeSet::new();
        let units = fleet.units();
        self.said.retain(|shard, _| units.iter().any(|unit| unit.shard == *shard));
        for unit in units {
            let feed = unit.context.log.lock();
            let said = self.said.get(&unit.shard).filter(|(id, _)| *id == feed.id());
            let from = said.map_or(feed.len().saturating_sub(SAID_AGAIN), |(_, number)| *number);
            let seat = Seat { region: fleet.regions().here().clone(), shard: unit.shard };
            for (_, signed) in feed.since(from) {
                fleet.0.cells.offer_record(&seat, signed);
                changed.insert(self.recent.push(signed.clone()));
            }
            self.said.insert(unit.shard, (feed.id(), feed.len()));
        }
        pairs.extend(changed.into_iter().map(|slot| (format!("{RECORDS}{slot}"), to_text(&self.recent.slot(slot).to_vec()))));
    }
}

/// The shards of this region that anybody wants beacons of.
fn wanted(heard: &Rumours, here: &Region) -> BTreeSet<Shard> {
    let said = heard.iter().filter(|((_, key), _)| key == WANTS).filter_map(|(_, value)| from_text::<Wants>(value));
    said.flatten().filter(|(region, _)| region == here).map(|(_, shard)| shard).collect()
}

/// What the logs of the shards hold that are here and wanted. Called after the moment was taken for which it is said.
fn heads(fleet: &Fleet, wanted: &BTreeSet<Shard>, now_ms: u64) -> Vec<ShardHead> {
    let since_ms = now_ms.saturating_sub(FOLLOWED_MS);
    let mut heads = Vec::new();
    for unit in fleet.units().into_iter().filter(|unit| wanted.contains(&unit.shard) || unit.is_followed_since(since_ms)) {
        let head = unit.context.log.lock().head();
        match unit.epoch().filter(|_| unit.is_proven()) {
            Some(epoch) => heads.push(ShardHead { shard: unit.shard, epoch, head }),
            None => drop(tokio::spawn(async move { unit.vouch().await })),
        }
    }
    heads
}

/// The keys that count in each region, looked up once.
struct Keys<'a> {
    fleet: &'a Fleet,
    known: BTreeMap<Region, VerifyingKeys>,
}

impl Keys<'_> {
    fn of(&mut self, region: &Region) -> &VerifyingKeys {
        let fleet = self.fleet;
        self.known.entry(region.clone()).or_insert_with(|| {
            if fleet.is_here(region) {
                fleet.common().key_ring.read().verifying_keys()
            } else {
                fleet.common().abroad.read().verifying_keys(region).unwrap_or_default()
            }
        })
    }
}

fn take_readings(keys: &mut Keys<'_>, value: &str) -> bool {
    let Some(signed) = from_text::<SignedReadings>(value) else { return true };
    let (fleet, now_ms) = (keys.fleet, keys.fleet.clock().monotonic_ms());
    fleet.0.evidence.lock().take_readings(&signed, keys.of(&signed.content.region), now_ms) != Taken::Refused
}

fn take_beacon(keys: &mut Keys<'_>, value: &str) -> bool {
    let Some(signed) = from_text::<SignedBeacon>(value) else { return true };
    let (fleet, now_ms) = (keys.fleet, keys.fleet.clock().monotonic_ms());
    let taken = fleet.0.evidence.lock().take_beacon(&signed, keys.of(&signed.content.region), now_ms);
    if taken == Taken::News {
        fleet.0.cells.offer_beacon(&signed, value);
    }
    taken != Taken::Refused
}

/// Those that are news are put with `revoked`: what stands on them is still to be ended.
fn take_records(keys: &mut Keys<'_>, value: &str, revoked: &mut Vec<RevocationRecord>) -> bool {
    let fleet = keys.fleet;
    let mut is_done = true;
    for signed in from_text::<Vec<SignedRevocation>>(value).unwrap_or_default() {
        let region = fleet.regions().of_marked(&signed.kid).clone();
        let Some(seat) = fleet.seat(&Home::of(&region, signed.record.account)) else {
            is_done = false;
            continue;
        };
        let keys = keys.of(&region);
        let (mut register, mut evidence) = (fleet.common().revocations.write(), fleet.0.evidence.lock());
        let taken = evidence.take_record(&seat, &signed, keys, &mut register);
        if taken != Taken::Refused {
            fleet.0.cells.offer_record(&seat, &signed);
        }
        match taken {
            Taken::News => revoked.push(signed.record),
            Taken::Known => {}
            Taken::Refused => is_done = false,
        }
    }
    is_done
}
