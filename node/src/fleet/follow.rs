//! Follows what is revoked in accounts whose workspaces are here and whose owner is another node.
//!
//! A revocation is pushed to all nodes as it is made, which ends access at once. This is for whoever the push did not reach: the
//! owners of the accounts of all open sessions are asked several times a second what is new. **A session is vouched for only
//! while the last answer was asked for within [`CURRENT_MS`]**, or gossip proves as much ([`super::beacons`]); so a node that hears
//! nothing of an account's owner stops to vouch by itself, and its mounts stall.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use artifacts_core::cluster::{Region, Seat, Shard};
use artifacts_core::mesh::Member;
use artifacts_core::name::NodeName;
use artifacts_core::revocation::{News, Position, RevocationRecord};
use parking_lot::Mutex;
use tokio::time::MissedTickBehavior;

use super::Fleet;
use super::find::Found;
use super::handle::Inner;
use super::peer::PeerCall;
use super::place::Home;
use crate::time::pause;

/// For how long after it was asked for an answer counts, in milliseconds.
pub(super) const CURRENT_MS: u64 = 1_000;
/// How often to ask.
const PERIOD: Duration = Duration::from_millis(200);
/// And at most, however many wait.
const GAP: Duration = Duration::from_millis(5);

impl Fleet {
    /// Whether everything that was revoked in a shard's accounts until [`CURRENT_MS`] ago is known here.
    pub(super) fn is_current(&self, seat: &Seat) -> bool {
        match self.unit(seat.shard).filter(|_| self.is_here(&seat.region)) {
            Some(unit) => unit.is_proven(),
            None => {
                let now_ms = self.clock().monotonic_ms();
                let is_told = self.0.following.lock().get(seat).is_some_and(|following| following.is_current(now_ms, CURRENT_MS));
                is_told || self.0.evidence.lock().age_ms(seat, now_ms).is_some_and(|age_ms| age_ms < CURRENT_MS)
            }
        }
    }

    /// Asks one member about some shards of its region once; by way of another node if there is no answer and gossip tells of
    /// revocations that are not known here.
    async fn follow(&self, member: &Member, wanted: Vec<(Shard, Position)>) {
        let Some(region) = member.facts.as_ref().map(|facts| Region::from(facts.region.as_str())) else { return };
        let mut asked_at_ms = self.clock().monotonic_ms();
        let mut answer = self.ask_member(member, &PeerCall::News(wanted.clone()), Duration::from_millis(CURRENT_MS)).await;
        let lacks = |(shard, _): &(Shard, Position)| {
            let seat = Seat { region: region.clone(), shard: *shard };
            self.0.evidence.lock().lacks_records(&seat)
        };
        if answer.is_err()
            && wanted.iter().any(lacks)
            && let Some(between) = self.somebody_else(member)
        {
            asked_at_ms = self.clock().monotonic_ms();
            let call = PeerCall::NewsOf(member.id.name.clone(), wanted);
            answer = self.ask_member(&between, &call, Duration::from_millis(2 * CURRENT_MS)).await;
        }
        let told = answer.and_then(|value| {
            let told = serde_json::from_value::<Vec<(Shard, News)>>(value);
            told.map_err(|error| super::peer::PeerError::Failed(error.to_string()))
        });
        let told = match told {
            Ok(told) => told,
            Err(error) => {
                tracing::debug!(%error, "the owner of accounts does not say what was revoked");
                return;
            }
        };
        let records: Vec<RevocationRecord> = told.iter().flat_map(|(_, news)| &news.records).cloned().collect();
        if !records.is_empty() {
            self.enforce(&records, Duration::ZERO).await;
        }
        // Only now: whoever is vouched for from here on stands on none of them.
        let (mut following, mut evidence) = (self.0.following.lock(), self.0.evidence.lock());
        for (shard, news) in told {
            let seat = Seat { region: region.clone(), shard };
            let known = following.entry(seat.clone()).or_default();
            if known.position().feed != news.position.feed {
                evidence.begin_anew(&seat);
            }
            news.records.iter().for_each(|record| evidence.admit(&seat, record));
            if let Some((clock, at_ms)) = news.clock {
                self.0.owner_clocks.lock().insert(seat.clone(), (asked_at_ms, clock, at_ms));
                evidence.read_clock(clock, asked_at_ms, at_ms, self.clock().monotonic_ms());
            }
            known.take(&news, asked_at_ms);
        }
    }

    /// A node that may reach one that this node does not; another one each time.
    fn somebody_else(&self, member: &Member) -> Option<Member> {
        let mut others = self.ring().view().members;
        others.retain(|other| other.live && other.id.name != member.id.name && other.id.name != *self.ring().me());
        let mut drawn = [0; 2];
        self.entropy().fill(&mut drawn);
        let turn = usize::from(u16::from_le_bytes(drawn)) % others.len().max(1);
        (!others.is_empty()).then(|| others.swap_remove(turn))
    }

    /// The shards of the accounts whose sessions are served here, or get proofs here, or whose hosts are in a cell with this node.
    pub(super) fn accounts_in_use(&self) -> BTreeSet<Seat> {
        let accounts = self.units().into_iter().flat_map(|unit| unit.sessions.accounts());
        let home = |(region, account): (Option<Region>, _)| Home::of(region.as_ref().unwrap_or(self.regions().here()), account);
        let mut in_use: BTreeSet<Seat> = accounts.filter_map(|account| self.seat(&home(account))).collect();
        in_use.extend(self.0.witnessed.lock().keys().cloned());
        in_use.extend(self.0.cells.seats());
        in_use
    }
}

/// Follows for as long as there is a fleet.
pub(super) async fn run(fleet: std::sync::Weak<Inner>) {
    let busy = Arc::new(Mutex::new(BTreeSet::<NodeName>::new()));
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let Some(inner) = fleet.upgrade() else { return };
        tokio::select! {
            _ = ticks.tick() => {}
            // The first sessions of an account need not wait for the next time.
            () = inner.follow_now.notified() => pause(GAP).await,
        }
        drop(inner);
        let Some(fleet) = fleet.upgrade().map(Fleet) else { return };
        let in_use = fleet.accounts_in_use();
        let mut by_owner: BTreeMap<NodeName, (Member, Vec<(Shard, Position)>)> = BTreeMap::new();
        let mut following = fleet.0.following.lock();
        following.retain(|seat, _| in_use.contains(seat));
        fleet.0.owner_clocks.lock().retain(|seat, _| in_use.contains(seat));
        for seat in in_use {
            let shard = seat.shard;
            match fleet.find(&Home::shard(&seat.region, shard)) {
                Found::Here(unit) if !unit.is_proven() => {
                    tokio::spawn(async move { unit.vouch().await });
                }
                Found::There(member) => {
                    let position = following.entry(seat).or_default().position();
                    by_owner.entry(member.id.name.clone()).or_insert((*member, Vec::new())).1.push((shard, position));
                }
                Found::Here(_) | Found::Nowhere | Found::OutOfReach(_) => {}
            }
        }
        drop(following);
        for (name, (member, wanted)) in by_owner {
            // One question at a time to each, so that answers come in order.
            if !busy.lock().insert(name.clone()) {
                continue;
            }
            let (fleet, busy) = (fleet.clone(), Arc::clone(&busy));
            tokio::spawn(async move {
                fleet.follow(&member, wanted).await;
                busy.lock().remove(&name);
            });
        }
    }
}
