//! Programs on mounts: their calls, and what is recorded of them.

use std::collections::VecDeque;

use crate::linearizability::Operation;
use crate::linearizability::files::{Answer, Call};
use artifacts_core::session::Verdict;

use super::event::Event;
use super::life::{Client, Recorded};
use super::world::World;
use crate::kernel::Moment;
use crate::program::{Next, Program, Running};
use crate::steps::{Came, Step};

impl World {
    pub(super) fn add_client(&mut self, life: usize, calls: usize) {
        let (number, seed) = (self.clients.len(), self.random.next());
        let unique = (self.tally.segments * 16 + number as u64) % 60_000;
        let program = Program::new(unique as u16, seed);
        let moment = Moment::default();
        self.clients.push(Client { life, program, calls_left: calls, is_over: false, running: None, moment, record: None });
        let delay_us = self.random.below(500);
        self.after(delay_us, Event::Act(number));
    }

    /// A program goes on, if it may.
    pub(super) fn act(&mut self, client: usize) {
        let Some(Client { life, is_over: false, .. }) = self.clients.get(client) else { return };
        let life = *life;
        let now_us = self.lives[life].clock.us(self.now_us);
        let Some(mount) = &mut self.lives[life].mount else {
            // It may have been refused before it was one.
            self.clients[client].is_over |= self.lives[life].is_sealed;
            return self.after(1_000, Event::Act(client));
        };
        match mount.verdict(now_us) {
            _ if mount.is_rash && mount.standing.fenced().is_none() => {}
            Verdict::Serve { .. } => {}
            Verdict::Stall { .. } => return self.after(1_000, Event::Act(client)),
            Verdict::Fail(_) if mount.standing.fenced().is_some() => {
                self.clients[client].is_over = true;
                return;
            }
            Verdict::Fail(_) => return self.after(5_000, Event::Act(client)),
        }
        let of = &mut self.clients[client];
        (of.running, of.record) = (None, None);
        let ends = of.calls_left == 0;
        let next = if ends {
            of.program.close_one()
        } else {
            of.calls_left -= 1;
            let syncs = self.random.below(40) == 0;
            (!syncs).then(|| of.program.call(mount.take_ino()))
        };
        match next {
            Some((group, call)) => self.begin(client, life, group, call),
            None if ends => of.is_over = true,
            // It changes nothing and shows nothing, so it is no part of the history.
            None => {
                mount.run(client, VecDeque::from([Step::Durable]), now_us);
                self.pump(life);
            }
        }
    }

    /// A call begins.
    fn begin(&mut self, client: usize, life: usize, group: u8, call: Call) {
        let now_us = self.lives[life].clock.us(self.now_us);
        let called_ns = self.now_us * 1_000;
        let is_lost = self.lives[life].is_revoked();
        let (of, Some(mount)) = (&mut self.clients[client], &mut self.lives[life].mount) else { return };
        let record = self.records.len();
        of.record = Some(record);
        self.trace
            .says(self.now_us, self.tally.ops, || format!("program {} on mount {life} calls in {group}: {call:?}", of.program.number));
        if let Call::Unlock { owner, .. } = call {
            self.holders.lets_go(life, u64::from(owner));
            of.program.holds_surely = false;
        }
        let holds = of.program.holds.filter(|_| of.program.holds_surely);
        let number = of.program.number;
        let op = Operation { client: of.program.number, call: call.clone(), called_ns, answer: None, returned_ns: None };
        self.records.push(Recorded { group, life, op, op_time: None, is_lost });
        of.moment = mount.kernel.begin(group, &call);
        let mut running = Running::new(group, call.clone());
        if let Some(answer) = mount.kernel.answer(group, &call) {
            self.tally.believed += 1;
            of.running = Some(running);
            self.lives[life].answered.push((record, None));
            return self.answer(client, Some(answer));
        }
        let steps = running.begin_with(mount.kernel.believed_name(group, &call));
        of.running = Some(running);
        let op_time = mount.run(client, steps, now_us);
        self.records[record].op_time = op_time;
        if let (Some(lock), Some(time)) = (holds.filter(|&lock| lock == group), op_time) {
            self.holders.made((life, time), lock, u64::from(number));
        }
        self.pump(life);
        self.tally.at_once += u64::from(self.clients[client].running.is_none());
    }

    /// The mount has answered a step.
    pub(super) fn go_on(&mut self, client: usize, came: Came) {
        let of = &mut self.clients[client];
        if of.is_over {
            return;
        }
        let Some(running) = &mut of.running else { return self.answer(client, None) };
        match running.came(came) {
            Next::Wait => {}
            Next::Over(answer) => {
                if let Some(record) = of.record {
                    self.lives[of.life].answered.push((record, self.records[record].op_time));
                }
                self.answer(client, answer);
            }
            Next::Steps(steps) => {
                let life = of.life;
                let now_us = self.lives[life].clock.us(self.now_us);
                if let Some(mount) = &mut self.lives[life].mount {
                    mount.run(client, steps, now_us);
                }
            }
        }
    }

    /// A call is over. Its answer goes out only while the mount may serve.
    pub(super) fn answer(&mut self, client: usize, answer: Option<Answer>) {
        let life = self.clients[client].life;
        let now_us = self.lives[life].clock.us(self.now_us);
        let is_too_late = self.is_too_late(life);
        // What a mount answers that has not heard yet that it was revoked counts for nobody.
        let is_over = self.lives[life].is_revoked();
        let Some(mount) = &mut self.lives[life].mount else { return };
        let answer = match mount.verdict(now_us) {
            _ if mount.is_rash && mount.standing.fenced().is_none() => answer,
            Verdict::Serve { .. } => answer,
            Verdict::Stall { .. } => return self.lives[life].held.push((client, answer)),
            Verdict::Fail(_) => None,
        };
        if answer.is_some() && is_too_late {
            self.violations.push(format!("REVOCATION: mount {life} has answered a call longer than the proof limit after the revocation of its grant was acknowledged"));
        }
        let of = &mut self.clients[client];
        self.trace.says(self.now_us, self.tally.ops, || format!("program {} on mount {life} is answered {answer:?}", of.program.number));
        if let (Some(running), Some(record)) = (of.running.take(), of.record) {
            mount.kernel.end(of.moment, running.group, &running.call, running.found.as_ref().filter(|_| answer.is_some()));
            of.program.over(&running, answer.as_ref());
            let op = &mut self.records[record].op;
            let answer = answer.filter(|_| !is_over);
            if answer.is_some() {
                op.returned_ns = Some(self.now_us * 1_000);
            } else {
                self.tally.unanswered += 1;
            }
            // Somebody who waits for it keeps others from it, of whom the model knows nothing.
            let is_queue = matches!(op.call, Call::TryLock { .. }) && matches!(answer, Some(Answer::Failed(_)));
            op.answer = answer;
            self.records[record].is_lost |= is_queue;
        }
        let delay_us = 5 + self.random.below(300);
        self.after(delay_us, Event::Act(client));
    }
}
