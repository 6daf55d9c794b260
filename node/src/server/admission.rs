//! Which connections may be open: a place for each, taken when it is accepted and given back when its socket is dropped.
//!
//! A connection is in one of three phases: its first request head is not complete yet, a request is in progress, or it
//! idles between requests. Places are scarce only for those that make no progress; the module of the server says who
//! has to go. An unfinished connection is cut, that is, its task drops it at its next turn; an idle one is closed in good
//! order, because the end of its last answer may still be on the way.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

/// The places of one listener.
pub(super) struct Admission {
    max_connections: usize,
    max_unfinished: usize,
    places: Mutex<Places>,
    /// How many connections are open, for whoever waits for the end.
    open: watch::Sender<usize>,
}

#[derive(Default)]
struct Places {
    /// Numbers connections, and moments of becoming idle, in their order.
    next: u64,
    taken: HashMap<u64, Place>,
    /// Connections without a complete first head, the oldest first.
    unfinished: BTreeMap<u64, u64>,
    /// Connections between two requests, the longest idle first.
    idle: BTreeMap<u64, u64>,
}

struct Place {
    phase: Phase,
    eviction: Arc<Eviction>,
}

/// How the task of a connection is told to end it.
#[derive(Default)]
struct Eviction {
    cut: Notify,
    close: Notify,
}

/// A phase in which a connection may be evicted carries its position in the order of eviction.
enum Phase {
    Unfinished(u64),
    Idle(u64),
    Busy,
    Evicted,
}

impl Admission {
    pub(super) fn new(max_connections: usize, max_unfinished: usize) -> Arc<Self> {
        let max_unfinished = max_unfinished.clamp(1, max_connections);
        let (places, open) = (Mutex::default(), watch::Sender::new(0));
        Arc::new(Self { max_connections, max_unfinished, places, open })
    }

    /// Takes a place for a connection that was just accepted, at the expense of another if there is none free; `None`
    /// when every connection has a request in progress.
    pub(super) fn admit(self: &Arc<Self>) -> Option<Slot> {
        let mut places = self.places.lock();
        if places.unfinished.len() >= self.max_unfinished {
            places.evict_unfinished();
        }
        if places.taken.len() >= self.max_connections && !places.evict_one() {
            return None;
        }
        let id = places.next();
        let eviction = Arc::new(Eviction::default());
        places.taken.insert(id, Place { phase: Phase::Unfinished(id), eviction: Arc::clone(&eviction) });
        places.unfinished.insert(id, id);
        self.open.send_replace(places.taken.len());
        Some(Slot { id, eviction, admission: Arc::clone(self) })
    }

    /// Evicts one connection that makes no progress, for the sake of its descriptor.
    pub(super) fn evict_one(&self) {
        self.places.lock().evict_one();
    }

    /// Evicts all connections that have not begun a request.
    pub(super) fn evict_unfinished(&self) {
        let mut places = self.places.lock();
        while places.evict_unfinished() {}
    }

    /// Cuts every connection and returns how many there were.
    pub(super) fn cut_all(&self) -> usize {
        let places = self.places.lock();
        places.taken.values().for_each(|place| place.eviction.cut.notify_one());
        places.taken.len()
    }

    /// Waits until no connection is open.
    pub(super) async fn drained(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.open.subscribe().wait_for(|&open| open == 0).await;
    }
}

