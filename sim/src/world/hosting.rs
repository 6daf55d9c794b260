//! Nodes: who is alive, who takes which shard, who may act.

use std::collections::{BTreeSet, VecDeque};

use artifacts_core::cluster::{Claim, HostCommand, Ownership};
use artifacts_core::revocation::Feed;
use artifacts_core::session::Phase;

use super::event::{End, Event, session_of};
use super::host::{Account, Host, Place, Unit};
use super::world::{CLOSE_MS, FASTER, LEASE_MS, OPEN_MS, STORE_MS, STRANDED_MS, SUSPECT_MS, TICK_US, TTL_MS, World, YIELD_MS};
use crate::node::Node;
use crate::ring::HOSTS;
use crate::store::Part;

impl World {
    /// A node looks at its clock.
    pub(super) fn tick(&mut self, host: usize) {
        self.after(TICK_US, Event::Tick { host, host_life: self.hosts[host].life });
        let of = &mut self.hosts[host];
        let now_ms = of.clock.ms(self.now_us);
        of.ticks += 1;
        of.ring.look(now_ms);
        if of.ticks.is_multiple_of(2) {
            self.gossip(host);
        }
        self.place(host);
        self.prove(host);
        self.tick_unit(host);
        if self.hosts[host].ticks.is_multiple_of(2) {
            self.ask_news(host);
        }
        self.go_on_calls(host);
        self.serve_waiting(host);
        self.leave(host);
    }

    fn gossip(&mut self, host: usize) {
        let of = &mut self.hosts[host];
        let now_ms = of.clock.ms(self.now_us);
        let is_stranded = of.store_asked_ms.is_some_and(|asked_ms| now_ms.saturating_sub(asked_ms) >= STRANDED_MS);
        let words = of.ring.speak(is_stranded, of.leaves_for_us.is_some(), now_ms);
        let records: Vec<_> = of.records.iter().rev().take(8).cloned().collect();
        for to in (0..HOSTS).filter(|&to| to != host) {
            let event = Event::Gossip { to, words, records: records.clone() };
            self.datagram(host, to, event);
        }
    }

    /// Sends a datagram, or a call that is not tried again, from one node to another.
    pub(super) fn datagram(&mut self, from: usize, to: usize, event: Event) {
        let far_us = if self.regions[from] == self.regions[to] { 0 } else { self.far_us };
        if let Some(at_us) = self.weather.datagram_us(End::Host(from), End::Host(to), far_us, self.now_us, &mut self.random) {
            self.at(at_us, event);
        }
    }

    /// Asks the store something. Answers when that arrives.
    fn to_store(&mut self, host: usize) -> Option<u64> {
        self.weather.store_us(End::Host(host), End::Store, self.now_us, &mut self.random)
    }

    /// The store answers.
    pub(super) fn from_store(&mut self, host: usize, event: Event) {
        if let Some(at_us) = self.weather.store_us(End::Store, End::Host(host), self.now_us, &mut self.random) {
            self.at(at_us, event);
        }
    }

    /// Takes and gives up shards as the ring suggests.
    fn place(&mut self, host: usize) {
        let first = self.first;
        let of = &mut self.hosts[host];
        let now_ms = of.clock.ms(self.now_us);
        let wants = |part: &Part| of.leaves_for_us.is_none() && of.ring.owner(*part, first, now_ms) == Some(host);
        let wanted: Vec<_> = Part::ALL.into_iter().filter(wants).map(Part::shard).collect();
        let sees_few = of.ring.sees_few(now_ms);
        // One that has just come may not know the others yet.
        if of.ticks * TICK_US / 1_000 > SUSPECT_MS {
            of.hosting.want(wanted);
        }
        of.hosting.see_few(sees_few);
        for command in of.hosting.step(now_ms * FASTER) {
            match command {
                HostCommand::Open(shard) => self.begin_opening(host, Part::of(shard)),
                HostCommand::Drop(shard) => self.drop_part(host, Part::of(shard)),
                HostCommand::Close(shard) => self.begin_closing(host, Part::of(shard)),
            }
        }
        self.go_on_opening(host);
    }

