use std::collections::{BTreeMap, BTreeSet};

use super::{Heat, Kind, Lease};
use crate::SessionId;
use crate::hashing::HashMap;
use crate::namespace::Ino;

/// How long a holder that is heard may take to send what it has decided and to drop its caches.
pub(super) const RECALL_LIMIT_MS: u64 = 30_000;
/// How long nobody gets a lease on the inodes of an op that was told to come again, so that it finds its way free.
const COMES_AGAIN_MS: u64 = 1_000;
/// The most leases of one session.
const HELD_MAX: usize = 256 << 10;
/// So many inodes are remembered for their heat before those that are cold are forgotten.
const HEATS_MAX: usize = 1024;

/// Tells waits apart.
pub type Ticket = u64;

/// What the shell must do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Tell the holder that somebody waits.
    Recall {
        /// Whose.
        session: SessionId,
        /// Which.
        leases: Vec<Lease>,
        /// Whether it may go on believing, and only stops deciding.
        keep_read: bool,
    },
    /// Nothing is in the way of this wait any more.
    Ready(Ticket),
    /// This holder cannot be waited for: fence its session.
    Fence(SessionId),
}

/// What an op or a question needs of the inodes it comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wants {
    /// Nobody else may decide on these.
    pub reads: BTreeSet<Ino>,
    /// Nobody else may believe anything of these.
    pub writes: BTreeSet<Ino>,
}

impl Wants {
    /// A lease of this kind on one inode wants this.
    pub fn lease(ino: Ino, kind: Kind) -> Self {
        let one = BTreeSet::from([ino]);
        match kind {
            Kind::Read => Self { reads: one, ..Self::default() },
            Kind::Write => Self { writes: one, ..Self::default() },
        }
    }

    fn inodes(&self) -> impl Iterator<Item = Ino> + '_ {
        self.reads.iter().chain(&self.writes).copied()
    }
}

#[derive(Debug, Clone, Copy)]
struct Holding {
    kind: Kind,
    number: u64,
    /// What it was told, and when.
    recalled: Option<Recalled>,
}

#[derive(Debug, Clone, Copy)]
struct Recalled {
    keep_read: bool,
    at_ms: u64,
}

#[derive(Debug, Clone)]
struct Wait {
    session: SessionId,
    wants: Wants,
    /// Of an op that was told to come again: when it is forgotten once it is ready.
    comes_again: bool,
    ready_until_ms: Option<u64>,
}

/// The leases on the inodes of one workspace; see the module. Times are milliseconds of any monotonic clock.
#[derive(Debug, Clone, Default)]
pub struct Leases {
    inodes: HashMap<Ino, BTreeMap<SessionId, Holding>>,
    /// The other way round.
    held: HashMap<SessionId, BTreeSet<Ino>>,
    lapsed: BTreeSet<SessionId>,
    waits: BTreeMap<Ticket, Wait>,
    /// Which waits an inode is wanted by.
    wanted: HashMap<Ino, BTreeSet<Ticket>>,
    heats: HashMap<Ino, Heat>,
    /// What sessions that have resumed hold, until they have sent everything again.
    claimed: HashMap<SessionId, BTreeMap<Ino, Kind>>,
    next_ticket: Ticket,
    next_number: u64,
}

impl Leases {
    /// No lease. `first_number` lies above that of every lease before.
    pub fn new(first_number: u64) -> Self {
        Self { next_number: first_number.max(1), ..Self::default() }
    }

    /// The number of the next lease. Leases and ops are numbered as one: an op that comes before a lease has a lower place, and
    /// one that comes after it a higher one.
    pub const fn next_number(&self) -> u64 {
        self.next_number
    }

    /// Ops have places up to below this.
    pub fn advance(&mut self, next_order: u64) {
        self.next_number = self.next_number.max(next_order);
    }

    /// Whether there is no lease at all, so that nothing can be in anybody's way, and nobody waits.
    pub fn is_empty(&self) -> bool {
        self.inodes.is_empty() && self.waits.is_empty()
    }

    /// Whether this session holds any.
    pub fn holds_any(&self, session: SessionId) -> bool {
        self.held.contains_key(&session)
    }

