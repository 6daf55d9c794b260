use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashSet, VecDeque};

use anyhow::{Result, bail, ensure};
use artifacts_core::SessionId;
use artifacts_core::protocol::{ClientFrame, ServerFrame};
use artifacts_core::session::{Standing, Verdict};
use artifacts_tests::crash::Random;
use artifacts_tests::linearizability::files::{Answer, Call, Files, State};
use artifacts_tests::linearizability::{CONFIGURATIONS_MAX, Operation, Verdict as Judgement, check};

use crate::link::Link;
use crate::mount::Mount;
use crate::node::{Durable, Node, Todo};
use crate::program::{Next, Program, Running};
use crate::steps::{Came, Step};
use crate::tree::{FIRST_FILE, GROUPS, planted};

/// The times of the product, all shortened alike.
const LEASE_MS: u64 = 400;
const PROOF_MS: u64 = 40;
const HEARTBEAT_US: u64 = 8_000;
const NODE_TICK_US: u64 = 4_000;
const RECALL_LIMIT_US: u64 = 1_200_000;
/// How many calls a program makes in a segment.
const CALLS: usize = 30;
/// When everything has long had to come to rest.
const STUCK_US: u64 = 60_000_000;
/// How many numbers of inodes a session gets.
const INODES: u64 = 1 << 24;

enum Event {
    /// A program goes on.
    Act(usize),
    Beat(usize),
    NodeTick,
    ToNode {
        life: usize,
        connection: u64,
        frame: ClientFrame,
    },
    ToMount {
        life: usize,
        connection: u64,
        frame: ServerFrame,
    },
    Hello {
        life: usize,
        connection: u64,
    },
    Attach {
        life: usize,
        connection: u64,
    },
    Welcomed {
        life: usize,
        connection: u64,
        durable_seq: u64,
    },
    Refused {
        life: usize,
        connection: u64,
    },
    CachesDropped(usize),
    Flushed {
        node_life: u64,
        durable: Box<Durable>,
    },
    RecallExpired {
        node_life: u64,
        epoch: u64,
    },
    EndSession(usize),
    Broken {
        life: usize,
        connection: u64,
        for_us: u64,
    },
    Fault(Fault),
}

/// What goes wrong.
#[derive(Clone, Copy)]
enum Fault {
    Break { life: usize, for_us: u64 },
    Freeze { life: usize, for_us: u64 },
    Kill { life: usize },
    NodeCrash,
}

/// One mount, from its hello to its end.
struct Life {
    session: SessionId,
    mount: Option<Mount>,
    link: Link,
    /// The connection that the node has attached.
    attached: Option<u64>,
    hello_ms: u64,
    frozen_until_us: u64,
    is_dead: bool,
    is_sealed: bool,
    /// What was decided under the lease: the record, and the op's number if it changed anything.
    decided: Vec<(usize, Option<u64>)>,
    /// Answers that may not be given while the mount stalls.
    held: Vec<(usize, Option<Answer>)>,
}

impl Life {
    /// Whether it is over and knows it, or goes on and has nothing left to do.
    fn is_at_rest(&self) -> bool {
        match &self.mount {
            Some(mount) if self.is_sealed => mount.standing.fenced().is_some(),
            Some(mount) => !self.is_dead && mount.is_at_rest(),
            None => self.is_sealed,
        }
    }
}

/// A program in a segment.
struct Client {
    life: usize,
    program: Program,
    calls_left: usize,
    is_over: bool,
    running: Option<Running>,
    /// Where its call is recorded; `None` for one that changes and shows nothing.
    record: Option<usize>,
}

struct Recorded {
    group: u8,
    life: usize,
    op: Operation<Call, Answer>,
    /// It never was: its mount died with it.
    is_lost: bool,
}

/// How often what happened.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Tally {
    ops: u64,
    segments: u64,
    lives: u64,
    decided: u64,
    lost: u64,
    unanswered: u64,
    breaks: u64,
    freezes: u64,
    kills: u64,
    crashes: u64,
    fences: u64,
    leaves: u64,
}

