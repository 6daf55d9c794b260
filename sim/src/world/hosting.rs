//! Nodes: who is alive, who takes which shard, who may act.

use artifacts_core::cluster::{Claim, HostCommand};
use artifacts_core::session::Phase;

use super::event::{End, Event, session_of};
use super::host::{Host, Place};
use super::world::{CLOSE_MS, FASTER, STORE_MS, STRANDED_MS, SUSPECT_MS, TICK_US, World};
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

    pub(super) fn gossip(&mut self, host: usize) {
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
    pub(super) fn ask_store(&mut self, host: usize) -> Option<u64> {
        self.weather.store_us(End::Host(host), End::Store, self.now_us, &mut self.random)
    }

    /// The store answers.
    pub(super) fn answer_from_store(&mut self, host: usize, event: Event) {
        if let Some(at_us) = self.weather.store_us(End::Store, End::Host(host), self.now_us, &mut self.random) {
            self.at(at_us, event);
        }
    }

    /// Takes and gives up shards as the ring suggests.
    pub(super) fn place(&mut self, host: usize) {
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

    /// Asks the store for proofs, and whether it can be reached.
    pub(super) fn prove(&mut self, host: usize) {
        for part in Part::ALL {
            let host_life = self.hosts[host].life;
            let now_ms = self.hosts[host].clock.ms(self.now_us);
            let Some((epoch, ownership, is_asking)) = self.hosts[host].ownership(part) else { continue };
            let is_due = now_ms + 4 >= ownership.prove_by_ms(4);
            if is_due && is_asking.is_none_or(|asked_ms| now_ms >= asked_ms + STORE_MS) {
                *is_asking = Some(now_ms);
                if let Some(at_us) = self.ask_store(host) {
                    self.at(at_us, Event::StoreLooks { host, host_life, owned: Some((part, epoch)), asked_ms: now_ms });
                }
                self.hosts[host].store_asked_ms.get_or_insert(now_ms);
            }
        }
        if self.hosts[host].ticks.is_multiple_of(5) {
            let (host_life, now_ms) = (self.hosts[host].life, self.hosts[host].clock.ms(self.now_us));
            if let Some(at_us) = self.ask_store(host) {
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

    pub(super) fn tick_unit(&mut self, host: usize) {
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

    pub(super) fn begin_closing(&mut self, host: usize, part: Part) {
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
    pub(super) fn go_on_closing(&mut self, host: usize) {
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

    pub(super) fn let_go(&mut self, host: usize, part: Part, epoch: u64) {
        if self.weather.cut_until(End::Host(host), End::Store, self.now_us).is_none() {
            self.store.let_go(part, epoch);
            self.says(|| format!("node {host} has let go of the {}", part.name()));
        }
    }

    /// Nothing is left of a shard at a node.
    pub(super) fn drop_part(&mut self, host: usize, part: Part) {
        match part {
            Part::Workspace => self.drop_workspace(host),
            Part::Account => self.hosts[host].account = Place::Away,
        }
        let now_ms = self.hosts[host].clock.ms(self.now_us);
        self.hosts[host].hosting.closed(part.shard(), now_ms * FASTER);
    }

    pub(super) fn drop_workspace(&mut self, host: usize) {
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
    pub(super) fn leave(&mut self, host: usize) {
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
