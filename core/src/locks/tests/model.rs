//! The table against a model that is too simple to be wrong, step by step over random requests.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::fixture::range;
use crate::locks::{FileOwner, Grant, Held, Holder, LockTable, Mode, NamedHolder, Outcome, Refusal, Request, Resource, WaiterId};
use crate::namespace::Ino;
use crate::{LockId, SessionId};

const BYTES: u64 = 6;

#[derive(Debug, Clone)]
enum Step {
    Lock { who: u64, place: usize, start: u64, len: u64, mode: Mode, wait: bool },
    Unlock { who: u64, place: usize, start: u64, len: u64 },
    Cancel(usize),
    Gone(u64),
}

/// Places 0 and 1 are files with ranges, 2 a file with flock, 3 and 4 names, 5 a name with two permits.
fn step(places: std::ops::Range<usize>) -> impl Strategy<Value = Step> {
    let mode = prop_oneof![Just(Mode::Shared), Just(Mode::Exclusive)];
    let (who, bytes) = (0..6u64, (0..BYTES, 1..=BYTES));
    prop_oneof![
        6 => (who.clone(), places.clone(), bytes.clone(), mode, prop::bool::weighted(0.8)).prop_map(|(who, place, (start, len), mode, wait)| {
            Step::Lock { who, place, start, len, mode, wait }
        }),
        4 => (who, places, bytes).prop_map(|(who, place, (start, len))| Step::Unlock { who, place, start, len }),
        1 => any::<usize>().prop_map(Step::Cancel),
        1 => (0..3u64).prop_map(Step::Gone),
    ]
}

/// Somebody who waits, in the model.
#[derive(Debug, Clone)]
struct Wish {
    /// Absent while it is not known whether it has to wait.
    id: Option<WaiterId>,
    request: Request,
}

#[derive(Default)]
struct World {
    table: LockTable,
    /// Who has each byte. What is not a range is one byte.
    bytes: BTreeMap<(Resource, u64), Vec<(Holder, Mode)>>,
    /// In the order in which they came.
    queue: Vec<Wish>,
    /// The later and the earlier of two waiters that waited for each other because of their order, at some time.
    circles: BTreeSet<(WaiterId, WaiterId)>,
    last_token: u64,
    next_lock: u128,
}

fn file_owner(who: u64) -> FileOwner {
    FileOwner { session: SessionId::from_bits(u128::from(who / 2)), owner: who, pid: who as u32 }
}

fn same_owner(a: &Holder, b: &Holder) -> bool {
    match (a, b) {
        (Holder::File(a), Holder::File(b)) => (a.session, a.owner) == (b.session, b.owner),
        (Holder::Named(a), Holder::Named(b)) => a.owner == b.owner,
        _ => false,
    }
}

fn bytes_of(request: &Request) -> Vec<(Resource, u64)> {
    let range = if matches!(request.resource, Resource::Range(_)) { request.range.start..=request.range.end } else { 0..=0 };
    range.map(|byte| (request.resource.clone(), byte)).collect()
}

fn excludes(a: Mode, b: Mode) -> bool {
    a == Mode::Exclusive || b == Mode::Exclusive
}

type Bytes = BTreeMap<(Resource, u64), Vec<(Holder, Mode)>>;

/// Who has what the request wants.
fn in_the_way(bytes: &Bytes, request: &Request) -> Vec<Holder> {
    let mut found = Vec::new();
    for byte in bytes_of(request) {
        let holders = bytes.get(&byte).map_or(&[][..], Vec::as_slice);
        let full = matches!(request.mode, Mode::Semaphore { permits } if holders.len() >= permits as usize);
        let others = holders
            .iter()
            .filter(|(holder, mode)| holder.identity() != request.holder.identity() && (full || excludes(*mode, request.mode)));
        found.extend(others.map(|(holder, _)| holder.clone()));
    }
    found
}