    /// Sessions that hold any.
    pub fn holders(&self) -> impl Iterator<Item = SessionId> + '_ {
        self.held.keys().copied()
    }

    /// Inodes that some session may change by itself.
    pub fn written(&self) -> impl Iterator<Item = Ino> + '_ {
        self.inodes.iter().filter(|(_, held)| held.values().any(|holding| holding.kind == Kind::Write)).map(|(&ino, _)| ino)
    }

    /// What this session holds on an inode.
    pub fn held(&self, session: SessionId, ino: Ino) -> Option<Kind> {
        self.inodes.get(&ino)?.get(&session).map(|holding| holding.kind)
    }

    /// The inodes on which somebody decides by itself.
    pub fn decided(&self) -> BTreeSet<Ino> {
        let is_decided = |holders: &BTreeMap<SessionId, Holding>| holders.values().any(|holding| holding.kind == Kind::Write);
        self.inodes.iter().filter(|(_, holders)| is_decided(holders)).map(|(&ino, _)| ino).collect()
    }

    /// Whether an op or a question of a session meets nobody else's lease.
    pub fn is_free(&self, session: SessionId, wants: &Wants) -> bool {
        self.inodes.is_empty() || self.in_the_way(session, wants).next().is_none()
    }

    /// Somebody else's leases that this meets, and whether the holder may keep believing.
    fn in_the_way<'a>(&'a self, session: SessionId, wants: &'a Wants) -> impl Iterator<Item = (Ino, SessionId, bool)> + 'a {
        let others = move |ino: Ino| self.inodes.get(&ino).into_iter().flatten().filter(move |(holder, _)| **holder != session);
        let reads = wants.reads.iter().flat_map(move |&ino| {
            others(ino).filter(|(_, holding)| holding.kind == Kind::Write).map(move |(&holder, _)| (ino, holder, true))
        });
        let writes = wants.writes.iter().flat_map(move |&ino| others(ino).map(move |(&holder, _)| (ino, holder, false)));
        // What is to be changed first: its holder is then told only once.
        writes.chain(reads)
    }

    /// An op or a question has come to these inodes through the node.
    pub fn used(&mut self, session: SessionId, wants: &Wants, now_ms: u64) {
        if !self.heats.is_empty() {
            for ino in wants.inodes() {
                if let Some(heat) = self.heats.get_mut(&ino) {
                    heat.used(session, now_ms);
                }
            }
        }
    }

    /// Whether nobody gets a lease on this inode for a while.
    pub fn is_hot(&self, ino: Ino, now_ms: u64) -> bool {
        self.heats.get(&ino).is_some_and(|heat| heat.is_hot(now_ms))
    }

    /// Gives a session a lease, if nothing is in the way, nobody waits for the inode and it is not hot. Whoever does
    /// not get one goes through the node.
    pub fn grant(&mut self, session: SessionId, ino: Ino, kind: Kind, now_ms: u64) -> Option<Lease> {
        if self.wanted.contains_key(&ino) || self.is_hot(ino, now_ms) || !self.is_free(session, &Wants::lease(ino, kind)) {
            return None;
        }
        let before = self.inodes.get(&ino).and_then(|holders| holders.get(&session));
        if before.is_none() && self.held.get(&session).is_some_and(|held| held.len() >= HELD_MAX) {
            return None;
        }
        let kind = before.map_or(kind, |holding| holding.kind.max(kind));
        let number = self.next_number;
        self.next_number += 1;
        self.hold(session, Lease { ino, kind, number });
        Some(Lease { ino, kind, number })
    }

    /// A session has made this inode while it decided by itself, so it alone knows of it.
    pub fn made(&mut self, session: SessionId, ino: Ino) {
        if !self.inodes.contains_key(&ino) {
            self.hold(session, Lease { ino, kind: Kind::Write, number: 0 });
        }
    }

    fn hold(&mut self, session: SessionId, lease: Lease) {
        let holding = Holding { kind: lease.kind, number: lease.number, recalled: None };
        self.inodes.entry(lease.ino).or_default().insert(session, holding);
        self.held.entry(session).or_default().insert(lease.ino);
    }

    /// A question waits until nothing is in its way, or, if it `comes_again`, an op was refused and waits to be told.
    pub fn wait(&mut self, session: SessionId, wants: Wants, comes_again: bool, now_ms: u64) -> (Ticket, Vec<Effect>) {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        for ino in wants.inodes() {
            self.wanted.entry(ino).or_default().insert(ticket);
        }
        let mut effects = self.recall(session, &wants, now_ms);
        self.waits.insert(ticket, Wait { session, wants, comes_again, ready_until_ms: None });
        self.judge([ticket], now_ms, &mut effects);
        (ticket, effects)
    }

    /// Tells holders what they stand in the way of, unless they know.
    fn recall(&mut self, session: SessionId, wants: &Wants, now_ms: u64) -> Vec<Effect> {
        let in_the_way: Vec<_> = self.in_the_way(session, wants).collect();
        let mut told: BTreeMap<(SessionId, bool), Vec<Lease>> = BTreeMap::new();
        let mut fenced = BTreeSet::new();
        for (ino, holder, keep_read) in in_the_way {
            if self.lapsed.contains(&holder) {
                fenced.insert(holder);
                continue;
            }
            let Some(holding) = self.inodes.get_mut(&ino).and_then(|holders| holders.get_mut(&holder)) else { continue };
            if holding.recalled.is_some_and(|recalled| !recalled.keep_read || keep_read) {
                continue;
            }
            holding.recalled = Some(Recalled { keep_read, at_ms: now_ms });
            let lease = Lease { ino, kind: holding.kind, number: holding.number };
            told.entry((holder, keep_read)).or_default().push(lease);
            self.heat(ino, now_ms);
        }
        let recalls = told.into_iter().map(|((session, keep_read), leases)| Effect::Recall { session, leases, keep_read });
        fenced.into_iter().map(Effect::Fence).chain(recalls).collect()
    }

    /// What holders believe may not be so: they are to give everything back, although nobody waits.
    pub fn doubt(&mut self, now_ms: u64) -> Vec<Effect> {
        let mut told: BTreeMap<SessionId, Vec<Lease>> = BTreeMap::new();
        for (&ino, holders) in &mut self.inodes {
            for (&session, holding) in holders.iter_mut().filter(|(session, _)| !self.lapsed.contains(session)) {
                if holding.recalled.is_none_or(|recalled| recalled.keep_read) {
                    holding.recalled = Some(Recalled { keep_read: false, at_ms: now_ms });
                    told.entry(session).or_default().push(Lease { ino, kind: holding.kind, number: holding.number });
                }
            }
        }
        let recall = |(session, mut leases): (SessionId, Vec<Lease>)| {
            leases.sort_unstable_by_key(|lease| lease.ino);
            Effect::Recall { session, leases, keep_read: false }
        };
        told.into_iter().map(recall).collect()
    }

    fn heat(&mut self, ino: Ino, now_ms: u64) {
        if self.heats.len() >= HEATS_MAX && !self.heats.contains_key(&ino) {
            self.heats.retain(|_, heat| !heat.is_cold(now_ms));
        }
        self.heats.entry(ino).or_default().recalled(now_ms);
    }

    /// Says of each of these waits whether it is over.
    fn judge(&mut self, tickets: impl IntoIterator<Item = Ticket>, now_ms: u64, effects: &mut Vec<Effect>) {
        for ticket in tickets {
            let Some(wait) = self.waits.get(&ticket) else { continue };
            if wait.ready_until_ms.is_some() || !self.is_free(wait.session, &wait.wants) {
                continue;
            }
            effects.push(Effect::Ready(ticket));
            if wait.comes_again {
                if let Some(wait) = self.waits.get_mut(&ticket) {
                    wait.ready_until_ms = Some(now_ms + COMES_AGAIN_MS);
                }
            } else {
                self.end_wait(ticket);
            }
        }
    }

    fn end_wait(&mut self, ticket: Ticket) {
        let Some(wait) = self.waits.remove(&ticket) else { return };
        for ino in wait.wants.inodes() {
            if let Some(tickets) = self.wanted.get_mut(&ino) {
                tickets.remove(&ticket);
                if tickets.is_empty() {
                    self.wanted.remove(&ino);
                }
            }
        }
    }

    /// An op of this session that changed these inodes has come about: what it was told to come again for is done.
    pub fn came_about(&mut self, session: SessionId, writes: &BTreeSet<Ino>) {
        if self.waits.is_empty() {
            return;
        }
        let done = |wait: &Wait| wait.session == session && wait.ready_until_ms.is_some() && !wait.wants.writes.is_disjoint(writes);
        let tickets: Vec<_> = self.waits.iter().filter(|(_, wait)| done(wait)).map(|(&ticket, _)| ticket).collect();
        tickets.into_iter().for_each(|ticket| self.end_wait(ticket));
    }

    /// A session gives leases back, or all but the right to believe. Everything it had decided under them was sent
    /// before.
    pub fn give_back(&mut self, session: SessionId, leases: &[Lease], keep_read: bool, now_ms: u64) -> Vec<Effect> {
        let mut freed = BTreeSet::new();
        for lease in leases {
            let Some(holders) = self.inodes.get_mut(&lease.ino) else { continue };
            let Some(holding) = holders.get_mut(&session).filter(|holding| holding.number == lease.number) else { continue };
            if keep_read {
                holding.kind = Kind::Read;
                holding.recalled.take_if(|recalled| recalled.keep_read);
            } else {
                self.let_go(session, lease.ino);
            }
            freed.extend(self.wanted.get(&lease.ino).into_iter().flatten().copied());
        }
        let mut effects = Vec::new();
        self.judge(freed, now_ms, &mut effects);
        effects
    }

    fn let_go(&mut self, session: SessionId, ino: Ino) {
        if let Some(holders) = self.inodes.get_mut(&ino) {
            holders.remove(&session);
            if holders.is_empty() {
                self.inodes.remove(&ino);
            }
        }
        if let Some(held) = self.held.get_mut(&session) {
            held.remove(&ino);
            if held.is_empty() {
                self.held.remove(&session);
            }
        }
    }

    /// An inode is gone for good.
    pub fn forget(&mut self, ino: Ino, now_ms: u64) -> Vec<Effect> {
        let holders: Vec<_> = self.inodes.get(&ino).into_iter().flatten().map(|(&session, _)| session).collect();
        holders.into_iter().for_each(|session| self.let_go(session, ino));
        let mut effects = Vec::new();
        self.judge(self.wanted.get(&ino).cloned().unwrap_or_default(), now_ms, &mut effects);
        effects
    }

    /// A session says over a new connection what it holds, all of it. What of that somebody else holds shows that it was
    /// away too long. What it does not hold any more, though the table says so, goes only with [`Leases::resent`]: ops that it
    /// decided under it may be among those that it sends again.
    pub fn claim(&mut self, session: SessionId, leases: &[Lease], now_ms: u64) -> Vec<Effect> {
        let foreign = |lease: &Lease| !self.is_free(session, &Wants::lease(lease.ino, lease.kind));
        if leases.iter().any(foreign) {
            return vec![Effect::Fence(session)];
        }
        for lease in leases.iter().take(HELD_MAX) {
            let kind = self.held(session, lease.ino).map_or(lease.kind, |held| held.max(lease.kind));
            self.hold(session, Lease { kind, ..*lease });
        }
        self.claimed.insert(session, leases.iter().map(|lease| (lease.ino, lease.kind)).collect());
        // Whoever waits for one of them still: its holder may not know.
        let tickets: BTreeSet<_> = leases.iter().filter_map(|lease| self.wanted.get(&lease.ino)).flatten().copied().collect();
        let mut effects = Vec::new();
        for ticket in tickets {
            if let Some(wait) = self.waits.get(&ticket).filter(|wait| wait.ready_until_ms.is_none()).cloned() {
                effects.extend(self.recall(wait.session, &wait.wants, now_ms));
            }
        }
        effects
    }

    /// A session that has resumed has sent everything again: it holds what it claimed, and no more.
    pub fn resent(&mut self, session: SessionId, now_ms: u64) -> Vec<Effect> {
        let claimed = self.claimed.remove(&session).unwrap_or_default();
        let held = self.held.get(&session).cloned().unwrap_or_default();
        let (kept, gone): (BTreeSet<Ino>, BTreeSet<Ino>) = held.into_iter().partition(|ino| claimed.contains_key(ino));
        let mut freed = BTreeSet::new();
        for ino in kept {
            let holding = self.inodes.get_mut(&ino).and_then(|holders| holders.get_mut(&session));
            if let (Some(holding), Some(&kind)) = (holding, claimed.get(&ino)) {
                holding.kind = kind;
                freed.extend(self.wanted.get(&ino).into_iter().flatten().copied());
            }
        }
        let mut effects = self.release(session, gone, now_ms);
        self.judge(freed, now_ms, &mut effects);
        effects
    }

    /// All that a session holds goes.
    pub fn release_all(&mut self, session: SessionId, now_ms: u64) -> Vec<Effect> {
        let inodes = self.held.get(&session).cloned().unwrap_or_default();
        self.release(session, inodes, now_ms)
    }

    fn release(&mut self, session: SessionId, inodes: BTreeSet<Ino>, now_ms: u64) -> Vec<Effect> {
        let mut freed = BTreeSet::new();
        for ino in inodes {
            self.let_go(session, ino);
            freed.extend(self.wanted.get(&ino).into_iter().flatten().copied());
        }
        let mut effects = Vec::new();
        self.judge(freed, now_ms, &mut effects);
        effects
    }

    /// A session that may have lapsed is heard.
    pub fn hear(&mut self, session: SessionId) {
        self.lapsed.remove(&session);
    }

    /// A session has not been heard for its lease.
    pub fn lapse(&mut self, session: SessionId) -> Vec<Effect> {
        self.lapsed.insert(session);
        let waited_for = self.waits.values().any(|wait| {
            wait.ready_until_ms.is_none() && self.in_the_way(wait.session, &wait.wants).any(|(_, holder, _)| holder == session)
        });
        if waited_for { vec![Effect::Fence(session)] } else { Vec::new() }
    }

    /// A session is over, and with it its leases and waits.
    pub fn depart(&mut self, session: SessionId, now_ms: u64) -> Vec<Effect> {
        self.lapsed.remove(&session);
        self.claimed.remove(&session);
        self.end_waits_of(session);
        self.release_all(session, now_ms)
    }

    /// A session does not wait for anything any more.
    pub fn end_waits_of(&mut self, session: SessionId) {
        let own: Vec<_> = self.waits.iter().filter(|(_, wait)| wait.session == session).map(|(&ticket, _)| ticket).collect();
        own.into_iter().for_each(|ticket| self.end_wait(ticket));
    }

    /// Time has passed: who has not answered in time is to be fenced, and ops that did not come again are not waited for.
    pub fn expire(&mut self, now_ms: u64) -> Vec<Effect> {
        let late: Vec<_> = self
            .waits
            .iter()
            .filter(|(_, wait)| wait.ready_until_ms.is_some_and(|until| until <= now_ms))
            .map(|(&ticket, _)| ticket)
            .collect();
        late.into_iter().for_each(|ticket| self.end_wait(ticket));
        let mut silent = BTreeSet::new();
        for wait in self.waits.values().filter(|wait| wait.ready_until_ms.is_none()) {
            for (ino, holder, _) in self.in_the_way(wait.session, &wait.wants) {
                let holding = self.inodes.get(&ino).and_then(|holders| holders.get(&holder));
                let since = holding.and_then(|holding| holding.recalled).map(|recalled| recalled.at_ms);
                if since.is_some_and(|at_ms| at_ms + RECALL_LIMIT_MS <= now_ms) {
                    silent.insert(holder);
                }
            }
        }
        silent.into_iter().map(Effect::Fence).collect()
    }

    /// Whether somebody waits.
    pub fn has_waits(&self) -> bool {
        !self.waits.is_empty()
    }
}
