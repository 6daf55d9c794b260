//! What becomes of each event.

use artifacts_core::cluster::Claim;

use super::event::{Event, Write};
use super::world::{HEARTBEAT_US, World};
use crate::node::Durable;
use crate::store::Part;

impl World {
    pub(super) fn handle(&mut self, event: Event) {
        if event.host().is_some_and(|host| self.hosts[host].is_down) && event.way().is_none() {
            return;
        }
        match event {
            Event::Act(client) => self.act(client),
            Event::Beat(life) => {
                let now_us = self.lives[life].clock.us(self.now_us);
                if let Some(mount) = self.lives[life].mount.as_mut().filter(|mount| mount.standing.fenced().is_none()) {
                    mount.beat(now_us);
                    self.after(HEARTBEAT_US, Event::Beat(life));
                    self.pump(life);
                    self.look_at_stream(life);
                }
            }
            Event::Tick { host, host_life } if self.hosts[host].life == host_life => self.tick(host),
            Event::Tick { .. } => {}
            Event::Start(host) => self.start(host),
            Event::Gossip { to, words, records, .. } => {
                let of = &mut self.hosts[to];
                let now_ms = of.clock.ms(self.now_us);
                of.ring.hear(&words, now_ms);
                records.iter().for_each(|record| self.learn(to, record));
            }
            Event::ToNode { life, connection, host, frame } => self.frame_to_node(life, connection, host, frame),
            Event::ToMount { life, connection, frame, .. } => {
                let of = &mut self.lives[life];
                let now_us = of.clock.us(self.now_us);
                if of.link.connection == connection
                    && let Some(mount) = &mut of.mount
                {
                    of.heard_us = now_us;
                    mount.receive(frame, now_us);
                    self.pump(life);
                    self.end_what_is_over(life);
                }
            }
            Event::Hello { life, connection } => self.say_hello(life, connection),
            Event::HelloLate { life, connection } => self.hello_is_late(life, connection),
            Event::Attach { life, connection, host, resumes } => self.attach(life, connection, host, resumes),
            Event::Welcomed { life, connection, durable_seq, .. } => self.welcomed(life, connection, durable_seq),
            Event::Refused { life, connection, reason, .. } => {
                let of = &mut self.lives[life];
                let now_us = of.clock.us(self.now_us);
                if of.link.connection != connection {
                    return;
                }
                match &mut of.mount {
                    Some(mount) => {
                        mount.fenced(reason, now_us);
                        self.pump(life);
                        self.end_what_is_over(life);
                    }
                    // Nothing is mounted.
                    None => (of.is_dead, of.is_sealed) = (true, true),
                }
            }
            Event::Elsewhere { life, connection, owner, .. } => {
                if self.lives[life].link.connection == connection && !self.lives[life].is_dead {
                    self.try_another(life, owner);
                }
            }
            Event::LeaseEnds { life, end } => {
                if let Some(mount) = &mut self.lives[life].mount {
                    mount.end_lease(end);
                    self.pump(life);
                }
            }
            Event::Yield { to, part } => self.yields(to, part),
            Event::StoreOpens { host, host_life, part, asked_ms } => {
                let (epoch, had_let_go) = self.store.open(part);
                self.answer_from_store(host, Event::Opened { host, host_life, part, asked_ms, epoch, had_let_go });
            }
            Event::Opened { host, host_life, part, asked_ms, epoch, had_let_go } => {
                if self.hosts[host].life == host_life {
                    self.opened(host, part, asked_ms, epoch, had_let_go);
                }
            }
            Event::StoreLooks { host, host_life, owned, asked_ms } => {
                let is_owner = owned.is_some_and(|(part, epoch)| self.store.is_owner(part, epoch));
                self.answer_from_store(host, Event::Looked { host, host_life, owned, asked_ms, is_owner });
            }
            Event::Looked { host, host_life, owned, asked_ms, is_owner } => {
                if self.hosts[host].life == host_life {
                    self.looked(host, owned, asked_ms, is_owner);
                }
            }
            Event::StoreFlushes { host, unit, number, epoch, durable, goes } => {
                self.store_flushes((host, unit, number), epoch, durable, goes)
            }
            Event::Flushed { host, unit, number, durable, is_owner } => self.flushed((host, unit, number), durable, is_owner),
            Event::RecallExpired { host, unit, epoch } => {
                let now_ms = self.hosts[host].clock.ms(self.now_us);
                if let Some(of) = self.hosts[host].workspace.serving_mut().filter(|of| of.number == unit)
                    && matches!(of.ownership.claim(now_ms), Claim::Holds { .. })
                {
                    of.node.recall_expired(epoch, now_ms);
                    self.pump_unit(host);
                }
            }
            Event::EndSession(life) => self.end_session(life),
            Event::Broken { life, connection, for_us } => {
                if self.lives[life].link.connection == connection && !self.lives[life].is_dead {
                    self.break_stream(life, for_us);
                }
            }
            Event::Fault(fault) => self.go_wrong(fault),
            Event::Revoke(grant) => self.revoke(grant),
            Event::RecordStored { host, unit, record } => self.record_stored(host, unit, &record),
            Event::Push { from, to, unit, record } => self.pushed(from, to, unit, &record),
            Event::Pushed { host, by, unit, grant } => self.push_answered(host, by, unit, grant),
            Event::AsksNews { from, to, asked_ms, position } => self.answer_news(from, to, asked_ms, position),
            Event::News { host, news, asked_ms } => self.take_news(host, &news, asked_ms),
        }
    }

    pub(super) fn store_flushes(&mut self, (host, unit, number): (usize, u64, u64), epoch: u64, durable: Box<Durable>, goes: Write) {
        let counts = goes != Write::Fails && self.store.flush(epoch, &durable);
        if counts {
            // What sessions had done that were over when the flush began is durable with it.
            for session in std::mem::take(&mut self.departed) {
                if durable.progress.contains_key(&session) {
                    self.departed.insert(session);
                } else {
                    self.told.remove(&session);
                }
            }
        }
        let is_owner = self.store.is_owner(Part::Workspace, epoch);
        if goes != Write::Unanswered {
            self.answer_from_store(host, Event::Flushed { host, unit, number, durable: counts.then_some(durable), is_owner });
        }
    }

    pub(super) fn flushed(&mut self, (host, unit, number): (usize, u64, u64), durable: Option<Box<Durable>>, is_owner: bool) {
        let now_ms = self.hosts[host].clock.ms(self.now_us);
        let Some(of) = self.hosts[host].workspace.serving_mut().filter(|of| of.number == unit) else { return };
        if !is_owner {
            of.ownership.lose();
            return self.lost_part(host, Part::Workspace);
        }
        if of.flush_sent.is_some_and(|(sent, _)| sent == number) {
            of.flush_sent = None;
            of.node.flushed(durable.map(|durable| *durable), now_ms);
            self.pump_unit(host);
        }
    }
}
