//! Streams, and what they carry.

use std::cmp::Reverse;

use artifacts_core::SessionId;
use artifacts_core::mount::LeaseEnd;
use artifacts_core::protocol::ClientFrame;
use artifacts_core::session::Standing;

use super::event::Event;
use super::world::{HEARTBEAT_US, INODES, LEASE_MS, PROOF_MS, RECALL_LIMIT_US, World, life_of};
use crate::mount::Mount;
use crate::node::Todo;
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
        of.hello_ms = self.now_us / 1_000;
        let at_us = of.link.arrival_at_node_us(self.now_us, &mut self.random);
        self.at(at_us, Event::Attach { life, connection });
    }

    pub(super) fn attach(&mut self, life: usize, connection: u64) {
        let of = &mut self.lives[life];
        if of.link.connection != connection {
            return;
        }
        let resumes = of.mount.is_some() || self.node.is_attached(of.session);
        if of.is_sealed {
            let at_us = of.link.arrival_at_mount_us(self.now_us, &mut self.random);
            return self.at(at_us, Event::Refused { life, connection });
        }
        of.attached = Some(connection);
        self.node.attach(of.session, resumes && of.mount.is_some(), self.now_us / 1_000);
        self.pump_node();
    }

    pub(super) fn welcomed(&mut self, life: usize, connection: u64, durable_seq: u64) {
        let of = &mut self.lives[life];
        if of.is_dead || of.link.connection != connection {
            return;
        }
        of.link.is_up = true;
        match &mut of.mount {
            Some(mount) => {
                let first = mount.relink(durable_seq, of.hello_ms, self.now_us);
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

    fn send_to_node(&mut self, life: usize, frames: Vec<ClientFrame>) {
        let link = &mut self.lives[life].link;
        for frame in frames {
            let at_us = link.arrival_at_node_us(self.now_us, &mut self.random);
            self.count += 1;
            self.queue.push(Reverse((at_us, self.count)));
            self.events.insert(self.count, Event::ToNode { life, connection: link.connection, frame });
        }
    }

    fn send_to_mount(&mut self, session: SessionId, event: impl FnOnce(usize, u64) -> Event) {
        let life = life_of(session);
        let of = &mut self.lives[life];
        if let Some(connection) = of.attached.filter(|_| !of.is_dead) {
            let at_us = of.link.arrival_at_mount_us(self.now_us, &mut self.random);
            self.at(at_us, event(life, connection));
        }
    }

    /// Does what the node wants.
    pub(super) fn pump_node(&mut self) {
        for todo in std::mem::take(&mut self.node.todo) {
            match todo {
                Todo::Send(session, frame) => self.send_to_mount(session, |life, connection| Event::ToMount { life, connection, frame }),
                Todo::Welcome { session, durable_seq } => {
                    self.send_to_mount(session, |life, connection| Event::Welcomed { life, connection, durable_seq });
                }
                Todo::Flush(durable) => {
                    let delay_us = 300 + self.random.below(3_000);
                    self.after(delay_us, Event::Flushed { node_life: self.node_life, durable });
                }
                Todo::Recalled(epoch) => self.after(RECALL_LIMIT_US, Event::RecallExpired { node_life: self.node_life, epoch }),
                Todo::Sealed { session, applied } => self.sealed(life_of(session), applied),
            }
        }
    }

    /// Sends what a mount wants to send, and lets its programs go on.
    pub(super) fn pump(&mut self, life: usize) {
        loop {
            let of = &mut self.lives[life];
            let Some(mount) = &mut of.mount else { return };
            if of.is_dead {
                return;
            }
            let out = mount.take_out();
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
    fn end_soon(&mut self, life: usize, end: LeaseEnd) {
        let delay_us = 50 + self.random.below(2_000);
        let of = &mut self.lives[life];
        of.ends_at_us = of.ends_at_us.max(self.now_us + delay_us) + 1;
        let at_us = of.ends_at_us;
        self.at(at_us, Event::LeaseEnds { life, end });
    }
}
