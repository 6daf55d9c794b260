use std::collections::{BTreeMap, BTreeSet};

use super::holder::{Identity, Party};
use super::space::Space;
use super::wait_graph;
use super::{ByteRange, FileOwner, Grant, Held, Holder, Mode, Outcome, Refusal, Request, Resource, Waiter, WaiterId};
use crate::namespace::Ino;
use crate::{LockId, SessionId};

/// So many may hold or want one thing.
const SPACE_MAX: usize = 16 * 1024;
/// One session, and all named locks together, may be about so many things.
const RESOURCES_MAX: usize = 64 * 1024;

/// All locks of one workspace; see the module.
#[derive(Debug, Clone, Default)]
pub struct LockTable {
    pub(super) spaces: BTreeMap<Resource, Space>,
    /// Where somebody holds or waits.
    pub(super) places: BTreeMap<Party, BTreeSet<Resource>>,
    /// Names that are held or wanted.
    names: usize,
    waiting: BTreeMap<WaiterId, Resource>,
    pub(super) expiries: BTreeSet<(u64, LockId)>,
    pub(super) last_token: u64,
    last_waiter: u64,
}

impl LockTable {
    /// Nothing is held. The first token will be greater than `last_token`.
    pub fn new(last_token: u64) -> Self {
        Self { last_token, ..Self::default() }
    }

    /// The greatest fencing token that was given.
    pub fn last_token(&self) -> u64 {
        self.last_token
    }

    /// Whether nobody holds or wants anything.
    pub fn is_empty(&self) -> bool {
        self.spaces.is_empty()
    }

    /// Asks for a lock. The grants are those of others, when a conversion gave up what they waited for.
    pub fn request(&mut self, request: Request, now_ms: u64) -> (Outcome, Vec<Grant>) {
        if let Some(refusal) = self.out_of_bounds(&request) {
            return (Outcome::Refused(refusal), Vec::new());
        }
        let Request { resource, holder, range, mode, wait } = request;
        let who = holder.identity();
        let mut grants = Vec::new();
        if !matches!(resource, Resource::Range(_))
            && let Some(held) = self.spaces.get(&resource).and_then(|space| space.held_by(who, range))
        {
            if held.mode == mode {
                return (Outcome::Granted { fencing_token: held.fencing_token }, grants);
            }
            // flock(2): a conversion is not atomic. One that asks for less waits for nobody, so it is.
            if mode == Mode::Shared {
                let fencing_token = self.hold(&resource, holder, range, mode, now_ms);
                grants = self.serve(&resource, now_ms);
                return (Outcome::Granted { fencing_token }, grants);
            }
            grants = self.take(&resource, range, |holder| holder.identity() == who, now_ms);
        }
        self.last_waiter += 1;
        let id = WaiterId(self.last_waiter);
        self.enqueue(&resource, Waiter { id, holder, range, mode, since_ms: now_ms, passes: BTreeSet::new() });
        let outcome = self.decide(&resource, id, wait, now_ms, &mut grants);
        (outcome, grants)
    }

    /// What becomes of a request that was put into the queue.
    fn decide(&mut self, resource: &Resource, id: WaiterId, wait: bool, now_ms: u64, grants: &mut Vec<Grant>) -> Outcome {
        if wait && let Some(cycle) = wait_graph::deadlock(self, id) {
            grants.extend(self.withdraw(resource, id, now_ms));
            return Outcome::Refused(Refusal::Deadlock { cycle });
        }
        // Where the order of a queue closes a circle, the later of two waiters passes.
        while let Some(pass) = wait_graph::overtaking(self, id, wait) {
            if let Some(space) = self.spaces.get_mut(&pass.resource) {
                space.pass(pass.waiter, pass.earlier);
            }
            grants.extend(self.serve(&pass.resource, now_ms));
        }
        grants.extend(self.serve(resource, now_ms));
        if let Some(own) = grants.iter().position(|grant| grant.waiter == id) {
            return Outcome::Granted { fencing_token: grants.remove(own).fencing_token };
        }
        if wait {
            return Outcome::Queued(id);
        }
        let held = self.blockers_of(id).next().cloned().map(Box::new);
        grants.extend(self.withdraw(resource, id, now_ms));
        Outcome::Refused(Refusal::WouldBlock { held })
    }

    fn out_of_bounds(&self, request: &Request) -> Option<Refusal> {
        let space = self.spaces.get(&request.resource);
        if let Some(mode) = space.and_then(|space| space.mismatch(request.mode)) {
            return Some(Refusal::Mismatch { mode });
        }
        let places = match &request.holder {
            Holder::File(owner) => self.places.get(&Party::Session(owner.session)).map_or(0, BTreeSet::len),
            Holder::Named(_) => self.names,
        };
        let full = space.map_or(0, Space::len) >= SPACE_MAX || places >= RESOURCES_MAX;
        full.then_some(Refusal::Full)
    }

