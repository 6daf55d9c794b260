use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::ops::Range;

use anyhow::{Result, bail, ensure};
use artifacts_core::SessionId;
use artifacts_core::session::Verdict;
use artifacts_core::ticket::VerifyingKeys;
use ed25519_dalek::SigningKey;

use super::event::{Event, session_of};
use super::host::{Host, Unit};
use super::life::{Client, Life, Recorded};
use super::locks::Holders;
use super::revoking::KID;
use super::tally::Tally;
use super::trace::Trace;
use super::weather::Weather;
use crate::clock::Clock;
use crate::linearizability::files::State;
use crate::node::Faults;
use crate::ring::HOSTS;
use crate::store::Store;
use crate::tree::{GROUPS, planted};
use crate::{Planted, Random};

/// All times of the product that matter here are this much shorter. Those of leases on inodes and of pauses between tries are the
/// product's.
pub(super) const FASTER: u64 = 25;
/// The session lease.
pub(super) const LEASE_MS: u64 = artifacts_core::session::DEFAULT_LEASE_MS / FASTER;
/// The proof limit.
pub(super) const PROOF_MS: u64 = artifacts_core::session::PROOF_MS / FASTER;
pub(super) const HEARTBEAT_US: u64 = artifacts_core::session::HEARTBEAT_MS * 1_000 / FASTER;
/// How long an owner may act on a proof.
pub(super) const TTL_MS: u64 = artifacts_core::cluster::DEFAULT_OWNERSHIP_TTL_MS / FASTER;
/// How long a node is silent that counts as gone.
pub(super) const SUSPECT_MS: u64 = 2_000 / FASTER;
/// For how long what a node knows of the account's revocations counts.
pub(super) const CURRENT_MS: u64 = 1_000 / FASTER;
/// How long a revocation waits for the answers of nodes.
pub(super) const PUSH_MS: u64 = 500 / FASTER;
/// How long a node asks the object store in vain before it says so.
pub(super) const STRANDED_MS: u64 = 3_000 / FASTER;
/// How long a node waits for the object store before it asks again.
pub(super) const STORE_MS: u64 = 1_000 / FASTER;
pub(super) const OPEN_MS: u64 = 4_000 / FASTER;
/// How long who has a shard gets to let go of it, and how long that may take.
pub(super) const YIELD_MS: u64 = 400 / FASTER;
pub(super) const CLOSE_MS: u64 = 3_000 / FASTER;
/// How long a node says nothing that a mount leaves, and how long a hello waits.
pub(super) const SILENCE_US: u64 = 2_000_000 / FASTER;
pub(super) const HELLO_US: u64 = 4_000_000 / FASTER;
pub(super) const TICK_US: u64 = 4_000;
pub(super) const RECALL_LIMIT_US: u64 = 30_000_000 / FASTER;
/// How far the clocks of two processes may run apart within the proof limit, with what is cut off in rounding.
const SLACK_US: u64 = PROOF_MS * 20 + 3_000;
/// How long the nodes get to find together when nothing is wrong any more.
const HEALED_US: u64 = 20_000_000 / FASTER;
/// How many calls a program makes in a segment.
pub(super) const CALLS: usize = 30;
/// When everything has long had to come to rest.
const STUCK_US: u64 = 120_000_000;
/// How many numbers of inodes a session gets.
pub(super) const INODES: u64 = 1 << 24;

