//! What goes wrong, and whose sessions end of it.

use artifacts_tests::linearizability::files::Answer;

use super::event::{Event, Fault};
use super::world::{LEASE_MS, World};

impl World {
    /// Something goes wrong in this segment, or nothing.
    pub(super) fn plan_faults(&mut self, lives: &[usize]) {
        if self.random.below(16) == 0 {
            return self.plan(Fault::NodeCrash);
        }
        for _ in 0..[0, 0, 1, 1, 2][self.random.below(5) as usize] {
            let life = lives[self.random.below(lives.len() as u64) as usize];
            let short_us = 100 + self.random.below(20_000);
            let long_us = short_us + if self.random.below(3) == 0 { LEASE_MS * 1_500 } else { LEASE_MS * 300 };
            let fault = match self.random.below(8) {
                0..3 => Fault::Break { life, for_us: short_us },
                3 => Fault::Break { life, for_us: long_us },
                4 => Fault::Freeze { life, for_us: short_us },
                5 => Fault::Freeze { life, for_us: long_us },
                _ => Fault::Kill { life },
            };
            self.plan(fault);
        }
    }

    fn plan(&mut self, fault: Fault) {
        self.awaited_faults += 1;
        let delay_us = self.random.below(30_000);
        self.after(delay_us, Event::Fault(fault));
    }

    pub(super) fn go_wrong(&mut self, fault: Fault) {
        self.awaited_faults -= 1;
        match fault {
            Fault::Break { life, for_us } => {
                self.tally.breaks += 1;
                if !self.lives[life].is_dead {
                    self.break_stream(life, for_us);
                }
            }
            Fault::Freeze { life, for_us } => {
                self.tally.freezes += 1;
                let until_us = &mut self.lives[life].frozen_until_us;
                *until_us = (*until_us).max(self.now_us + for_us);
            }
            Fault::Kill { life } => self.kill(life),
            Fault::NodeCrash => self.crash_node(),
        }
    }

    fn kill(&mut self, life: usize) {
        if std::mem::replace(&mut self.lives[life].is_dead, true) {
            return;
        }
        self.tally.kills += 1;
        self.lives[life].link.break_off();
        if self.lives[life].is_sealed {
            // It has not heard of that, and never will.
            self.lives[life].mount = None;
        }
        for client in self.clients.iter_mut().filter(|client| client.life == life) {
            client.is_over = true;
            client.running = None;
        }
        let delay_us = LEASE_MS * 1_000 + self.random.below(100_000);
        self.after(delay_us, Event::EndSession(life));
    }

    fn crash_node(&mut self) {
        self.tally.crashes += 1;
        self.node_life += 1;
        self.node.crash(self.now_us / 1_000);
        self.node.todo.clear();
        for life in self.standing().collect::<Vec<_>>() {
            // What it had sent is on the wire, and arrives; what was sent to it is gone.
            self.lives[life].attached = None;
            let (after_us, for_us) = (self.lives[life].link.drained_us(self.now_us), 500 + self.random.below(20_000));
            let connection = self.lives[life].link.connection;
            self.after(after_us, Event::Broken { life, connection, for_us });
        }
    }

    /// Nothing of a session takes effect any more. What its mount had decided by itself and not sent is lost with it, and
    /// whoever saw that saw something that never was: programs on a mount that is gone.
    pub(super) fn sealed(&mut self, life: usize, applied: u64) {
        let of = &mut self.lives[life];
        of.is_sealed = true;
        let synced = of.mount.as_ref().map_or(0, |mount| mount.synced);
        assert!(synced <= applied, "op {synced} was said to be durable, and {applied} is the last that took effect");
        if of.mount.as_ref().is_some_and(|mount| mount.last_seq() > applied) || of.is_dead {
            self.tally.fences += 1;
        }
        let lost = of.mount.as_ref().map(|mount| mount.decided_behind(applied)).unwrap_or_default();
        let first_lost = of.answered.iter().position(|(_, time)| time.is_some_and(|time| lost.contains(&time)));
        for (record, time) in of.answered.drain(first_lost.unwrap_or(of.answered.len())..) {
            let record = &mut self.records[record];
            // What the node has taken in stays, also if its call went on for longer.
            let is_kept = time.is_some_and(|time| !lost.contains(&time)) && !matches!(record.op.answer, Some(Answer::Failed(_)));
            record.is_lost |= !is_kept;
        }
        let now_ns = self.now_us * 1_000;
        for record in self.records.iter_mut().filter(|record| record.life == life && record.op.answer.is_none()) {
            // What it had decided for a call that was never answered is lost as well, and nobody saw it.
            record.is_lost |= record.op_time.is_some_and(|time| lost.contains(&time));
            record.op.returned_ns.get_or_insert(now_ns);
        }
        if of.is_dead {
            of.mount = None;
        }
    }
}