/// The node, its mounts, the network between them, and the time.
pub(crate) struct World {
    now_us: u64,
    count: u64,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    events: BTreeMap<u64, Event>,
    random: Random,
    node: Node,
    node_life: u64,
    lives: Vec<Life>,
    clients: Vec<Client>,
    records: Vec<Recorded>,
    states: Vec<Vec<State>>,
    /// Something is still to go wrong in this segment.
    awaits_fault: bool,
    tally: Tally,
    /// See [`Mount::is_rash`].
    has_rash_mounts: bool,
}

impl World {
    /// A world whose mounts answer without knowing that their session stands.
    pub(crate) fn with_rash_mounts(seed: u64) -> Self {
        Self { has_rash_mounts: true, ..Self::new(seed) }
    }

    pub(crate) fn new(seed: u64) -> Self {
        let mut world = Self {
            now_us: 1_000_000,
            count: 0,
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            random: Random::new(seed),
            node: Node::new(planted(), LEASE_MS),
            node_life: 0,
            lives: Vec::new(),
            clients: Vec::new(),
            records: Vec::new(),
            states: (0..GROUPS).map(|_| vec![State::default()]).collect(),
            awaits_fault: false,
            tally: Tally::default(),
            has_rash_mounts: false,
        };
        world.after(0, Event::NodeTick);
        world
    }

    pub(crate) fn ops(&self) -> u64 {
        self.tally.ops
    }

    pub(crate) fn summary(&self) -> String {
        let Tally { ops, segments, lives, decided, lost, unanswered, breaks, freezes, kills, crashes, fences, leaves } = &self.tally;
        format!(
            "linearizability, simulated: {ops} operations in {segments} segments, {:.0} s of their time; {lives} mounts ({kills} killed, \
             {fences} fenced, {leaves} left), {breaks} broken streams, {freezes} frozen mounts, {crashes} crashes of the node, {} leases \
             granted, {} recalled, {decided} answers decided under them, {lost} lost with their mount, {unanswered} unanswered",
            self.now_us as f64 / 1e6,
            self.node.grants,
            self.node.recalls,
        )
    }

    /// A run in which something never happened says nothing of it.
    pub(crate) fn expect_everything_happened(&self) -> Result<()> {
        let Tally { lives, decided, lost, unanswered, breaks, freezes, kills, crashes, fences, leaves, .. } = self.tally;
        for (what, times) in [
            ("mounts", lives),
            ("leases granted", self.node.grants),
            ("leases recalled", self.node.recalls),
            ("answers decided", decided),
            ("answers lost", lost),
            ("calls unanswered", unanswered),
            ("broken streams", breaks),
            ("frozen mounts", freezes),
            ("killed mounts", kills),
            ("crashes", crashes),
            ("fences", fences),
            ("leaves", leaves),
        ] {
            ensure!(times > 0, "no {what}: {}", self.summary());
        }
        Ok(())
    }

    fn after(&mut self, delay_us: u64, event: Event) {
        self.at(self.now_us + delay_us, event);
    }

    fn at(&mut self, at_us: u64, event: Event) {
        self.count += 1;
        self.queue.push(Reverse((at_us, self.count)));
        self.events.insert(self.count, event);
    }

    /// Programs on some mounts, a fault or none, rest, and the decision on what was seen.
    pub(crate) fn segment(&mut self) -> Result<()> {
        self.tally.segments += 1;
        let alive: Vec<usize> = self.standing().collect();
        let wanted = [1, 1, 2, 2, 3, 4][self.random.below(6) as usize];
        let crashes = self.random.below(16) == 0;
        let mut lives = alive.clone();
        for number in alive.len()..wanted {
            let delay_us = if number == 0 { 0 } else { self.random.below(20_000) };
            lives.push(self.be_born(delay_us));
        }
        for &life in &lives {
            for _ in 0..1 + self.random.below(2) {
                self.add_client(life);
            }
        }
        let delay_us = self.random.below(30_000);
        if crashes {
            self.awaits_fault = true;
            self.after(delay_us, Event::Fault(Fault::NodeCrash));
        } else if self.random.below(2) == 0 {
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
            self.awaits_fault = true;
            self.after(delay_us, Event::Fault(fault));
        }
        self.run_until(|world| world.clients.iter().all(|client| client.is_over) && world.is_at_rest())?;
        self.judge()?;
        // Some leave in good order.
        let staying: Vec<usize> = self.standing().collect();
        for life in staying {
            if self.random.below(3) == 0
                && let Some(mount) = &mut self.lives[life].mount
            {
                mount.frames.push(ClientFrame::Goodbye);
                self.tally.leaves += 1;
                self.pump(life);
                self.run_until(|world| world.lives[life].is_sealed)?;
                self.lives[life].is_dead = true;
                self.lives[life].mount = None;
            }
        }
        Ok(())
    }

