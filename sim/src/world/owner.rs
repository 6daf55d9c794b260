//! What the owner of the workspace decides, and what it tells, as long as it may.

use artifacts_core::SessionId;
use artifacts_core::cluster::Claim;
use artifacts_core::namespace::Errno;
use artifacts_core::protocol::{FenceReason, ServerFrame};
use artifacts_core::session::Phase;

use super::event::{End, Event, session_of};
use super::host::{Place, Unit};
use super::world::{LEASE_MS, RECALL_LIMIT_US, World, life_of};
use crate::node::{Durable, Todo};
use crate::ring::HOSTS;
use crate::store::Part;

impl World {
    /// Does what a node wants.
    pub(super) fn pump_unit(&mut self, host: usize) {
        loop {
            let now_ms = self.hosts[host].clock.ms(self.now_us);
            let Some(unit) = self.hosts[host].workspace.serving_mut() else { return };
            let (todos, number, epoch) = (std::mem::take(&mut unit.node.todo), unit.number, unit.epoch);
            if todos.is_empty() {
                return;
            }
            let is_owner = self.store.is_owner(Part::Workspace, epoch);
            for todo in todos {
                match todo {
                    todo @ (Todo::Send(..) | Todo::Welcome { .. }) => {
                        let Some(unit) = self.hosts[host].workspace.serving_mut() else { return };
                        match unit.ownership.claim(now_ms) {
                            Claim::Holds { .. } if unit.outbox.is_empty() => self.tell(host, epoch, todo),
                            Claim::Lost => {}
                            _ => unit.outbox.push_back(todo),
                        }
                    }
                    Todo::Flush(durable) => self.flush(host, number, epoch, durable),
                    Todo::Recalled(lease) => {
                        let delay_us = RECALL_LIMIT_US;
                        self.after(delay_us, Event::RecallExpired { host, unit: number, epoch: lease });
                    }
                    // The store refuses the write, so nobody is told what depends on it.
                    Todo::Record(..) | Todo::Outlived(_) | Todo::Unsaved(_) if !is_owner => {
                        if let Some(unit) = self.hosts[host].workspace.serving_mut() {
                            unit.ownership.lose();
                        }
                        self.lost_part(host, Part::Workspace);
                    }
                    // What is decided by who is the owner no more concerns nobody.
                    _ if !is_owner => {}
                    todo => self.note(host, epoch, todo),
                }
            }
            if !is_owner {
                return;
            }
        }
    }

    /// What is to be known of what an owner has decided.
    pub(super) fn note(&mut self, host: usize, epoch: u64, todo: Todo) {
        match todo {
            Todo::Sealed { session, applied } => self.sealed(life_of(session), applied),
            Todo::Fenced(session, reason) => self.note_fenced(session, reason),
            Todo::Record(session, phase) => {
                if phase == Phase::Lapsed {
                    self.lives[life_of(session)].lapsed_us.get_or_insert(self.now_us);
                }
                self.store.record(epoch, session, phase);
            }
            Todo::Outlived(sessions) => {
                self.tally.outlived += sessions.len() as u64;
                self.store.outlived(epoch, sessions);
            }
            Todo::Unsaved(session) => self.store.unsaved(epoch, session),
            Todo::Returned(session) => self.store.returned(epoch, session),
            Todo::Took { session, seq, time } => self.note_taken(session, seq, time),
            Todo::Holds(resource, held) => self.note_holder(&resource, &held),
            Todo::Recovered { is_whole } => {
                self.says(|| {
                    format!("node {host} has what came back, {}", if is_whole { "all of it" } else { "but not all of it in its place" })
                });
                self.is_lossy |= !is_whole;
            }
            Todo::Send(..) | Todo::Welcome { .. } | Todo::Flush(_) | Todo::Recalled(_) => {}
        }
    }