/// Who came before the waiter at `index` and wants what it wants.
fn earlier(queue: &[Wish], index: usize) -> Vec<usize> {
    let own = &queue[index].request;
    let conflicts = |other: &Request| {
        let permit = own.resource == other.resource && matches!(own.mode, Mode::Semaphore { .. });
        let bytes = bytes_of(other);
        let shared = bytes_of(own).iter().any(|byte| bytes.contains(byte));
        other.holder.identity() != own.holder.identity() && (permit || (shared && excludes(own.mode, other.mode)))
    };
    (0..index).filter(|&other| conflicts(&queue[other].request)).collect()
}

/// Pairs in the queue of which the later waits for the earlier for its order alone, and the earlier for the later.
fn circles(bytes: &Bytes, queue: &[Wish]) -> Vec<(usize, usize)> {
    let waits: Vec<BTreeSet<usize>> = (0..queue.len())
        .map(|index| {
            let holders = in_the_way(bytes, &queue[index].request);
            let held = (0..queue.len()).filter(|&other| holders.iter().any(|holder| same_owner(holder, &queue[other].request.holder)));
            held.chain(earlier(queue, index)).collect()
        })
        .collect();
    let reaches = |from: usize, to: usize| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(next) = open.pop() {
            if seen.insert(next) {
                open.extend(&waits[next]);
            }
        }
        seen.contains(&to)
    };
    let pairs = (0..queue.len()).flat_map(|index| earlier(queue, index).into_iter().map(move |other| (index, other)));
    pairs.filter(|&(index, other)| reaches(other, index)).collect()
}

/// Lets everybody who does not wait let go of everything, again and again: whether the last in the queue still waits then.
fn never_served(bytes: &Bytes, queue: &[Wish]) -> bool {
    let (mut bytes, mut waiting) = (bytes.clone(), queue.to_vec());
    waiting.retain(|wish| !matches!(wish.request.resource, Resource::Flock(_)));
    loop {
        let before = (waiting.len(), bytes.values().map(Vec::len).sum::<usize>());
        for holders in bytes.values_mut() {
            holders.retain(|(holder, _)| waiting.iter().any(|wish| same_owner(holder, &wish.request.holder)));
        }
        waiting.retain(|wish| !in_the_way(&bytes, &wish.request).is_empty());
        if before == (waiting.len(), bytes.values().map(Vec::len).sum::<usize>()) {
            return waiting.iter().any(|wish| wish.id.is_none());
        }
    }
}

