//! Nodes take shards: whoever has one is asked to let go, the store is asked, the owner before is waited for.

use std::collections::{BTreeSet, VecDeque};

use artifacts_core::cluster::Ownership;
use artifacts_core::revocation::Feed;

use super::event::Event;
use super::host::{Account, Place, Unit};
use super::world::{FASTER, LEASE_MS, OPEN_MS, TTL_MS, World, YIELD_MS};
use crate::node::Node;
use crate::ring::HOSTS;
use crate::store::Part;

impl World {
    pub(super) fn begin_opening(&mut self, host: usize, part: Part) {
        let ask_at_ms = self.hosts[host].clock.ms(self.now_us) + YIELD_MS;
        match part {
            Part::Workspace => self.hosts[host].workspace = Place::Yielding { ask_at_ms },
            Part::Account => self.hosts[host].account = Place::Yielding { ask_at_ms },
        }
        for to in (0..HOSTS).filter(|&to| to != host) {
            self.datagram(host, to, Event::Yield { to, part });
        }
    }

    /// Another node asks for a shard.
    pub(super) fn yields(&mut self, host: usize, part: Part) {
        if !self.hosts[host].is_down {
            self.hosts[host].hosting.give_up(part.shard());
        }
    }

    pub(super) fn go_on_opening(&mut self, host: usize) {
        for part in Part::ALL {
            let of = &mut self.hosts[host];
            let now_ms = of.clock.ms(self.now_us);
            let (asks_at, asked, waits) = match part {
                Part::Workspace => opening(&of.workspace, now_ms),
                Part::Account => opening(&of.account, now_ms),
            };
            if asks_at {
                match part {
                    Part::Workspace => of.workspace = Place::Opening { asked_ms: now_ms },
                    Part::Account => of.account = Place::Opening { asked_ms: now_ms },
                }
                let host_life = of.life;
                if let Some(at_us) = self.ask_store(host) {
                    self.at(at_us, Event::StoreOpens { host, host_life, part, asked_ms: now_ms });
                }
            } else if asked {
                // Whatever comes of it, nobody waits for it.
                match part {
                    Part::Workspace => of.workspace = Place::Away,
                    Part::Account => of.account = Place::Away,
                }
                of.hosting.failed(part.shard(), false, now_ms * FASTER);
            } else if waits {
                self.begin_serving(host, part);
            }
        }
    }

    pub(super) fn opened(&mut self, host: usize, part: Part, asked_ms: u64, epoch: u64, had_let_go: bool) {
        let now_ms = self.hosts[host].clock.ms(self.now_us);
        let ownership = if had_let_go || self.faults.skips_grace {
            Ownership::handed_over(TTL_MS, asked_ms, [])
        } else {
            Ownership::opened(TTL_MS, asked_ms, now_ms, [])
        };
        let of = &mut self.hosts[host];
        let is_awaited = match part {
            Part::Workspace => matches!(of.workspace, Place::Opening { asked_ms: asked } if asked == asked_ms),
            Part::Account => matches!(of.account, Place::Opening { asked_ms: asked } if asked == asked_ms),
        };
        if !is_awaited {
            return;
        }
        match part {
            Part::Workspace => of.workspace = Place::Waiting { epoch, ownership, is_asking: None },
            Part::Account => of.account = Place::Waiting { epoch, ownership, is_asking: None },
        }
        self.tally.takeovers += u64::from(!had_let_go && epoch > 1);
        self.tally.handovers += u64::from(had_let_go && epoch > 1);
        self.go_on_opening(host);
    }

    /// Nobody else can act any more: serves what is stored.
    pub(super) fn begin_serving(&mut self, host: usize, part: Part) {
        self.numbers += 1;
        let (number, now_ms) = (self.numbers, self.hosts[host].clock.ms(self.now_us));
        match part {
            Part::Workspace => {
                let Place::Waiting { epoch, ownership, .. } = std::mem::replace(&mut self.hosts[host].workspace, Place::Away) else {
                    return;
                };
                if !self.store.is_owner(part, epoch) {
                    self.hosts[host].hosting.failed(part.shard(), true, now_ms * FASTER);
                    return;
                }
                self.judge_durable();
                let had_taken = self.told.clone();
                let stored = self.store.take_over();
                let node = Node::open(&stored, had_taken, self.faults, LEASE_MS, now_ms);
                let unit = Unit {
                    number,
                    epoch,
                    ownership,
                    node,
                    outbox: VecDeque::new(),
                    asked_ms: None,
                    flush_sent: None,
                    closes_since_ms: None,
                };
                self.hosts[host].workspace = Place::Serving(unit);
                self.says(|| format!("node {host} serves the workspace"));
                // Whoever is on record and was revoked meanwhile is over before anybody is served.
                let grants: BTreeSet<usize> = self.recent().map(|life| self.lives[life].grant).collect();
                let revoked: Vec<usize> = grants.into_iter().filter(|&grant| !self.stands(host, grant)).collect();
                for grant in revoked {
                    self.enforce(host, grant);
                }
                // What is whole from the beginning needs no grace.
                self.pump_unit(host);
            }
            Part::Account => {
                let Place::Waiting { epoch, ownership, .. } = std::mem::replace(&mut self.hosts[host].account, Place::Away) else { return };
                if !self.store.is_owner(part, epoch) {
                    self.hosts[host].hosting.failed(part.shard(), true, now_ms * FASTER);
                    return;
                }
                let mut feed = Feed::new(number);
                let records = self.store.revocations.clone();
                records.iter().for_each(|signed| feed.push(signed.clone()));
                let account = Account { number, epoch, ownership, asked_ms: None, feed, followed_ms: [None; HOSTS], calls: Vec::new() };
                self.hosts[host].account = Place::Serving(account);
                self.says(|| format!("node {host} serves the account"));
                for signed in records {
                    self.learn(host, &signed);
                }
            }
        }
        self.hosts[host].hosting.opened(part.shard(), now_ms * FASTER);
    }
}

/// Of a place: whether it is time to ask the store, whether it was asked in vain, whether the wait is over.
fn opening<U>(place: &Place<U>, now_ms: u64) -> (bool, bool, bool) {
    match place {
        Place::Yielding { ask_at_ms } => (now_ms >= *ask_at_ms, false, false),
        Place::Opening { asked_ms } => (false, now_ms >= asked_ms + OPEN_MS, false),
        Place::Waiting { ownership, .. } => (false, false, now_ms >= ownership.alone_from_ms()),
        Place::Away | Place::Serving(_) => (false, false, false),
    }
}