    fn begin_opening(&mut self, host: usize, part: Part) {
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

    fn go_on_opening(&mut self, host: usize) {
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
                if let Some(at_us) = self.to_store(host) {
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
    fn begin_serving(&mut self, host: usize, part: Part) {
        self.numbers += 1;
        let (number, now_ms) = (self.numbers, self.hosts[host].clock.ms(self.now_us));
        match part {
            Part::Workspace => {
                let Place::Waiting { epoch, ownership, .. } = std::mem::replace(&mut self.hosts[host].workspace, Place::Away) else { return };
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
                records.iter().for_each(|signed| feed.push(signed.record.clone()));
                let account =
                    Account { number, epoch, ownership, asked_ms: None, feed, followed_ms: [None; HOSTS], calls: Vec::new() };
                self.hosts[host].account = Place::Serving(account);
                self.says(|| format!("node {host} serves the account"));
                for signed in records {
                    self.learn(host, &signed);
                }
            }
        }
        self.hosts[host].hosting.opened(part.shard(), now_ms * FASTER);
    }

    /// Asks the store for proofs, and whether it can be reached.
    fn prove(&mut self, host: usize) {
        for part in Part::ALL {
            let host_life = self.hosts[host].life;
            let now_ms = self.hosts[host].clock.ms(self.now_us);
            let Some((epoch, ownership, is_asking)) = self.hosts[host].ownership(part) else { continue };
            let is_due = now_ms + 4 >= ownership.prove_by_ms(4);
            if is_due && is_asking.is_none_or(|asked_ms| now_ms >= asked_ms + STORE_MS) {
                *is_asking = Some(now_ms);
                if let Some(at_us) = self.to_store(host) {
                    self.at(at_us, Event::StoreLooks { host, host_life, owned: Some((part, epoch)), asked_ms: now_ms });
                }
                self.hosts[host].store_asked_ms.get_or_insert(now_ms);
            }
        }
        if self.hosts[host].ticks.is_multiple_of(5) {
            let (host_life, now_ms) = (self.hosts[host].life, self.hosts[host].clock.ms(self.now_us));
            if let Some(at_us) = self.to_store(host) {
                self.at(at_us, Event::StoreLooks { host, host_life, owned: None, asked_ms: now_ms });
            }
            self.hosts[host].store_asked_ms.get_or_insert(now_ms);
        }
    }

    pub(super) fn looked(&mut self, host: usize, owned: Option<(Part, u64)>, asked_ms: u64, is_owner: bool) {
        self.hosts[host].store_asked_ms = None;
        let Some((part, epoch)) = owned else { return };
        let Some((of, ownership, is_asking)) = self.hosts[host].ownership(part) else { return };
        if of != epoch {
            return;
        }
        *is_asking = None;
        if is_owner {
            ownership.prove(asked_ms);
        } else {
            ownership.lose();
            self.lost_part(host, part);
        }
        self.tell_held_back(host);
    }

    /// The store says that a shard is another's.
    pub(super) fn lost_part(&mut self, host: usize, part: Part) {
        let of = &mut self.hosts[host];
        let is_served = match part {
            Part::Workspace => of.workspace.serving().is_some(),
            Part::Account => of.account.serving().is_some(),
        };
        if is_served {
            of.hosting.lost(part.shard());
        } else {
            let now_ms = of.clock.ms(self.now_us);
            match part {
                Part::Workspace => of.workspace = Place::Away,
                Part::Account => of.account = Place::Away,
            }
            of.hosting.failed(part.shard(), true, now_ms * FASTER);
        }
    }

    fn tick_unit(&mut self, host: usize) {
        let of = &mut self.hosts[host];
        let now_ms = of.clock.ms(self.now_us);
        let Some(unit) = of.workspace.serving_mut() else { return };
        if unit.flush_sent.is_some_and(|(_, sent_ms)| now_ms >= sent_ms + STORE_MS) {
            // Nobody knows what has come of it: it is written again.
            unit.flush_sent = None;
            unit.node.flushed(None, now_ms);
        }
        if matches!(unit.ownership.claim(now_ms), Claim::Holds { .. }) {
            unit.node.tick(now_ms);
        }
        self.pump_unit(host);
        self.tell_held_back(host);
        self.go_on_closing(host);
    }

    fn begin_closing(&mut self, host: usize, part: Part) {
        let now_ms = self.hosts[host].clock.ms(self.now_us);
        match (part, self.hosts[host].workspace.serving_mut()) {
            (Part::Workspace, Some(unit)) => unit.closes_since_ms = Some(now_ms),
            _ => {
                if let Some(account) = self.hosts[host].account.serving()
                    && account.calls.is_empty()
                {
                    self.let_go(host, part, account.epoch);
                }
                self.drop_part(host, part);
            }
        }
    }

    /// Lets go of the workspace once all of it is durable, or when that takes too long.
    fn go_on_closing(&mut self, host: usize) {
        let now_ms = self.hosts[host].clock.ms(self.now_us);
        let Some(unit) = self.hosts[host].workspace.serving() else { return };
        let Some(since_ms) = unit.closes_since_ms else { return };
        if unit.ownership.claim(now_ms) == Claim::Lost {
            return self.drop_part(host, Part::Workspace);
        }
        let (epoch, is_saved) = (unit.epoch, !unit.node.is_unsaved());
        let may_act = matches!(unit.ownership.claim(now_ms), Claim::Holds { .. });
        if is_saved && may_act && unit.outbox.is_empty() {
            self.let_go(host, Part::Workspace, epoch);
        } else if now_ms < since_ms + CLOSE_MS {
            return;
        }
        self.drop_part(host, Part::Workspace);
    }

    fn let_go(&mut self, host: usize, part: Part, epoch: u64) {
        if self.weather.cut_until(End::Host(host), End::Store, self.now_us).is_none() {
            self.store.let_go(part, epoch);
            self.says(|| format!("node {host} has let go of the {}", part.name()));
        }
    }

    /// Nothing is left of a shard at a node.
    fn drop_part(&mut self, host: usize, part: Part) {
        match part {
            Part::Workspace => self.drop_workspace(host),
            Part::Account => self.hosts[host].account = Place::Away,
        }
        let now_ms = self.hosts[host].clock.ms(self.now_us);
        self.hosts[host].hosting.closed(part.shard(), now_ms * FASTER);
    }

    fn drop_workspace(&mut self, host: usize) {
        self.hosts[host].backlog.clear();
        self.hosts[host].waiting.clear();
        if let Place::Serving(unit) = std::mem::replace(&mut self.hosts[host].workspace, Place::Away) {
            self.says(|| format!("node {host} has dropped the workspace"));
            self.tally.counts.add(&unit.node.counts);
        }
        for life in self.recent() {
            if self.lives[life].attached.is_some_and(|(at, _)| at == host) {
                // What it had sent is on the wire, and arrives; what was sent to it is gone.
                self.lives[life].attached = None;
                let (after_us, for_us) = (self.lives[life].link.drained_us(self.now_us), 500 + self.random.below(20_000));
                let connection = self.lives[life].link.connection;
                self.after(after_us, Event::Broken { life, connection, for_us });
            }
        }
    }

    /// A node's process is gone.
    pub(super) fn crash(&mut self, host: usize, for_us: u64) {
        if self.hosts[host].is_down {
            return;
        }
        self.drop_workspace(host);
        let (life, clock) = (self.hosts[host].life + 1, self.hosts[host].clock);
        let frozen_until_us = self.hosts[host].frozen_until_us;
        self.hosts[host] = Host { is_down: true, frozen_until_us, ..Host::new(host, life, clock, SUSPECT_MS, self.now_us) };
        self.after(for_us, Event::Start(host));
    }

    /// A node's process starts.
    pub(super) fn start(&mut self, host: usize) {
        let (life, clock) = (self.hosts[host].life, self.hosts[host].clock);
        self.hosts[host] = Host::new(host, life, clock, SUSPECT_MS, self.now_us);
        self.after(0, Event::Tick { host, host_life: life });
    }

    /// One that is to stop does so when nothing is left of its shards.
    fn leave(&mut self, host: usize) {
        if let Some(for_us) = self.hosts[host].leaves_for_us
            && Part::ALL.into_iter().all(|part| self.hosts[host].is_away(part))
        {
            self.crash(host, for_us);
        }
    }

    /// Whether the workspace is served by a node that may act, and everything of it rests.
    pub(super) fn is_settled(&self) -> bool {
        let rests = |host: &Host| {
            let now_ms = host.clock.ms(self.now_us);
            host.workspace.serving().is_some_and(|unit| {
                let may_act = matches!(unit.ownership.claim(now_ms), Claim::Holds { .. });
                may_act && self.store.is_owner(Part::Workspace, unit.epoch) && unit.node.is_at_rest() && unit.closes_since_ms.is_none()
            })
        };
        let is_up = |host: &Host| !host.is_down && host.leaves_for_us.is_none() && host.frozen_until_us <= self.now_us;
        self.weather.is_fair(self.now_us) && self.hosts.iter().all(is_up) && self.hosts.iter().any(rests)
    }

    /// What was said to be durable is with the store.
    pub(super) fn judge_durable(&mut self) {
        for life in self.recent() {
            let of = &self.lives[life];
            let Some(mount) = &of.mount else { continue };
            let phase = self.store.workspace.sessions.get(&session_of(life));
            let is_open = phase.is_some_and(|phase| matches!(phase, Phase::Live | Phase::Lapsed));
            let stored = self.store.workspace.durable.progress.get(&session_of(life)).map_or(0, |progress| progress.applied);
            if is_open && mount.synced > stored {
                let synced = mount.synced;
                self.violations.push(format!(
                    "DURABILITY: mount {life} was told that its ops up to {synced} are durable, and the store has them up to {stored}"
                ));
            }
        }
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