/// The nodes, the object store, the mounts, the network between them, and the time.
pub struct World {
    pub(super) now_us: u64,
    pub(super) count: u64,
    pub(super) queue: BinaryHeap<Reverse<(u64, u64)>>,
    pub(super) events: BTreeMap<u64, Event>,
    pub(super) random: Random,
    pub(super) hosts: Vec<Host>,
    pub(super) store: Store,
    pub(super) weather: Weather,
    /// In which region each node is, and how long the way between two regions takes.
    pub(super) regions: [u8; HOSTS],
    pub(super) far_us: u64,
    /// The node that should have the workspace when all are well.
    pub(super) first: usize,
    /// Counts units, records and feeds.
    pub(super) numbers: u64,
    pub(super) signing_key: SigningKey,
    pub(super) forger_key: SigningKey,
    pub(super) keys: VerifyingKeys,
    pub(super) lives: Vec<Life>,
    pub(super) clients: Vec<Client>,
    pub(super) records: Vec<Recorded>,
    pub(super) states: Vec<Vec<State>>,
    /// How many grants there have been.
    pub(super) grants: usize,
    pub(super) asked_to_revoke: BTreeSet<usize>,
    /// When the call that revoked a grant returned.
    pub(super) revoked: BTreeMap<usize, u64>,
    /// Sessions of which an owner has decided that they are over.
    pub(super) fenced: BTreeSet<SessionId>,
    /// The last op of each session that an owner has spoken of, unless nobody needs to send it again.
    pub(super) told: BTreeMap<SessionId, u64>,
    /// Sessions that are over, until a flush carries their last ops.
    pub(super) departed: BTreeSet<SessionId>,
    /// The newest epoch in which an owner has told anybody anything.
    pub(super) acted_until: u64,
    pub(super) holders: Holders,
    /// Something that was visible is lost, as it may be when a node and a mount are lost together.
    pub(super) is_lossy: bool,
    /// So much is still to go wrong in this segment.
    pub(super) awaited_faults: usize,
    /// Ops that were answered and came to nothing.
    pub(super) lost: Vec<String>,
    pub(super) violations: Vec<String>,
    pub(super) tally: Tally,
    pub(super) planted: Planted,
    pub(super) faults: Faults,
    pub(super) accepts_unsigned: bool,
    pub(super) trace: Trace,
}

impl World {
    /// A world that this seed determines.
    pub fn new(seed: u64) -> Self {
        Self::with(Planted::Nothing, seed)
    }

    /// A world with a fault.
    pub fn with(fault: Planted, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let now_us = 1_000_000;
        let hosts = (0..HOSTS).map(|host| {
            let clock = any_clock(&mut random);
            Host::new(host, 0, clock, SUSPECT_MS, now_us)
        });
        let hosts: Vec<_> = hosts.collect();
        let [signing_key, forger_key] = [1, 2].map(|byte| SigningKey::from_bytes(&[byte; 32]));
        let is_wide = random.below(3) == 0;
        let mut world = Self {
            now_us,
            count: 0,
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            hosts,
            store: Store::new(planted()),
            weather: Weather::default(),
            regions: if is_wide { [0, 0, 1] } else { [0; HOSTS] },
            far_us: 100_000 / FASTER,
            first: random.below(HOSTS as u64) as usize,
            random,
            numbers: 0,
            keys: VerifyingKeys::from_iter([(KID.to_owned(), signing_key.verifying_key())]),
            signing_key,
            forger_key,
            lives: Vec::new(),
            clients: Vec::new(),
            records: Vec::new(),
            states: (0..GROUPS).map(|_| vec![State::default()]).collect(),
            grants: 0,
            asked_to_revoke: BTreeSet::new(),
            revoked: BTreeMap::new(),
            fenced: BTreeSet::new(),
            told: BTreeMap::new(),
            departed: BTreeSet::new(),
            acted_until: 0,
            holders: Holders::default(),
            is_lossy: false,
            awaited_faults: 0,
            lost: Vec::new(),
            violations: Vec::new(),
            tally: Tally::default(),
            planted: fault,
            faults: fault.of_node(),
            accepts_unsigned: fault == Planted::AcceptUnsigned,
            trace: Trace::default(),
        };
        for host in 0..HOSTS {
            world.after(host as u64 * 700, Event::Tick { host, host_life: 0 });
        }
        world
    }

    /// From so many operations on remembers what happens in a segment.
    pub fn trace_from(&mut self, ops: u64) {
        self.trace = Trace::from(ops);
    }

    /// Remembers everything that happens, in all segments.
    pub fn trace_all(&mut self) {
        self.trace = Trace::all();
    }

    /// What has happened, as far as that is remembered.
    pub fn trace(&self) -> &[String] {
        self.trace.lines()
    }

    /// How many operations were judged.
    pub fn ops(&self) -> u64 {
        self.tally.ops
    }

    pub(super) fn says(&mut self, what: impl FnOnce() -> String) {
        self.trace.says(self.now_us, self.tally.ops, what);
    }

    pub(super) fn after(&mut self, delay_us: u64, event: Event) {
        self.at(self.now_us + delay_us, event);
    }

