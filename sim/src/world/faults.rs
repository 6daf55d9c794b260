//! What goes wrong, and whose sessions end of it.

use artifacts_core::SessionId;
use artifacts_core::protocol::FenceReason;
use artifacts_core::revocation::SignedRevocation;

use super::event::{End, Event};
use super::fault::Fault;
use super::revoking::KID;
use super::world::{LEASE_MS, SUSPECT_MS, World, life_of};
use crate::linearizability::files::{Answer, Call};
use crate::ring::HOSTS;

impl World {
    /// Something goes wrong in this segment, or nothing.
    pub(super) fn plan_faults(&mut self, lives: &[usize]) {
        let among_nodes = self.random.below(8) == 0;
        let mut faults = Vec::new();
        for _ in 0..[0, 0, 1, 1, 2][self.random.below(5) as usize] {
            faults.push(self.fault_of_mount(lives));
        }
        if among_nodes {
            for _ in 0..1 + self.random.below(2) {
                faults.push(self.fault_of_nodes());
            }
        }
        if self.random.below(12) == 0 {
            let life = lives[self.random.below(lives.len() as u64) as usize];
            faults.push(Fault::Revoke { grant: self.lives[life].grant });
        }
        if self.random.below(20) == 0 {
            let life = lives[self.random.below(lives.len() as u64) as usize];
            faults.push(Fault::Forge { host: self.random.below(HOSTS as u64) as usize, grant: self.lives[life].grant });
        }
        for fault in faults {
            self.awaited_faults += 1;
            let delay_us = self.random.below(30_000);
            self.after(delay_us, Event::Fault(fault));
        }
    }

    fn fault_of_mount(&mut self, lives: &[usize]) -> Fault {
        let life = lives[self.random.below(lives.len() as u64) as usize];
        let short_us = 100 + self.random.below(20_000);
        let long_us = short_us + if self.random.below(3) == 0 { LEASE_MS * 1_500 } else { LEASE_MS * 300 };
        let host = self.random.below(HOSTS as u64) as usize;
        match self.random.below(14) {
            0..3 => Fault::Break { life, for_us: short_us },
            3 => Fault::Break { life, for_us: long_us },
            4 | 5 => Fault::Freeze { life, for_us: short_us },
            6 | 7 => Fault::Freeze { life, for_us: long_us },
            8 => {
                let (from, to) = [(true, false), (false, true), (true, true)][self.random.below(3) as usize];
                Fault::CutMount { life, host, from, to, for_us: long_us }
            }
            9 | 10 => Fault::FreezeHolder { for_us: LEASE_MS * (1_100 + self.random.below(600)) },
            11 => Fault::Step { life, by_us: 1 + self.random.below(3_600_000_000) },
            _ => Fault::Kill { life },
        }
    }

    fn fault_of_nodes(&mut self) -> Fault {
        let host = if self.random.below(3) == 0 { self.random.below(HOSTS as u64) as usize } else { self.owner_of_something() };
        let other = (host + 1 + self.random.below(HOSTS as u64 - 1) as usize) % HOSTS;
        let for_us =
            if self.random.below(3) == 0 { self.random.below(SUSPECT_MS * 1_000) } else { SUSPECT_MS * (1_000 + self.random.below(4_000)) };
        match self.random.below(16) {
            0..3 => Fault::Crash { host, for_us: for_us / 2 },
            3 => Fault::Stop { host, for_us },
            4..6 => Fault::FreezeHost { host, for_us },
            6..8 => {
                let (from, to) = [(true, false), (false, true), (true, true)][self.random.below(3) as usize];
                Fault::CutHost { host, from, to, for_us }
            }
            8..10 => Fault::Isolate { host, for_us },
            10 => Fault::CutPair { one: host, other, for_us },
            11..13 => Fault::CutStore { host, for_us },
            13 | 14 => Fault::Store { slow_us: self.random.below(30_000), fails_percent: self.random.below(60), for_us },
            _ => Fault::Weather { loss_percent: self.random.below(60), late_us: self.random.below(20_000), for_us },
        }
    }

    fn owner_of_something(&mut self) -> usize {
        let wants_workspace = self.random.below(3) > 0;
        let owner = self
            .hosts
            .iter()
            .position(|host| if wants_workspace { host.workspace.serving().is_some() } else { host.account.serving().is_some() });
        owner.unwrap_or(self.first)
    }

