//! Who waits for whom, over all resources of a table.
//!
//! A waiter waits for those who hold what it wants, and for those ahead of it in its queue. The first kind of wait is
//! a fact; a circle of such waits is a deadlock. The second is a rule of ours: a circle that has one of them in it is
//! broken by letting the later waiter pass the earlier.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::table::LockTable;
use super::{Held, Holder, Mode, Resource, WaiterId, Waiting};

/// So many waits are looked at for one request. A circle that hides behind more is not found: it is more than the threads
/// of any program, and whoever queues them must not keep everybody else waiting.
const STEPS_MAX: usize = 4096;

/// A waiter that has to pass an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pass {
    pub(super) resource: Resource,
    pub(super) waiter: WaiterId,
    pub(super) earlier: WaiterId,
}

/// The circle of waits that would be closed if `start` waited, beginning with `start`.
///
/// Looks at fcntl(2) and named locks, whose owners are known: an owner that waits for one thing is taken to do nothing else
/// meanwhile, as the kernel does. flock(2) finds no deadlocks.
pub(super) fn deadlock(table: &LockTable, start: WaiterId) -> Option<Vec<Waiting>> {
    let edges = reachable(table, start);
    let stuck = stuck(table, &edges);
    if !stuck.contains(&start) {
        return None;
    }
    let circle = shortest_circle(&edges, &stuck, start)?;
    Some(circle.into_iter().filter_map(|id| describe(table, id)).collect())
}

/// For each waiter, the waits of everybody who holds what it wants: one list a holder, empty if that one does not wait.
type Edges = BTreeMap<WaiterId, Vec<Vec<WaiterId>>>;

fn reachable(table: &LockTable, start: WaiterId) -> Edges {
    let mut edges = Edges::new();
    let mut open = vec![start];
    while let Some(id) = open.pop() {
        if edges.len() + open.len() > STEPS_MAX {
            break;
        }
        if edges.contains_key(&id) || matches!(table.resource_of(id), Some(Resource::Flock(_)) | None) {
            continue;
        }
        let blockers: Vec<Vec<WaiterId>> = table.blockers_of(id).map(|held| waits_of_holder(table, held)).collect();
        open.extend(blockers.iter().flatten());
        edges.insert(id, blockers);
    }
    edges
}

fn waits_of_holder(table: &LockTable, held: &Held) -> Vec<WaiterId> {
    let waits = held.holder.waits_as().into_iter().flat_map(|party| table.waits_of(&party).map(|waiter| waiter.id).collect::<Vec<_>>());
    waits.filter(|&id| !matches!(table.resource_of(id), Some(Resource::Flock(_)) | None)).collect()
}

/// The waiters that nobody outside can set free. One permit is enough for who wants a permit; everybody else needs all
/// holders to let go.
fn stuck(table: &LockTable, edges: &Edges) -> BTreeSet<WaiterId> {
    let mut stuck: BTreeSet<WaiterId> = edges.keys().copied().collect();
    loop {
        let free: Vec<WaiterId> = stuck
            .iter()
            .copied()
            .filter(|id| {
                let lets_go = |waits: &Vec<WaiterId>| waits.iter().all(|wait| !stuck.contains(wait));
                match table.waiter(*id).map(|(_, waiter)| waiter.mode) {
                    Some(Mode::Semaphore { .. }) => edges[id].iter().any(lets_go),
                    _ => edges[id].iter().all(lets_go),
                }
            })
            .collect();
        if free.is_empty() {
            return stuck;
        }
        for id in free {
            stuck.remove(&id);
        }
    }
}

fn shortest_circle(edges: &Edges, stuck: &BTreeSet<WaiterId>, start: WaiterId) -> Option<Vec<WaiterId>> {
    let mut came_from: BTreeMap<WaiterId, WaiterId> = BTreeMap::new();
    let mut open = VecDeque::from([start]);
    while let Some(id) = open.pop_front() {
        for &next in edges[&id].iter().flatten().filter(|next| stuck.contains(next)) {
            if next == start {
                let mut circle = vec![id];
                while let Some(&before) = circle.last().and_then(|last| came_from.get(last)) {
                    circle.push(before);
                }
                circle.reverse();
                return Some(circle);
            }
            if let Entry::Vacant(way) = came_from.entry(next) {
                way.insert(id);
                open.push_back(next);
            }
        }
    }
    None
}

fn describe(table: &LockTable, id: WaiterId) -> Option<Waiting> {
    let resource = table.resource_of(id)?.clone();
    let (_, waiter) = table.waiter(id)?;
    Some(Waiting { holder: waiter.holder.clone(), resource })
}

/// A wait for somebody ahead in a queue that is part of a circle through `start`; if that will not wait, one of its own.
///
/// Here a process counts as waiting whichever of its files it waits with, for all kinds of locks: to pass is harmless,
/// and a program that takes a shared flock a second time must not wait behind a writer that waits for its first.
pub(super) fn overtaking(table: &LockTable, start: WaiterId, waits: bool) -> Option<Pass> {
    let (_, waiter) = table.waiter(start)?;
    if !is_elsewhere(table, start, &waiter.holder) {
        return None;
    }
    // Each waiter is seen at most twice: on a way with, and on one without such a wait.
    let mut seen: BTreeSet<(WaiterId, bool)> = BTreeSet::new();
    let mut open: VecDeque<(WaiterId, Option<(WaiterId, WaiterId)>)> = VecDeque::from([(start, None)]);
    while let Some((id, passed)) = open.pop_front() {
        if seen.len() + open.len() > STEPS_MAX {
            return None;
        }
        if !seen.insert((id, passed.is_some())) {
            continue;
        }
        let Some((space, waiter)) = table.waiter(id) else { continue };
        for held in table.blockers_of(id) {
            for next in held.holder.may_wait_as().iter().flat_map(|party| table.waits_of(party)) {
                match passed {
                    Some((waiter, earlier)) if next.id == start => {
                        return Some(Pass { resource: table.resource_of(waiter)?.clone(), waiter, earlier });
                    }
                    _ => open.push_back((next.id, passed)),
                }
            }
        }
        if matches!(waiter.mode, Mode::Semaphore { .. }) {
            continue;
        }
        let may_pass = waits || id == start;
        for earlier in space.position(id).into_iter().flat_map(|position| space.ahead(position)) {
            open.push_back((earlier.id, passed.or(may_pass.then_some((id, earlier.id)))));
        }
    }
    None
}

/// Whether anybody could wait for who waits here: it holds something, or waits for something else.
fn is_elsewhere(table: &LockTable, start: WaiterId, holder: &Holder) -> bool {
    holder.may_wait_as().iter().any(|party| table.is_about_more(party, start))
}