impl Places {
    fn next(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn evict_one(&mut self) -> bool {
        self.evict_unfinished() || self.evict_idle()
    }

    fn evict_unfinished(&mut self) -> bool {
        let oldest = self.unfinished.first_key_value().map(|(_, &id)| id);
        let evicted = oldest.and_then(|id| self.enter(id, Phase::Evicted));
        evicted.inspect(|eviction| eviction.cut.notify_one()).is_some()
    }

    fn evict_idle(&mut self) -> bool {
        let oldest = self.idle.first_key_value().map(|(_, &id)| id);
        let evicted = oldest.and_then(|id| self.enter(id, Phase::Evicted));
        evicted.inspect(|eviction| eviction.close.notify_one()).is_some()
    }

    /// Moves a connection to another phase. There is no way back from being evicted.
    fn enter(&mut self, id: u64, phase: Phase) -> Option<&Eviction> {
        let place = self.taken.get_mut(&id)?;
        match place.phase {
            Phase::Evicted => return None,
            Phase::Busy => {}
            Phase::Unfinished(order) => drop(self.unfinished.remove(&order)),
            Phase::Idle(order) => drop(self.idle.remove(&order)),
        }
        if let Phase::Idle(order) = phase {
            self.idle.insert(order, id);
        }
        place.phase = phase;
        Some(&place.eviction)
    }
}

/// The place of one connection, given back when dropped.
pub(super) struct Slot {
    id: u64,
    eviction: Arc<Eviction>,
    admission: Arc<Admission>,
}

impl Slot {
    /// The head of a request is complete.
    pub(super) fn request_started(&self) {
        self.admission.places.lock().enter(self.id, Phase::Busy);
    }

    /// The answer has been handed over.
    pub(super) fn request_finished(&self) {
        let mut places = self.admission.places.lock();
        let order = places.next();
        places.enter(self.id, Phase::Idle(order));
    }

    /// Waits until the connection has to be dropped as it is.
    pub(super) async fn cut(&self) {
        self.eviction.cut.notified().await;
    }

    /// Waits until the connection has to end with what it is doing.
    pub(super) async fn close(&self) {
        self.eviction.close.notified().await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut places = self.admission.places.lock();
        places.enter(self.id, Phase::Busy);
        places.taken.remove(&self.id);
        self.admission.open.send_replace(places.taken.len());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures_util::FutureExt;

    use super::*;

    fn is_cut(slot: &Slot) -> bool {
        slot.cut().now_or_never().is_some()
    }

    fn is_closed(slot: &Slot) -> bool {
        slot.close().now_or_never().is_some()
    }

    #[test]
    fn one_unfinished_connection_too_many_closes_the_oldest_of_them() {
        let admission = Admission::new(100, 3);
        let good = admission.admit().unwrap();
        good.request_started();
        let slots: Vec<_> = (0..5).map(|_| admission.admit().unwrap()).collect();
        let evicted: Vec<_> = slots.iter().map(is_cut).collect();
        assert_eq!(evicted, [true, true, false, false, false]);
        assert!(!is_cut(&good) && !is_closed(&good));
    }

    #[test]
    fn when_all_places_are_taken_the_unfinished_go_first_then_the_longest_idle_then_the_newcomer() {
        let admission = Admission::new(3, 3);
        let [busy, idle, unfinished] = [(); 3].map(|()| admission.admit().unwrap());
        busy.request_started();
        idle.request_started();
        idle.request_finished();
        let first = admission.admit().unwrap();
        assert!(is_cut(&unfinished) && !is_closed(&idle));
        drop(unfinished);
        first.request_started();
        let second = admission.admit().unwrap();
        assert!(is_closed(&idle) && !is_cut(&idle) && !is_closed(&busy) && !is_cut(&busy));
        drop(idle);
        second.request_started();
        assert!(admission.admit().is_none());
        drop(busy);
        assert!(admission.admit().is_some());
    }

    #[test]
    fn an_evicted_connection_stays_evicted_and_all_places_come_back() {
        let admission = Admission::new(10, 1);
        let slot = admission.admit().unwrap();
        let other = admission.admit().unwrap();
        slot.request_started();
        slot.request_finished();
        assert!(is_cut(&slot) && !is_cut(&other));
        assert_eq!(admission.cut_all(), 2);
        assert!(is_cut(&slot) && is_cut(&other));
        assert!(admission.drained().now_or_never().is_none());
        drop((slot, other));
        assert!(admission.drained().now_or_never().is_some());
        let places = admission.places.lock();
        assert!(places.unfinished.is_empty() && places.idle.is_empty() && places.taken.is_empty());
    }
}