    /// fcntl(2) `F_UNLCK`, and with the whole range what `close` does to the locks of a process on a file (FUSE's
    /// `flush`).
    pub fn unlock_range(&mut self, ino: Ino, session: SessionId, owner: u64, range: ByteRange, now_ms: u64) -> Vec<Grant> {
        let who = Identity::File(session, owner);
        self.take(&Resource::Range(ino), range, |holder| holder.identity() == who, now_ms)
    }

    /// flock(2) `LOCK_UN`, and what the last close of an open file description does (FUSE's `release`).
    pub fn unlock_flock(&mut self, ino: Ino, session: SessionId, owner: u64, now_ms: u64) -> Vec<Grant> {
        let who = Identity::File(session, owner);
        self.take(&Resource::Flock(ino), ByteRange::WHOLE, |holder| holder.identity() == who, now_ms)
    }

    /// A waiter waits no longer. Whether it did: if not, it has been granted or was never there.
    pub fn cancel(&mut self, waiter: WaiterId, now_ms: u64) -> (bool, Vec<Grant>) {
        match self.waiting.get(&waiter).cloned() {
            Some(resource) => (true, self.withdraw(&resource, waiter, now_ms)),
            None => (false, Vec::new()),
        }
    }

    /// A session is over: everything it holds is free, and it waits for nothing.
    pub fn session_gone(&mut self, session: SessionId, now_ms: u64) -> Vec<Grant> {
        let places = self.places.get(&Party::Session(session)).cloned().unwrap_or_default();
        for resource in &places {
            self.remove(resource, session);
        }
        places.iter().flat_map(|resource| self.serve(resource, now_ms)).collect()
    }

    /// A session held this before the node lost its memory. Who waits meanwhile does not count, who holds does.
    ///
    /// # Errors
    /// What is held by somebody else and conflicts.
    pub fn claim(&mut self, resource: Resource, owner: FileOwner, range: ByteRange, mode: Mode, now_ms: u64) -> Result<u64, Box<Held>> {
        if let Some(held) = self.query(&resource, owner.session, owner.owner, range, mode) {
            return Err(Box::new(held.clone()));
        }
        Ok(self.hold(&resource, Holder::File(owner), range, mode, now_ms))
    }

    /// fcntl(2) `F_GETLK`: the first that keeps this from being held.
    pub fn query(&self, resource: &Resource, session: SessionId, owner: u64, range: ByteRange, mode: Mode) -> Option<&Held> {
        self.spaces.get(resource)?.blocking(Identity::File(session, owner), range, mode).next()
    }

    /// What is held and keeps a waiter waiting. Others may be ahead of it besides.
    pub fn blockers_of(&self, waiter: WaiterId) -> impl Iterator<Item = &Held> {
        let found = self.waiter(waiter);
        found.into_iter().flat_map(|(space, waiter)| space.blocking(waiter.holder.identity(), waiter.range, waiter.mode))
    }

    /// Whether a session holds something that somebody else waits for.
    pub fn is_in_the_way(&self, session: SessionId) -> bool {
        let spaces = self.places.get(&Party::Session(session)).into_iter().flatten().filter_map(|resource| self.spaces.get(resource));
        spaces.flat_map(|space| space.queue().iter().map(move |waiter| (space, waiter))).any(|(space, waiter)| {
            let mut blocking = space.blocking(waiter.holder.identity(), waiter.range, waiter.mode);
            waiter.holder.session() != Some(session) && blocking.any(|held| held.holder.session() == Some(session))
        })
    }

    /// Everything that is held or wanted: what, by whom, and who waits in which order.
    pub fn list(&self) -> impl Iterator<Item = (&Resource, &[Held], impl Iterator<Item = &Waiter>)> {
        self.spaces.iter().map(|(resource, space)| (resource, space.held(), space.queue().iter()))
    }

    /// What one session holds, in the order of resources.
    pub fn held_by(&self, session: SessionId) -> impl Iterator<Item = (&Resource, &Held)> {
        let places = self.places.get(&Party::Session(session)).into_iter().flatten();
        places.filter_map(|resource| Some((resource, self.spaces.get(resource)?))).flat_map(move |(resource, space)| {
            space.held().iter().filter(move |held| held.holder.session() == Some(session)).map(move |held| (resource, held))
        })
    }

    pub(super) fn waiter(&self, id: WaiterId) -> Option<(&Space, &Waiter)> {
        let space = self.spaces.get(self.waiting.get(&id)?)?;
        Some((space, space.queue().get(space.position(id)?)?))
    }

    pub(super) fn resource_of(&self, id: WaiterId) -> Option<&Resource> {
        self.waiting.get(&id)
    }

    /// Who waits of a party.
    pub(super) fn waits_of(&self, party: &Party) -> impl Iterator<Item = &Waiter> {
        let places = self.places.get(party).into_iter().flatten();
        places.filter_map(|resource| self.spaces.get(resource)).flat_map(Space::queue).filter(|waiter| waiter.holder.belongs_to(party))
    }