    pub(super) fn go_wrong(&mut self, fault: Fault) {
        self.awaited_faults -= 1;
        self.tally.note(fault);
        let now_us = self.now_us;
        let all = |host: usize| {
            let hosts = (0..HOSTS).filter(move |&other| other != host).map(End::Host);
            hosts.collect::<Vec<_>>()
        };
        match fault {
            Fault::Break { life, for_us } => {
                if !self.lives[life].is_dead {
                    self.break_stream(life, for_us);
                }
            }
            Fault::Freeze { life, for_us } => {
                let until_us = &mut self.lives[life].frozen_until_us;
                *until_us = (*until_us).max(now_us + for_us);
            }
            Fault::FreezeHolder { for_us } => {
                let holder = self.clients.iter().find(|client| !client.is_over && client.program.holds_surely);
                if let Some(life) = holder.map(|client| client.life) {
                    self.says(|| format!("it is mount {life}"));
                    let until_us = &mut self.lives[life].frozen_until_us;
                    *until_us = (*until_us).max(now_us + for_us);
                }
            }
            Fault::Kill { life } => self.kill(life),
            Fault::Step { life, by_us } => {
                if let Some(mount) = &mut self.lives[life].mount {
                    mount.stepped_us += by_us;
                }
            }
            Fault::Crash { host, for_us } => self.crash(host, for_us),
            Fault::Stop { host, for_us } => {
                if !self.hosts[host].is_down {
                    self.hosts[host].leaves_for_us = Some(for_us);
                }
            }
            Fault::FreezeHost { host, for_us } => {
                let until_us = &mut self.hosts[host].frozen_until_us;
                *until_us = (*until_us).max(now_us + for_us);
            }
            Fault::CutHost { host, from, to, for_us } => self.cut(End::Host(host), &all(host), (from, to), for_us),
            Fault::Isolate { host, for_us } => {
                let mut ends = all(host);
                ends.extend(self.recent().map(End::Mount));
                ends.push(End::Store);
                self.cut(End::Host(host), &ends, (true, true), for_us);
            }
            Fault::CutPair { one, other, for_us } => self.cut(End::Host(one), &[End::Host(other)], (true, true), for_us),
            Fault::CutMount { life, host, from, to, for_us } => self.cut(End::Mount(life), &[End::Host(host)], (from, to), for_us),
            Fault::CutStore { host, for_us } => self.cut(End::Host(host), &[End::Store], (true, true), for_us),
            Fault::Store { slow_us, fails_percent, for_us } => self.weather.trouble_store(slow_us, fails_percent, now_us + for_us),
            Fault::Weather { loss_percent, late_us, for_us } => self.weather.be_bad(loss_percent, late_us, now_us + for_us),
            Fault::Revoke { grant } => self.revoke(grant),
            Fault::Forge { host, grant } => {
                let record = SignedRevocation::sign(self.record(grant), KID, &self.forger_key);
                self.learn(host, &record);
            }
        }
    }

    fn cut(&mut self, end: End, others: &[End], (from, to): (bool, bool), for_us: u64) {
        for &other in others {
            if from {
                self.weather.cut(end, other, self.now_us + for_us);
            }
            if to {
                self.weather.cut(other, end, self.now_us + for_us);
            }
        }
    }

    fn kill(&mut self, life: usize) {
        if std::mem::replace(&mut self.lives[life].is_dead, true) {
            return;
        }
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

    /// An owner has decided that a session is over.
    pub(super) fn note_fenced(&mut self, session: SessionId, reason: FenceReason) {
        self.fenced.insert(session);
        let grant = self.lives[life_of(session)].grant;
        self.lives[life_of(session)].has_been_revoked |= reason == FenceReason::Revoked;
        if reason == FenceReason::Revoked && !self.asked_to_revoke.contains(&grant) {
            self.violations.push(format!(
                "AUTHORITY: the session of mount {} was ended as revoked, and nobody revoked grant {grant}",
                life_of(session)
            ));
        }
    }

    /// An op has taken effect at the owner.
    pub(super) fn note_taken(&mut self, session: SessionId, seq: u64, time: i64) {
        let life = life_of(session);
        if self.fenced.contains(&session) {
            self.violations.push(format!("FENCING: op {seq} of mount {life} was accepted after its session was fenced"));
        }
        if self.is_too_late(life) {
            self.violations.push(format!("REVOCATION: op {seq} of mount {life} was accepted longer than the proof limit after the revocation of its grant was acknowledged"));
        }
        if let Some(violation) = self.holders.took(session, (life, time)) {
            self.violations.push(violation);
        }
    }

    /// Nothing of a session takes effect any more. What its mount had decided by itself and not sent is lost with it, and
    /// whoever saw that saw something that never was: programs on a mount that is gone.
    pub(super) fn sealed(&mut self, life: usize, applied: u64) {
        let of = &mut self.lives[life];
        of.is_sealed = true;
        of.sealed_us.get_or_insert(self.now_us);
        let synced = of.mount.as_ref().map_or(0, |mount| mount.synced);
        if synced > applied {
            self.violations.push(format!(
                "DURABILITY: op {synced} of mount {life} was said to be durable, and {applied} is the last that took effect"
            ));
        }
        self.fenced.insert(Self::session(life));
        self.departed.insert(Self::session(life));
        if of.mount.as_ref().is_some_and(|mount| mount.last_seq() > applied) || of.is_dead {
            self.tally.fences += 1;
        }
        let lost = of.mount.as_ref().map(|mount| mount.decided_behind(applied)).unwrap_or_default();
        let first_lost = of.answered.iter().position(|(_, time)| time.is_some_and(|time| lost.contains(&time)));
        for (record, time) in of.answered.drain(first_lost.unwrap_or(of.answered.len())..) {
            let record = &mut self.records[record];
            // What the node has taken in stays, also if its call went on for longer.
            let is_lock = matches!(record.op.call, Call::Lock { .. } | Call::TryLock { .. } | Call::Unlock { .. });
            let is_kept = is_lock || time.is_some_and(|time| !lost.contains(&time)) && !matches!(record.op.answer, Some(Answer::Failed(_)));
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
