//! Streams, and what they carry.

use std::cmp::Reverse;

use artifacts_core::SessionId;
use artifacts_core::cluster::Claim;
use artifacts_core::mount::LeaseEnd;
use artifacts_core::protocol::{ClientFrame, FenceReason, ServerFrame};
use artifacts_core::session::{Phase, Standing};

use super::event::{End, Event, session_of};
use super::world::{CURRENT_MS, HEARTBEAT_US, HELLO_US, INODES, LEASE_MS, PROOF_MS, SILENCE_US, World, life_of};
use crate::mount::Mount;
use crate::node::Todo;
use crate::ring::HOSTS;
use crate::store::Part;
use crate::tree::FIRST_FILE;

impl World {
    pub(super) fn break_stream(&mut self, life: usize, for_us: u64) {
        let of = &mut self.lives[life];
        of.link.break_off();
        of.attached = None;
        let connection = of.link.connection;
        if let Some(mount) = &mut of.mount {
            mount.unlink();
        }
        self.after(for_us, Event::Hello { life, connection });
    }

    pub(super) fn say_hello(&mut self, life: usize, connection: u64) {
        let of = &mut self.lives[life];
        if of.is_dead || of.link.connection != connection {
            return;
        }
        of.hello_ms = of.clock.ms(self.now_us);
        let at_us = of.link.arrival_at_node_us(self.now_us, &mut self.random);
        let (host, resumes) = (of.target, of.mount.is_some());
        self.at(at_us, Event::Attach { life, connection, host, resumes });
        self.after(HELLO_US, Event::HelloLate { life, connection });
    }

    /// A node that says nothing is left, and another is tried.
    pub(super) fn try_another(&mut self, life: usize, owner: Option<usize>) {
        let next = owner.unwrap_or((self.lives[life].target + 1) % HOSTS);
        self.lives[life].target = next;
        let delay_us = 500 + self.random.below(4_000);
        self.break_stream(life, delay_us);
    }

    pub(super) fn hello_is_late(&mut self, life: usize, connection: u64) {
        let of = &self.lives[life];
        if !of.is_dead
            && of.link.connection == connection
            && !of.link.is_up
            && of.mount.as_ref().is_none_or(|mount| mount.standing.fenced().is_none())
        {
            self.try_another(life, None);
        }
    }

    /// The mount looks whether its node still says anything.
    pub(super) fn look_at_stream(&mut self, life: usize) {
        let of = &self.lives[life];
        let silent_us = of.clock.us(self.now_us).saturating_sub(of.heard_us);
        if of.link.is_up && silent_us > SILENCE_US && !of.is_sealed {
            self.try_another(life, None);
        }
    }

    /// A hello has come to a node.
    pub(super) fn attach(&mut self, life: usize, connection: u64, host: usize, resumes: bool) {
        if self.lives[life].link.connection != connection {
            return;
        }
        let of = &mut self.hosts[host];
        let now_ms = of.clock.ms(self.now_us);
        if of.is_down || of.workspace.is_away() {
            let owner = of.ring.owner(Part::Workspace, self.first, now_ms).filter(|&owner| owner != host && !of.is_down);
            return self.answer_hello(life, host, Event::Elsewhere { life, connection, host, owner });
        }
        of.waiting.push((life, connection, resumes));
        self.serve_waiting(host);
    }

    pub(super) fn answer_hello(&mut self, life: usize, host: usize, event: Event) {
        if self.weather.cut_until(End::Host(host), End::Mount(life), self.now_us).is_none() {
            let at_us = self.lives[life].link.arrival_at_mount_us(self.now_us, &mut self.random);
            self.at(at_us, event);
        }
    }

    /// Serves hellos and frames that waited, if it is known now what was revoked.
    pub(super) fn serve_waiting(&mut self, host: usize) {
        let of = &mut self.hosts[host];
        let now_ms = of.clock.ms(self.now_us);
        let may_act = of
            .workspace
            .serving()
            .is_some_and(|unit| unit.closes_since_ms.is_none() && matches!(unit.ownership.claim(now_ms), Claim::Holds { .. }));
        if !may_act || !of.is_current(now_ms, CURRENT_MS) {
            return;
        }
        for (life, connection, resumes) in std::mem::take(&mut self.hosts[host].waiting) {
            self.open_stream(life, connection, host, resumes);
        }
        for (life, frames) in std::mem::take(&mut self.hosts[host].backlog) {
            for (connection, frame) in frames {
                self.take_frame(life, connection, host, frame);
            }
        }
    }

    pub(super) fn open_stream(&mut self, life: usize, connection: u64, host: usize, resumes: bool) {
        if self.lives[life].link.connection != connection {
            return;
        }
        let session = session_of(life);
        let phase = self.store.workspace.sessions.get(&session).copied();
        let refused = match phase {
            Some(Phase::Fenced(reason)) => Some(reason),
            Some(Phase::Ended) => Some(FenceReason::LeaseLost),
            None if resumes => Some(FenceReason::LeaseLost),
            _ => (!self.stands(host, self.lives[life].grant)).then_some(FenceReason::Revoked),
        };
        if let Some(reason) = refused {
            if reason == FenceReason::Revoked {
                // A session that is about to open is over before it is.
                self.lives[life].is_sealed |= phase.is_none();
            }
            return self.answer_hello(life, host, Event::Refused { life, connection, host, reason });
        }
        self.lives[life].attached = Some((host, connection));
        self.hosts[host].backlog.remove(&life);
        let now_ms = self.hosts[host].clock.ms(self.now_us);
        if let Some(unit) = self.hosts[host].workspace.serving_mut() {
            unit.node.attach(session, resumes, now_ms);
        }
        self.pump_unit(host);
    }