    /// Mounts that may serve.
    fn standing(&self) -> impl Iterator<Item = usize> {
        (0..self.lives.len()).rev().take(64).filter(|&life| !self.lives[life].is_dead && !self.lives[life].is_sealed)
    }

    fn run_until(&mut self, done: impl Fn(&Self) -> bool) -> Result<()> {
        let give_up_us = self.now_us + STUCK_US;
        while !done(self) {
            let Some(Reverse((at_us, number))) = self.queue.pop() else { bail!("nothing happens any more") };
            self.now_us = self.now_us.max(at_us);
            ensure!(self.now_us < give_up_us, "it does not come to rest: {}", self.describe());
            let Some(event) = self.events.remove(&number) else { continue };
            match self.frozen(&event) {
                // With the number that it has: what a stream carries stays in order, also through several such times.
                Some(until_us) => {
                    self.queue.push(Reverse((until_us, number)));
                    self.events.insert(number, event);
                }
                None => self.handle(event),
            }
        }
        Ok(())
    }

    /// Who has not come to rest, for people.
    fn describe(&self) -> String {
        let clients = self.clients.iter().filter(|client| !client.is_over);
        let clients: Vec<_> = clients.map(|client| format!("a program on mount {}: {:?}", client.life, client.running)).collect();
        let describe = |(number, life): (usize, &Life)| {
            let Life { mount, link, attached, is_dead, is_sealed, .. } = life;
            format!("mount {number}: dead {is_dead}, sealed {is_sealed}, {link:?}, attached {attached:?}: {mount:?}")
        };
        let unsettled = self.lives.iter().enumerate().rev().take(64).filter(|(_, life)| !life.is_at_rest());
        let lives: Vec<_> = unsettled.map(describe).collect();
        format!("{}\n{}\nnode: {}", clients.join("\n"), lives.join("\n"), self.node.describe())
    }

    fn is_at_rest(&self) -> bool {
        !self.awaits_fault && self.node.is_at_rest() && self.lives.iter().rev().take(64).all(Life::is_at_rest)
    }

    fn be_born(&mut self, delay_us: u64) -> usize {
        let life = self.lives.len();
        self.tally.lives += 1;
        self.lives.push(Life {
            session: SessionId::from_bits(life as u128 + 1),
            mount: None,
            link: Link::default(),
            attached: None,
            hello_ms: 0,
            frozen_until_us: 0,
            is_dead: false,
            is_sealed: false,
            decided: Vec::new(),
            held: Vec::new(),
        });
        self.after(delay_us, Event::Hello { life, connection: 0 });
        life
    }