    pub(super) fn at(&mut self, at_us: u64, event: Event) {
        self.count += 1;
        self.queue.push(Reverse((at_us, self.count)));
        self.events.insert(self.count, event);
    }

    /// Programs on some mounts, faults or none, healing, rest, and the decision on what was seen.
    ///
    /// # Errors
    /// What was found.
    pub fn segment(&mut self) -> Result<()> {
        self.tally.segments += 1;
        if self.random.below(4) == 0 {
            // What was wanted by many cools down, and what nobody uses is given up.
            let until_us = self.now_us + self.random.below(2_500_000);
            self.run_until(|world| world.now_us >= until_us)?;
        }
        let mut lives: Vec<usize> = self.standing().collect();
        let wanted = [1, 1, 2, 2, 3, 4][self.random.below(6) as usize];
        for number in lives.len()..wanted {
            let delay_us = if number == 0 { 0 } else { self.random.below(20_000) };
            lives.push(self.be_born(delay_us));
        }
        for &life in &lives {
            for _ in 0..1 + self.random.below(2) {
                self.add_client(life, CALLS);
            }
        }
        self.plan_faults(&lives);
        self.run_until(Self::is_over)?;
        self.judge()?;
        self.trace.segment_over();
        // Some leave in good order.
        let staying: Vec<usize> = self.standing().collect();
        for life in staying {
            if self.random.below(3) == 0
                && let Some(mount) = &mut self.lives[life].mount
            {
                mount.say_goodbye();
                self.tally.leaves += 1;
                self.pump(life);
                // Its node may be about to let go of the workspace, and not hear that any more.
                self.after(LEASE_MS * 1_000, Event::EndSession(life));
                self.run_until(|world| world.lives[life].is_sealed)?;
                self.lives[life].is_dead = true;
                self.lives[life].mount = None;
            }
        }
        Ok(())
    }

    /// Nothing goes wrong any more: every session that is not over does its work, and what is there is as it should be.
    ///
    /// # Errors
    /// What was found.
    pub fn finish(&mut self) -> Result<()> {
        self.says(|| "everything is healed; every session has to do its work".to_owned());
        let healed_us = self.now_us + HEALED_US;
        self.run_until(|world| world.now_us >= healed_us)?;
        let mut lives: Vec<usize> = self.standing().collect();
        lives.push(self.be_born(0));
        for &life in &lives {
            self.add_client(life, 8);
        }
        self.run_until(Self::is_over)?;
        let failed: Vec<usize> = lives.iter().copied().filter(|&life| !self.serves(life)).collect();
        ensure!(failed.is_empty(), "LIVENESS: mounts {failed:?} do not serve though nothing is wrong any more: {}", self.describe());
        self.judge()?;
        self.judge_durable();
        self.judge_namespace()?;
        self.found()
    }

    pub(super) fn serves(&mut self, life: usize) -> bool {
        let now_us = self.lives[life].clock.us(self.now_us);
        self.lives[life].mount.as_mut().is_some_and(|mount| matches!(mount.verdict(now_us), Verdict::Serve { .. }))
    }

    /// Mounts that are not over, and some that are.
    pub(super) const fn recent(&self) -> Range<usize> {
        self.lives.len().saturating_sub(64)..self.lives.len()
    }

    /// Mounts that may serve.
    pub(super) fn standing(&self) -> impl Iterator<Item = usize> {
        self.recent().rev().filter(|&life| !self.lives[life].is_dead && !self.lives[life].is_sealed)
    }

    pub(super) fn is_over(&self) -> bool {
        self.clients.iter().all(|client| client.is_over) && self.is_at_rest()
    }

    /// The first thing that was found, if any.
    pub(super) fn found(&self) -> Result<()> {
        match self.violations.first() {
            Some(violation) => bail!("{violation}"),
            None => Ok(()),
        }
    }

    pub(super) fn run_until(&mut self, done: impl Fn(&Self) -> bool) -> Result<()> {
        let give_up_us = self.now_us + STUCK_US;
        while !done(self) {
            let Some(Reverse((at_us, number))) = self.queue.pop() else { bail!("nothing happens any more") };
            self.now_us = self.now_us.max(at_us);
            ensure!(self.now_us < give_up_us, "LIVENESS: it does not come to rest: {}", self.describe());
            let Some(event) = self.events.remove(&number) else { continue };
            match self.held_up(&event) {
                // With the number that it has: what a stream carries stays in order, also through several such times.
                Some(until_us) => {
                    self.queue.push(Reverse((until_us, number)));
                    self.events.insert(number, event);
                }
                None => {
                    self.trace.happens(self.now_us, self.tally.ops, &event);
                    self.handle(event);
                    self.found()?;
                }
            }
        }
        Ok(())
    }