    pub(super) fn welcomed(&mut self, life: usize, connection: u64, durable_seq: u64) {
        let of = &mut self.lives[life];
        if of.is_dead || of.link.connection != connection {
            return;
        }
        of.link.is_up = true;
        let now_us = of.clock.us(self.now_us);
        of.heard_us = now_us;
        match &mut of.mount {
            Some(mount) => {
                let first = mount.relink(durable_seq, of.hello_ms, now_us);
                self.send_to_node(life, first);
            }
            None => {
                let standing = Standing::new(of.hello_ms, PROOF_MS, LEASE_MS, None);
                of.mount = Some(Mount::new(standing, FIRST_FILE + life as u64 * INODES, self.planted));
                self.after(HEARTBEAT_US, Event::Beat(life));
            }
        }
        self.pump(life);
    }

    pub(super) fn send_to_node(&mut self, life: usize, frames: Vec<ClientFrame>) {
        let host = self.lives[life].target;
        let link = &mut self.lives[life].link;
        for frame in frames {
            let at_us = link.arrival_at_node_us(self.now_us, &mut self.random);
            self.count += 1;
            self.queue.push(Reverse((at_us, self.count)));
            self.events.insert(self.count, Event::ToNode { life, connection: link.connection, host, frame });
        }
    }

    pub(super) fn send_to_mount(&mut self, host: usize, session: SessionId, event: impl FnOnce(usize, u64) -> Event) {
        let life = life_of(session);
        let of = &mut self.lives[life];
        if let Some((_, connection)) = of.attached.filter(|&(at, _)| at == host && !of.is_dead) {
            let at_us = of.link.arrival_at_mount_us(self.now_us, &mut self.random);
            self.at(at_us, event(life, connection));
        }
    }

    /// A frame has come to a node.
    pub(super) fn frame_to_node(&mut self, life: usize, connection: u64, host: usize, frame: ClientFrame) {
        if self.lives[life].attached != Some((host, connection)) || self.hosts[host].is_down {
            return;
        }
        let session = session_of(life);
        let grant = self.lives[life].grant;
        let of = &mut self.hosts[host];
        let now_ms = of.clock.ms(self.now_us);
        let is_current = of.is_current(now_ms, CURRENT_MS);
        let Some(unit) = of.workspace.serving_mut() else { return };
        if !unit.node.heard(session, now_ms) {
            unit.node.todo.push(Todo::Send(session, ServerFrame::Fenced(FenceReason::LeaseLost)));
            return self.pump_unit(host);
        }
        match frame {
            ClientFrame::Heartbeat { sent_ms } => {
                // Without knowing what was revoked it vouches for nobody.
                if is_current {
                    unit.node.beats(session, now_ms);
                    if self.stands(host, grant) {
                        if let Some(unit) = self.hosts[host].workspace.serving_mut() {
                            unit.node.todo.push(Todo::Send(session, ServerFrame::Proof { sent_ms }));
                        }
                    } else {
                        self.enforce(host, grant);
                    }
                }
                self.pump_unit(host);
            }
            ClientFrame::Goodbye => self.take_frame(life, connection, host, frame),
            frame if is_current && !self.hosts[host].backlog.contains_key(&life) => self.take_frame(life, connection, host, frame),
            frame => self.hosts[host].backlog.entry(life).or_default().push_back((connection, frame)),
        }
    }

    pub(super) fn take_frame(&mut self, life: usize, connection: u64, host: usize, frame: ClientFrame) {
        if self.lives[life].attached != Some((host, connection)) {
            return;
        }
        let now_ms = self.hosts[host].clock.ms(self.now_us);
        if let Some(unit) = self.hosts[host].workspace.serving_mut() {
            unit.node.receive(session_of(life), frame, now_ms);
        }
        self.pump_unit(host);
    }

    /// Sends what a mount wants to send, and lets its programs go on.
    pub(super) fn pump(&mut self, life: usize) {
        loop {
            let of = &mut self.lives[life];
            let now_us = of.clock.us(self.now_us);
            let Some(mount) = &mut of.mount else { return };
            if of.is_dead {
                return;
            }
            let out = mount.take_out(now_us);
            let held = std::mem::take(&mut of.held);
            self.lost.extend(out.lost);
            self.send_to_node(life, out.frames);
            for end in out.ends {
                self.end_soon(life, end);
            }
            for (client, answer) in held {
                self.answer(client, answer);
            }
            if out.came.is_empty() {
                return;
            }
            for (client, came) in out.came {
                self.go_on(client, came);
            }
        }
    }

    /// A thread of its own drops what the kernel believes, one end after the other.
    pub(super) fn end_soon(&mut self, life: usize, end: LeaseEnd) {
        let delay_us = 50 + self.random.below(2_000);
        let of = &mut self.lives[life];
        of.ends_at_us = of.ends_at_us.max(self.now_us + delay_us) + 1;
        let at_us = of.ends_at_us;
        self.at(at_us, Event::LeaseEnds { life, end });
    }
}