impl World {
    fn request(&mut self, who: u64, place: usize, start: u64, len: u64, mode: Mode, wait: bool) -> Request {
        match place {
            0 | 1 => {
                let bytes = range(start, (start + len - 1).min(BYTES - 1));
                Request::range(Ino(20 + place as u64), file_owner(who), bytes, mode, wait)
            }
            2 => Request::flock(Ino(20), file_owner(who), mode, wait),
            _ => {
                self.next_lock += 1;
                let lock_id = LockId::from_bits(self.next_lock);
                let holder = NamedHolder { lock_id, owner: Some(who.to_string()), note: None, ttl_ms: 1 << 40, until_ms: None };
                let mode = if place == 5 { Mode::Semaphore { permits: 2 } } else { mode };
                Request::named(format!("n{place}").parse().unwrap(), holder, mode, wait)
            }
        }
    }

    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Lock { who, place, start, len, mode, wait } => {
                let request = self.request(who, place, start, len, mode, wait);
                // Whoever waits does nothing else.
                if !self.queue.iter().any(|wish| same_owner(&wish.request.holder, &request.holder)) {
                    self.lock(&request)?;
                }
            }
            Step::Unlock { who, place, start, len } => {
                let request = self.request(who, place, start, len, Mode::Shared, false);
                self.unlock(&request)?;
            }
            Step::Cancel(index) if !self.queue.is_empty() => {
                let wish = self.queue.remove(index % self.queue.len());
                let (waited, grants) = self.table.cancel(wish.id.unwrap(), 0);
                prop_assert!(waited);
                self.granted(grants)?;
            }
            Step::Cancel(_) => {}
            Step::Gone(session) => {
                let session = SessionId::from_bits(u128::from(session));
                self.queue.retain(|wish| wish.request.holder.session() != Some(session));
                for holders in self.bytes.values_mut() {
                    holders.retain(|(holder, _)| holder.session() != Some(session));
                }
                let grants = self.table.session_gone(session, 0);
                self.granted(grants)?;
            }
        }
        self.compare()
    }

    fn lock(&mut self, request: &Request) -> Result<(), TestCaseError> {
        // flock(2) gives up what it converts; the tests of flock look at that by itself.
        let held = self.bytes.get(&(request.resource.clone(), 0)).into_iter().flatten().any(|(holder, _)| *holder == request.holder);
        if held && matches!(request.resource, Resource::Flock(_)) {
            self.unlock(request)?;
        }
        let mut queue = self.queue.clone();
        queue.push(Wish { id: None, request: request.clone() });
        let own = queue.len() - 1;
        let blocked = !in_the_way(&self.bytes, request).is_empty();
        let doomed = request.wait && !matches!(request.resource, Resource::Flock(_)) && never_served(&self.bytes, &queue);
        let mut circles = circles(&self.bytes, &queue);
        circles.retain(|&(later, _)| request.wait || later == own);
        let behind = earlier(&queue, own);
        let jumps = behind.iter().any(|&other| !circles.contains(&(own, other)));

        let (outcome, mut grants) = self.table.request(request.clone(), 0);
        if let Outcome::Queued(id) = outcome {
            queue[own].id = Some(id);
            self.queue.push(queue[own].clone());
        }
        let named = circles.iter().filter_map(|&(later, earlier)| Some((queue[later].id?, queue[earlier].id?)));
        self.circles.extend(named);
        match outcome {
            Outcome::Granted { fencing_token } => {
                // Who waited in a circle with this request is served first, and may hold less than before.
                let served: Vec<_> = grants.iter().map(|grant| Some(grant.waiter)).collect();
                if blocked || jumps {
                    let newest = grants.iter().map(|grant| grant.fencing_token).max().unwrap_or(self.last_token);
                    self.granted(std::mem::take(&mut grants))?;
                    self.last_token = newest;
                }
                let jumps = behind.iter().any(|&other| !circles.contains(&(own, other)) && !served.contains(&queue[other].id));
                prop_assert!(in_the_way(&self.bytes, request).is_empty() && !jumps, "granted too early: {request:?}");
                self.give(request, fencing_token)?;
            }
            Outcome::Queued(_) => prop_assert!(request.wait && !doomed, "waits for ever: {request:?}"),
            Outcome::Refused(Refusal::WouldBlock { held }) => {
                prop_assert!(!request.wait && (blocked || !behind.is_empty()), "refused in vain: {request:?}");
                prop_assert_eq!(held.is_some(), blocked);
            }
            Outcome::Refused(Refusal::Deadlock { cycle }) => {
                prop_assert!(doomed, "not a deadlock: {request:?}");
                prop_assert_eq!(&cycle[0].holder, &request.holder);
            }
            Outcome::Refused(other) => prop_assert!(false, "{:?}", other),
        }
        self.granted(grants)
    }

    fn unlock(&mut self, request: &Request) -> Result<(), TestCaseError> {
        let grants = match (&request.resource, &request.holder) {
            (Resource::Range(ino), Holder::File(owner)) => {
                self.take(request);
                self.table.unlock_range(*ino, owner.session, owner.owner, request.range, 0)
            }
            (Resource::Flock(ino), Holder::File(owner)) => {
                self.take(request);
                self.table.unlock_flock(*ino, owner.session, owner.owner, 0)
            }
            _ => {
                let place = (request.resource.clone(), 0);
                let holders = self.bytes.entry(place).or_default();
                let Some(index) = holders.iter().position(|(holder, _)| same_owner(holder, &request.holder)) else { return Ok(()) };
                let (Holder::Named(named), _) = holders.remove(index) else { unreachable!() };
                self.table.release(named.lock_id, 0).unwrap()
            }
        };
        self.granted(grants)
    }

    fn take(&mut self, request: &Request) {
        for byte in bytes_of(request) {
            self.bytes.entry(byte).or_default().retain(|(holder, _)| holder.identity() != request.holder.identity());
        }
    }

    fn give(&mut self, request: &Request, fencing_token: u64) -> Result<(), TestCaseError> {
        prop_assert!(fencing_token > self.last_token, "a token came twice");
        self.take(request);
        for byte in bytes_of(request) {
            self.bytes.entry(byte).or_default().push((request.holder.clone(), request.mode));
        }
        Ok(())
    }

    fn granted(&mut self, grants: Vec<Grant>) -> Result<(), TestCaseError> {
        for grant in grants {
            let index = self.queue.iter().position(|wish| wish.id == Some(grant.waiter)).unwrap();
            let jumps = |&other: &usize| !self.circles.contains(&(grant.waiter, self.queue[other].id.unwrap()));
            prop_assert!(!earlier(&self.queue, index).iter().any(jumps), "jumped the queue: {grant:?}");
            let wish = self.queue.remove(index);
            prop_assert!(in_the_way(&self.bytes, &wish.request).is_empty(), "granted too early: {grant:?}");
            self.give(&wish.request, grant.fencing_token)?;
        }
        self.last_token = self.table.last_token();
        Ok(())
    }

    fn compare(&self) -> Result<(), TestCaseError> {
        let mut bytes = Bytes::new();
        let mut queue = Vec::new();
        for (resource, held, waiters) in self.table.list() {
            for (index, part) in held.iter().enumerate() {
                let whole = !matches!(resource, Resource::Range(_));
                for byte in if whole { 0..=0 } else { part.range.start..=part.range.end } {
                    bytes.entry((resource.clone(), byte)).or_default().push((part.holder.clone(), part.mode));
                }
                let splits = |other: &Held| other.holder == part.holder && other.mode == part.mode && other.range.touches(part.range);
                prop_assert!(!held[index + 1..].iter().any(splits), "not one range: {held:?}");
            }
            queue.extend(waiters.map(|waiter| Some(waiter.id)));
        }
        let sorted = |bytes: &Bytes| -> BTreeMap<(Resource, u64), Vec<String>> {
            let holders = bytes.iter().filter(|(_, holders)| !holders.is_empty());
            let sorted = holders.map(|(byte, holders)| {
                let mut holders: Vec<_> = holders.iter().map(|holder| format!("{holder:?}")).collect();
                holders.sort();
                (byte.clone(), holders)
            });
            sorted.collect()
        };
        prop_assert_eq!(sorted(&bytes), sorted(&self.bytes));
        let mut waiting: Vec<_> = self.queue.iter().map(|wish| (&wish.request.resource, wish.id)).collect();
        waiting.sort();
        prop_assert_eq!(queue, waiting.into_iter().map(|(_, id)| id).collect::<Vec<_>>());
        for (index, wish) in self.queue.iter().enumerate() {
            let waits = !in_the_way(&self.bytes, &wish.request).is_empty() || !earlier(&self.queue, index).is_empty();
            prop_assert!(waits, "forgotten: {wish:?}");
        }
        Ok(())
    }

    /// Everybody who does not wait lets go of everything, until nobody waits.
    fn drain(&mut self) -> Result<(), TestCaseError> {
        for _ in 0..100 {
            let waits = |holder: &Holder| self.queue.iter().any(|wish| same_owner(&wish.request.holder, holder));
            let free: Vec<(Resource, Holder)> = self
                .bytes
                .iter()
                .flat_map(|((resource, _), holders)| holders.iter().map(move |(holder, _)| (resource.clone(), holder.clone())))
                .filter(|(_, holder)| !waits(holder))
                .collect();
            for (resource, holder) in free {
                self.unlock(&Request { resource, holder, range: range(0, BYTES - 1), mode: Mode::Shared, wait: false })?;
            }
        }
        prop_assert!(self.queue.is_empty(), "wait for ever: {:?}", self.queue);
        prop_assert!(self.table.is_empty());
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_table_does_what_the_model_does(steps in prop::collection::vec(step(0..6), 1..120)) {
        let mut world = World::default();
        for step in steps {
            world.step(step)?;
        }
    }

    #[test]
    fn whoever_waits_is_served_once_the_others_let_go(steps in prop::collection::vec(step(0..2), 1..60), named in prop::collection::vec(step(3..6), 1..60)) {
        let mut world = World::default();
        for (step, other) in steps.into_iter().zip(named) {
            world.step(step)?;
            world.step(other)?;
        }
        world.drain()?;
    }
}