    /// Who has not come to rest, for people.
    pub(super) fn describe(&self) -> String {
        let clients = self.clients.iter().filter(|client| !client.is_over);
        let clients: Vec<_> = clients.map(|client| format!("a program on mount {}: {:?}", client.life, client.running)).collect();
        let describe = |(number, life): (usize, &Life)| {
            let Life { mount, link, attached, is_dead, is_sealed, target, .. } = life;
            format!("mount {number}: dead {is_dead}, sealed {is_sealed}, to {target}, {link:?}, attached {attached:?}: {mount:?}")
        };
        let unsettled = self.lives.iter().enumerate().rev().take(64).filter(|(_, life)| !life.is_at_rest());
        let lives: Vec<_> = unsettled.map(describe).collect();
        let host = |(number, host): (usize, &Host)| {
            let now_ms = host.clock.ms(self.now_us);
            let unit = |unit: &Unit| format!("epoch {} {:?} {}", unit.epoch, unit.ownership.claim(now_ms), unit.node.describe());
            let account = host.account.serving().map(|account| (account.epoch, account.ownership.claim(now_ms)));
            format!("node {number}: down {}, account {account:?}, workspace {:?}", host.is_down, host.workspace.serving().map(unit))
        };
        let hosts: Vec<_> = self.hosts.iter().enumerate().map(host).collect();
        format!("faults {}, {}\n{}\n{}", self.awaited_faults, clients.join("\n"), lives.join("\n"), hosts.join("\n"))
    }

    pub(super) fn is_at_rest(&self) -> bool {
        let is_revoked = |grant: &usize| self.revoked.contains_key(grant);
        self.awaited_faults == 0
            && self.is_settled()
            && self.lives.iter().rev().take(64).all(Life::is_at_rest)
            && self.asked_to_revoke.iter().all(is_revoked)
    }

    pub(super) fn be_born(&mut self, delay_us: u64) -> usize {
        let life = self.lives.len();
        self.tally.lives += 1;
        // Now and then two mounts stand on one grant.
        let shares = self.grants > 0 && !self.asked_to_revoke.contains(&(self.grants - 1)) && self.random.below(3) == 0;
        self.grants += usize::from(!shares);
        let clock = any_clock(&mut self.random);
        self.lives.push(Life::new(self.grants - 1, clock, self.random.below(HOSTS as u64) as usize));
        self.after(delay_us, Event::Hello { life, connection: 0 });
        life
    }

    /// Until when the process stands still for which this is, or the way is cut on which it comes.
    pub(super) fn held_up(&self, event: &Event) -> Option<u64> {
        let life = match event {
            Event::Act(client) => self.clients.get(*client).map(|client| client.life),
            event => event.life(),
        };
        let frozen = life.map(|life| self.lives[life].frozen_until_us);
        let frozen_host = event.host().map(|host| self.hosts[host].frozen_until_us);
        let cut = event.way().and_then(|(from, to)| self.weather.cut_until(from, to, self.now_us));
        [frozen, frozen_host, cut].into_iter().flatten().max().filter(|&until_us| until_us > self.now_us)
    }

    /// Whether an answer or an op comes too late after its grant was revoked.
    pub(super) fn is_too_late(&self, life: usize) -> bool {
        let revoked_us = self.revoked.get(&self.lives[life].grant);
        revoked_us.is_some_and(|&at_us| self.now_us > at_us + PROOF_MS * 1_000 + SLACK_US)
    }

    pub(super) fn session(life: usize) -> SessionId {
        session_of(life)
    }
}

/// Clocks of machines start anywhere, and go a little wrong.
fn any_clock(random: &mut Random) -> Clock {
    Clock::new(random.below(1_000_000_000), 995_000 + random.below(10_001))
}

/// Sessions are numbered as the lives of mounts are.
pub(super) fn life_of(session: SessionId) -> usize {
    (session.bits() - 1) as usize
}