    fn add_client(&mut self, life: usize) {
        let (number, seed) = (self.clients.len(), self.random.next());
        let unique = (self.tally.segments * 16 + number as u64) % 60_000;
        let program = Program::new(unique as u16, seed);
        self.clients.push(Client { life, program, calls_left: CALLS, is_over: false, running: None, record: None });
        let delay_us = self.random.below(500);
        self.after(delay_us, Event::Act(number));
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Act(client) => self.act(client),
            Event::Beat(life) => {
                if let Some(mount) = self.lives[life].mount.as_mut().filter(|mount| mount.standing.fenced().is_none()) {
                    mount.beat(self.now_us);
                    self.after(HEARTBEAT_US, Event::Beat(life));
                    self.pump(life);
                }
            }
            Event::NodeTick => {
                self.node.tick(self.now_us / 1_000);
                self.after(NODE_TICK_US, Event::NodeTick);
                self.pump_node();
            }
            Event::ToNode { life, connection, frame } => {
                if self.lives[life].attached == Some(connection) {
                    self.node.receive(self.lives[life].session, frame, self.now_us / 1_000);
                    self.pump_node();
                }
            }
            Event::ToMount { life, connection, frame } => {
                if self.lives[life].link.connection == connection
                    && let Some(mount) = &mut self.lives[life].mount
                {
                    mount.receive(frame, self.now_us);
                    self.pump(life);
                }
            }
            Event::Hello { life, connection } => self.say_hello(life, connection),
            Event::Attach { life, connection } => self.attach(life, connection),
            Event::Welcomed { life, connection, durable_seq } => self.welcomed(life, connection, durable_seq),
            Event::Refused { life, connection } => {
                if self.lives[life].link.connection == connection
                    && let Some(mount) = &mut self.lives[life].mount
                {
                    mount.fenced();
                    self.pump(life);
                }
            }
            Event::CachesDropped(life) => {
                if let Some(mount) = &mut self.lives[life].mount {
                    mount.return_lease();
                    self.pump(life);
                }
            }
            Event::Flushed { node_life, durable } if node_life == self.node_life => {
                self.node.flushed(*durable);
                self.pump_node();
            }
            Event::RecallExpired { node_life, epoch } if node_life == self.node_life => {
                self.node.recall_expired(epoch);
                self.pump_node();
            }
            Event::Flushed { .. } | Event::RecallExpired { .. } => {}
            Event::EndSession(life) => {
                self.node.end(self.lives[life].session);
                self.pump_node();
                // It may have died before its hello came.
                self.lives[life].is_sealed = true;
            }
            Event::Broken { life, connection, for_us } => {
                if self.lives[life].link.connection == connection && !self.lives[life].is_dead {
                    self.break_stream(life, for_us);
                }
            }
            Event::Fault(fault) => self.go_wrong(fault),
        }
    }

    /// Until when the process stands still for which this is.
    fn frozen(&self, event: &Event) -> Option<u64> {
        let life = match event {
            Event::Act(client) => self.clients.get(*client)?.life,
            Event::Beat(life)
            | Event::ToMount { life, .. }
            | Event::Hello { life, .. }
            | Event::Welcomed { life, .. }
            | Event::Refused { life, .. }
            | Event::CachesDropped(life) => *life,
            _ => return None,
        };
        Some(self.lives[life].frozen_until_us).filter(|&until_us| until_us > self.now_us)
    }

    fn go_wrong(&mut self, fault: Fault) {
        self.awaits_fault = false;
        match fault {
            Fault::Break { life, for_us } => {
                self.tally.breaks += 1;
                self.break_stream(life, for_us);
            }
            Fault::Freeze { life, for_us } => {
                self.tally.freezes += 1;
                let until_us = &mut self.lives[life].frozen_until_us;
                *until_us = (*until_us).max(self.now_us + for_us);
            }
            Fault::Kill { life } => {
                self.tally.kills += 1;
                self.lives[life].is_dead = true;
                self.lives[life].link.break_off();
                for client in self.clients.iter_mut().filter(|client| client.life == life) {
                    client.is_over = true;
                    client.running = None;
                }
                let delay_us = LEASE_MS * 1_000 + self.random.below(100_000);
                self.after(delay_us, Event::EndSession(life));
            }
            Fault::NodeCrash => {
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
        }
    }

    fn break_stream(&mut self, life: usize, for_us: u64) {
        let of = &mut self.lives[life];
        of.link.break_off();
        of.attached = None;
        let connection = of.link.connection;
        if let Some(mount) = &mut of.mount {
            mount.unlink();
        }
        self.after(for_us, Event::Hello { life, connection });
    }

    fn say_hello(&mut self, life: usize, connection: u64) {
        let of = &mut self.lives[life];
        if of.is_dead || of.link.connection != connection {
            return;
        }
        of.hello_ms = self.now_us / 1_000;
        let at_us = of.link.arrival_at_node_us(self.now_us, &mut self.random);
        self.at(at_us, Event::Attach { life, connection });
    }

    fn attach(&mut self, life: usize, connection: u64) {
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

    fn welcomed(&mut self, life: usize, connection: u64, durable_seq: u64) {
        let of = &mut self.lives[life];
        if of.is_dead || of.link.connection != connection {
            return;
        }
        of.link.is_up = true;
        match &mut of.mount {
            Some(mount) => mount.relink(durable_seq, of.hello_ms),
            None => {
                let standing = Standing::new(of.hello_ms, PROOF_MS, LEASE_MS, None);
                let mut mount = Mount::new(standing, FIRST_FILE + life as u64 * INODES);
                mount.is_rash = self.has_rash_mounts;
                of.mount = Some(mount);
                self.after(HEARTBEAT_US, Event::Beat(life));
            }
        }
        self.pump(life);
    }

    /// Does what the node wants.
    fn pump_node(&mut self) {
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

    fn send_to_mount(&mut self, session: SessionId, event: impl FnOnce(usize, u64) -> Event) {
        let life = life_of(session);
        let of = &mut self.lives[life];
        if let Some(connection) = of.attached.filter(|_| !of.is_dead) {
            let at_us = of.link.arrival_at_mount_us(self.now_us, &mut self.random);
            self.at(at_us, event(life, connection));
        }
    }

    /// Nothing of a session takes effect any more. What its mount had decided by itself and not sent is lost with it, and
    /// whoever saw that saw something that never was: programs on a mount that is gone.
    fn sealed(&mut self, life: usize, applied: u64) {
        let of = &mut self.lives[life];
        of.is_sealed = true;
        let synced = of.mount.as_ref().map_or(0, |mount| mount.synced);
        assert!(synced <= applied, "op {synced} was said to be durable, and {applied} is the last that took effect");
        if of.mount.as_ref().is_some_and(|mount| mount.last_seq() > applied) || of.is_dead {
            self.tally.fences += 1;
        }
        let first_lost = of.decided.iter().position(|(_, seq)| seq.is_some_and(|seq| seq > applied));
        for (record, _) in of.decided.drain(first_lost.unwrap_or(of.decided.len())..) {
            self.records[record].is_lost = true;
        }
        let now_ns = self.now_us * 1_000;
        for record in self.records.iter_mut().filter(|record| record.life == life && record.op.answer.is_none()) {
            record.op.returned_ns.get_or_insert(now_ns);
        }
        if of.is_dead {
            of.mount = None;
        }
    }

    /// Sends what a mount wants to send, and lets its programs go on.
    fn pump(&mut self, life: usize) {
        loop {
            let of = &mut self.lives[life];
            let Some(mount) = &mut of.mount else { return };
            if of.is_dead {
                return;
            }
            for frame in std::mem::take(&mut mount.frames) {
                let at_us = of.link.arrival_at_node_us(self.now_us, &mut self.random);
                let event = Event::ToNode { life, connection: of.link.connection, frame };
                self.count += 1;
                self.queue.push(Reverse((at_us, self.count)));
                self.events.insert(self.count, event);
            }
            for decided in std::mem::take(&mut mount.decided) {
                self.tally.decided += 1;
                if let Some(record) = self.clients[decided.client].record {
                    of.decided.push((record, decided.seq));
                }
            }
            let drops_caches = std::mem::take(&mut mount.is_drained);
            let came = std::mem::take(&mut mount.came);
            let held = std::mem::take(&mut of.held);
            let was_idle = came.is_empty();
            if drops_caches {
                let delay_us = 50 + self.random.below(2_000);
                self.after(delay_us, Event::CachesDropped(life));
            }
            for (client, answer) in held {
                self.answer(client, answer);
            }
            for (client, came) in came {
                self.go_on(client, came);
            }
            if was_idle {
                return;
            }
        }
    }

    /// A program goes on, if it may.
    fn act(&mut self, client: usize) {
        let Some(Client { life, is_over: false, .. }) = self.clients.get(client) else { return };
        let (life, now_us) = (*life, self.now_us);
        let Some(mount) = &mut self.lives[life].mount else {
            return self.after(1_000, Event::Act(client));
        };
        match mount.standing.verdict(now_us / 1_000) {
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
        let steps = match next {
            Some((group, call)) => {
                let running = Running::new(group, call.clone());
                of.record = Some(self.records.len());
                let op = Operation { client: of.program.number, call, called_ns: now_us * 1_000, answer: None, returned_ns: None };
                self.records.push(Recorded { group, life, op, is_lost: false });
                let steps = running.begin();
                of.running = Some(running);
                steps
            }
            None if ends => {
                of.is_over = true;
                return;
            }
            // It changes nothing and shows nothing, so it is no part of the history.
            None => VecDeque::from([Step::Durable]),
        };
        mount.run(client, steps, now_us);
        self.pump(life);
    }

    /// The mount has answered a step.
    fn go_on(&mut self, client: usize, came: Came) {
        let of = &mut self.clients[client];
        if of.is_over {
            return;
        }
        let Some(running) = &mut of.running else { return self.answer(client, None) };
        match running.came(came) {
            Next::Wait => {}
            Next::Over(answer) => self.answer(client, answer),
            Next::Steps(steps) => {
                let life = of.life;
                if let Some(mount) = &mut self.lives[life].mount {
                    mount.run(client, steps, self.now_us);
                }
            }
        }
    }

    /// A call is over. Its answer goes out only while the mount may serve.
    fn answer(&mut self, client: usize, answer: Option<Answer>) {
        let life = self.clients[client].life;
        let Some(mount) = &self.lives[life].mount else { return };
        let answer = match mount.standing.verdict(self.now_us / 1_000) {
            _ if mount.is_rash && mount.standing.fenced().is_none() => answer,
            Verdict::Serve { .. } => answer,
            Verdict::Stall { .. } => return self.lives[life].held.push((client, answer)),
            Verdict::Fail(_) => None,
        };
        let of = &mut self.clients[client];
        if let (Some(running), Some(record)) = (of.running.take(), of.record) {
            of.program.over(&running, answer.as_ref());
            let op = &mut self.records[record].op;
            if answer.is_some() {
                op.returned_ns = Some(self.now_us * 1_000);
            } else {
                self.tally.unanswered += 1;
            }
            op.answer = answer;
        }
        let delay_us = 5 + self.random.below(300);
        self.after(delay_us, Event::Act(client));
    }

    fn judge(&mut self) -> Result<()> {
        self.clients.clear();
        // Programs that died with a frozen mount would go on as others of the next segment.
        self.events.retain(|_, event| !matches!(event, Event::Act(_)));
        for life in &mut self.lives {
            life.decided.clear();
        }
        let mut histories: Vec<Vec<_>> = (0..GROUPS).map(|_| Vec::new()).collect();
        for mut record in self.records.drain(..) {
            if record.is_lost {
                self.tally.lost += 1;
                continue;
            }
            // Everything has come to rest: what has had no effect by now has none.
            record.op.returned_ns.get_or_insert(self.now_us * 1_000);
            histories[usize::from(record.group)].push(record.op);
        }
        for (states, history) in self.states.iter_mut().zip(histories) {
            self.tally.ops += history.len() as u64;
            match check(&Files::Direct, states, &history, CONFIGURATIONS_MAX) {
                Judgement::Linearizable { states: found } => {
                    let found: HashSet<State> = found.into_iter().map(State::at_rest).collect();
                    *states = found.into_iter().collect();
                }
                Judgement::Violation(violation) => bail!("after {} operations: {violation}", self.tally.ops),
                Judgement::Undecided { returned } => bail!("undecided after {returned} of {} operations", history.len()),
            }
        }
        Ok(())
    }
}

/// Sessions are numbered as the lives of mounts are.
fn life_of(session: SessionId) -> usize {
    (session.bits() - 1) as usize
}
