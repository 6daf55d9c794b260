use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use artifacts_core::Timestamp;
use artifacts_core::locks::Mode;
use artifacts_core::name::LockName;
use tokio::sync::broadcast;

/// So many events are remembered for those who come back.
const REMEMBERED: usize = 1_024;

/// Names an event of a workspace. Events of a later life of the actor have greater ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventId {
    life: u64,
    seq: u64,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.life, self.seq)
    }
}

/// The text is not the id of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnEventId;

impl FromStr for EventId {
    type Err = NotAnEventId;

    fn from_str(text: &str) -> Result<Self, NotAnEventId> {
        let (life, seq) = text.split_once('-').ok_or(NotAnEventId)?;
        let number = |text: &str| text.parse().map_err(|_| NotAnEventId);
        Ok(Self { life: number(life)?, seq: number(seq)? })
    }
}

/// What happened to a named lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// Somebody has it.
    Acquired,
    /// Its holder has given it back.
    Released,
    /// It was not renewed in time.
    Expired,
    /// The right by which it was held has ended.
    Revoked,
    /// Somebody waits for it.
    Waiting,
    /// Somebody waits for it no longer, and has not got it.
    GaveUp,
}

impl EventKind {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Acquired => "acquired",
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Waiting => "waiting",
            Self::GaveUp => "gave_up",
        }
    }
}

/// Something that happened to a named lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockEvent {
    /// Its name.
    pub id: EventId,
    /// What.
    pub kind: EventKind,
    /// To which lock.
    pub lock: LockName,
    /// How it is or was wanted.
    pub mode: Mode,
    /// By whom, if that was said.
    pub owner: Option<String>,
    /// For people.
    pub note: Option<String>,
    /// Of a lock that is or was held.
    pub fencing_token: Option<u64>,
    /// When.
    pub at: Timestamp,
}

/// How a stream of events begins.
#[derive(Debug)]
pub struct Resumed {
    /// Whether events between the one that was known and the first of these are lost.
    pub gap: bool,
    /// The last event so far: what is listed from now on has seen everything up to it.
    pub last: EventId,
    /// What came since the one that was known.
    pub missed: Vec<Arc<LockEvent>>,
}

/// A stream of events.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) resumed: Resumed,
    pub(crate) events: broadcast::Receiver<Arc<LockEvent>>,
}

/// The events of one workspace: the latest, and who listens.
#[derive(Debug)]
pub(super) struct Events {
    last: EventId,
    latest: VecDeque<Arc<LockEvent>>,
    listeners: broadcast::Sender<Arc<LockEvent>>,
}

impl Events {
    /// `life` is greater than that of the actor before.
    pub(super) fn new(life: u64) -> Self {
        let listeners = broadcast::Sender::new(REMEMBERED);
        Self { last: EventId { life, seq: 0 }, latest: VecDeque::new(), listeners }
    }

    /// Tells an event; the id is given here.
    pub(super) fn tell(&mut self, event: LockEvent) {
        self.last.seq += 1;
        let event = Arc::new(LockEvent { id: self.last, ..event });
        if self.latest.len() == REMEMBERED {
            self.latest.pop_front();
        }
        self.latest.push_back(event.clone());
        let _ = self.listeners.send(event);
    }

    /// The id of the last event.
    pub(super) fn last(&self) -> EventId {
        self.last
    }

    /// Whether somebody listens.
    pub(super) fn are_heard(&self) -> bool {
        self.listeners.receiver_count() > 0
    }

    pub(super) fn subscribe(&self, after: Option<EventId>) -> Subscription {
        let events = self.listeners.subscribe();
        let after = after.unwrap_or(self.last);
        let known = after.life == self.last.life && after.seq <= self.last.seq;
        let missed: Vec<_> = self.latest.iter().filter(|event| !known || event.id.seq > after.seq).cloned().collect();
        let whole = known && missed.len() as u64 == self.last.seq - after.seq;
        let resumed = Resumed { gap: !whole, last: self.last, missed: if whole { missed } else { Vec::new() } };
        Subscription { resumed, events }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tell(events: &mut Events, count: usize) {
        for _ in 0..count {
            events.tell(LockEvent {
                id: events.last(),
                kind: EventKind::Acquired,
                lock: "a".parse().unwrap(),
                mode: Mode::Exclusive,
                owner: None,
                note: None,
                fencing_token: Some(1),
                at: Timestamp::from_unix_ms(0),
            });
        }
    }

    #[test]
    fn whoever_comes_back_gets_what_was_missed_or_hears_of_a_gap() {
        let mut events = Events::new(7);
        tell(&mut events, 10);
        let after = |events: &Events, id: &str| events.subscribe(Some(id.parse().unwrap())).resumed;
        let seqs = |resumed: Resumed| resumed.missed.iter().map(|event| event.id.seq).collect::<Vec<_>>();
        assert_eq!(seqs(after(&events, "7-8")), [9, 10]);
        assert!(!after(&events, "7-10").gap && after(&events, "7-10").missed.is_empty());
        assert!(after(&events, "7-11").gap && after(&events, "6-3").gap, "of another life");
        assert!(!events.subscribe(None).resumed.gap, "new");
        tell(&mut events, REMEMBERED);
        assert!(after(&events, "7-9").gap);
        assert_eq!(seqs(after(&events, "7-10")).len(), REMEMBERED);
    }

    #[test]
    fn ids_read_as_they_are_written() {
        let id: EventId = "12-3".parse().unwrap();
        assert_eq!(id.to_string(), "12-3");
        for bad in ["", "12", "-", "a-1", "1-", "1-2-3"] {
            assert_eq!(bad.parse::<EventId>(), Err(NotAnEventId), "{bad}");
        }
    }
}