    /// Whether a party holds anything, or waits otherwise than as `wait`.
    pub(super) fn is_about_more(&self, party: &Party, wait: WaiterId) -> bool {
        let mut spaces = self.places.get(party).into_iter().flatten().filter_map(|resource| self.spaces.get(resource));
        spaces.any(|space| {
            space.held().iter().any(|held| held.holder.belongs_to(party))
                || space.queue().iter().any(|waiter| waiter.id != wait && waiter.holder.belongs_to(party))
        })
    }

    /// Serves whoever has nothing to wait for any more, and forgets what nobody is about.
    fn serve(&mut self, resource: &Resource, now_ms: u64) -> Vec<Grant> {
        let mut grants = Vec::new();
        // A grant can free something (fcntl's conversion to shared), so an earlier waiter may be next.
        while let Some(space) = self.spaces.get_mut(resource)
            && let Some(position) = (0..space.queue().len()).find(|&position| space.may_have(position))
            && let Some(waiter) = space.dequeue(position)
        {
            let Waiter { id, holder, range, mode, .. } = waiter;
            self.waiting.remove(&id);
            let fencing_token = self.hold(resource, holder.clone(), range, mode, now_ms);
            grants.push(Grant { waiter: id, resource: resource.clone(), holder, fencing_token });
        }
        self.forget_if_empty(resource);
        grants
    }

    fn hold(&mut self, resource: &Resource, holder: Holder, range: ByteRange, mode: Mode, now_ms: u64) -> u64 {
        self.last_token += 1;
        let expires_ms = match &holder {
            Holder::Named(named) => {
                let at_ms = named.expiry_ms(named.ttl_ms, now_ms);
                self.expiries.insert((at_ms, named.lock_id));
                Some(at_ms)
            }
            Holder::File(_) => None,
        };
        self.insert(resource, Held { holder, range, mode, fencing_token: self.last_token, since_ms: now_ms, expires_ms });
        self.last_token
    }

    pub(super) fn insert(&mut self, resource: &Resource, held: Held) {
        self.place(resource, &held.holder);
        self.space(resource).put(held);
    }

    fn enqueue(&mut self, resource: &Resource, waiter: Waiter) {
        self.place(resource, &waiter.holder);
        self.waiting.insert(waiter.id, resource.clone());
        self.space(resource).enqueue(waiter);
    }

    fn space(&mut self, resource: &Resource) -> &mut Space {
        if !self.spaces.contains_key(resource) && matches!(resource, Resource::Named(_)) {
            self.names += 1;
        }
        self.spaces.entry(resource.clone()).or_default()
    }

    fn forget_if_empty(&mut self, resource: &Resource) {
        if self.spaces.get(resource).is_some_and(Space::is_empty) {
            self.spaces.remove(resource);
            if matches!(resource, Resource::Named(_)) {
                self.names -= 1;
            }
        }
    }

    pub(super) fn take(&mut self, resource: &Resource, range: ByteRange, whose: impl Fn(&Holder) -> bool, now_ms: u64) -> Vec<Grant> {
        let Some(space) = self.spaces.get_mut(resource) else { return Vec::new() };
        let taken = space.take(range, whose);
        if taken.is_empty() {
            return Vec::new();
        }
        self.taken(resource, &taken);
        self.serve(resource, now_ms)
    }

    fn remove(&mut self, resource: &Resource, session: SessionId) {
        let whose = |holder: &Holder| holder.session() == Some(session);
        let Some(space) = self.spaces.get_mut(resource) else { return };
        let taken = space.take(ByteRange::WHOLE, whose);
        let stopped = space.stop_waiting(whose);
        for waiter in &stopped {
            self.waiting.remove(&waiter.id);
        }
        self.taken(resource, &taken);
        self.taken(resource, &stopped.into_iter().map(|waiter| waiter.holder).collect::<Vec<_>>());
    }

    fn withdraw(&mut self, resource: &Resource, id: WaiterId, now_ms: u64) -> Vec<Grant> {
        let Some(space) = self.spaces.get_mut(resource) else { return Vec::new() };
        let Some(waiter) = space.position(id).and_then(|position| space.dequeue(position)) else { return Vec::new() };
        self.waiting.remove(&id);
        self.displace(resource, &waiter.holder);
        self.serve(resource, now_ms)
    }

    fn taken(&mut self, resource: &Resource, holders: &[Holder]) {
        for holder in holders {
            self.displace(resource, holder);
        }
    }

    fn place(&mut self, resource: &Resource, holder: &Holder) {
        for party in holder.parties() {
            self.places.entry(party).or_default().insert(resource.clone());
        }
    }

    /// A holder may have no more to do with a resource.
    fn displace(&mut self, resource: &Resource, holder: &Holder) {
        for party in holder.parties() {
            let remains = self.spaces.get(resource).is_some_and(|space| space.holders().any(|other| other.belongs_to(&party)));
            if !remains && let Some(places) = self.places.get_mut(&party) {
                places.remove(resource);
                if places.is_empty() {
                    self.places.remove(&party);
                }
            }
        }
    }
}