    pub(super) fn flush(&mut self, host: usize, unit: u64, epoch: u64, durable: Box<Durable>) {
        let now_ms = self.hosts[host].clock.ms(self.now_us);
        self.numbers += 1;
        let number = self.numbers;
        if let Some(of) = self.hosts[host].workspace.serving_mut() {
            of.flush_sent = Some((number, now_ms));
        }
        let goes = self.weather.write(self.now_us, &mut self.random);
        if let Some(at_us) = self.weather.store_us(End::Host(host), End::Store, self.now_us, &mut self.random) {
            let at_us = at_us.max(self.hosts[host].last_write_us + 1);
            self.hosts[host].last_write_us = at_us;
            self.at(at_us, Event::StoreFlushes { host, unit, number, epoch, durable, goes });
        }
    }

    /// Tells what was held back until the node knew to be the owner.
    pub(super) fn tell_held_back(&mut self, host: usize) {
        loop {
            let now_ms = self.hosts[host].clock.ms(self.now_us);
            let Some(unit) = self.hosts[host].workspace.serving_mut() else { return };
            match unit.ownership.claim(now_ms) {
                Claim::Holds { .. } => {}
                Claim::Lost => return unit.outbox.clear(),
                Claim::Unproven => return,
            }
            let (epoch, Some(todo)) = (unit.epoch, unit.outbox.pop_front()) else { return };
            self.tell(host, epoch, todo);
        }
    }

    /// Tells a mount something, as the owner.
    pub(super) fn tell(&mut self, host: usize, epoch: u64, todo: Todo) {
        if epoch < self.acted_until {
            self.violations
                .push(format!("OWNERS: node {host} acts as the owner of epoch {epoch} after one of epoch {} has", self.acted_until));
        }
        self.acted_until = self.acted_until.max(epoch);
        match todo {
            Todo::Send(session, frame) => {
                self.note_told(session, &frame);
                self.send_to_mount(host, session, |life, connection| Event::ToMount { life, connection, host, frame });
            }
            Todo::Welcome { session, durable_seq } => {
                self.send_to_mount(host, session, |life, connection| Event::Welcomed { life, connection, host, durable_seq });
            }
            _ => {}
        }
    }

    pub(super) fn note_told(&mut self, session: SessionId, frame: &ServerFrame) {
        if let ServerFrame::Applied(results) = frame
            && let Some(last) = results.iter().filter(|result| result.result != Err(Errno::EPROTO)).map(|result| result.seq).max()
        {
            let told = self.told.entry(session).or_default();
            *told = (*told).max(last);
        }
    }

    /// A mount may have heard that its session is over from an owner whose word of that never reached the store. It does not come back, and
    /// its session runs out.
    pub(super) fn end_what_is_over(&mut self, life: usize) {
        let of = &mut self.lives[life];
        let is_over = of.mount.as_ref().is_some_and(|mount| mount.standing.fenced().is_some());
        if is_over && !of.is_sealed && !std::mem::replace(&mut of.runs_out, true) {
            self.after(LEASE_MS * 1_000, Event::EndSession(life));
        }
    }

    /// A session whose mount is known to be gone ends.
    pub(super) fn end_session(&mut self, life: usize) {
        let now_us = self.now_us;
        let serves = |&host: &usize| {
            let of = &self.hosts[host];
            let now_ms = of.clock.ms(now_us);
            let is_owner = |unit: &Unit| {
                matches!(unit.ownership.claim(now_ms), Claim::Holds { .. }) && self.store.is_owner(Part::Workspace, unit.epoch)
            };
            of.frozen_until_us <= now_us && matches!(&of.workspace, Place::Serving(unit) if is_owner(unit))
        };
        let Some(host) = (0..HOSTS).find(serves) else { return self.after(5_000, Event::EndSession(life)) };
        if let Some(unit) = self.hosts[host].workspace.serving_mut() {
            unit.node.end(session_of(life), FenceReason::LeaseLost);
        }
        self.pump_unit(host);
        // It may have died before its hello came.
        self.lives[life].is_sealed = true;
    }
}
