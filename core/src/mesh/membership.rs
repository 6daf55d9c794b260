use std::collections::BTreeMap;

use super::{Facts, MemberId};
use crate::name::NodeName;

/// What gossip knows of one identity at the moment.
#[derive(Debug, Clone)]
pub struct Heard {
    /// Whom.
    pub member: MemberId,
    /// Its heartbeat.
    pub heartbeat: u64,
    /// What it says of itself; absent while that has not arrived or makes no sense.
    pub facts: Option<Facts>,
}

/// One member, in its latest life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub id: MemberId,
    /// What it says of itself; absent while that has not arrived or makes no sense.
    pub facts: Option<Facts>,
    /// Whether it was heard, directly or through others, within the time after which a member is suspected.
    pub live: bool,
}

#[derive(Debug)]
struct Seen {
    member: Member,
    heartbeat: u64,
    silent_ms: u64,
}

impl Seen {
    /// Adds to the silence. Whether the member still counts as alive.
    fn stays_alive(&mut self, silence_ms: u64, limit_ms: u64) -> bool {
        self.silent_ms = self.silent_ms.saturating_add(silence_ms);
        self.member.live &= self.silent_ms < limit_ms;
        self.member.live
    }
}

/// Who is alive: a member is while its heartbeat moves.
///
/// The gossip protocol has a failure detector of its own, but that measures silence in multiples of the mean interval
/// between heartbeats, which shrinks with the traffic: a busy ring would bury a node that paused for 200 ms. Here it is a
/// fixed time, and **time in which we did not look does not count as silence of others**: after we were frozen, nobody is
/// suspected at once.
///
/// A member that is new to us is not alive before its heartbeat has moved: gossip may list the dead.
///
/// It outlasts gossip instances of this node: one that begins anew forgets nobody.
#[derive(Debug)]
pub struct Membership {
    me: NodeName,
    interval_ms: u64,
    suspect_after_ms: u64,
    looked_ms: Option<u64>,
    seen: BTreeMap<NodeName, Seen>,
}

impl Membership {
    /// A view that is brought up to date every `interval_ms`, and in which a member is suspected after it was silent
    /// for `suspect_after_ms`.
    pub fn new(me: NodeName, interval_ms: u64, suspect_after_ms: u64) -> Self {
        Self { me, interval_ms, suspect_after_ms, looked_ms: None, seen: BTreeMap::new() }
    }

    /// Takes in everything that gossip knows now, ourselves included. Returns for how long nobody looked: more than the
    /// time after which a member is suspected means that the others have suspected us.
    pub fn observe(&mut self, now_ms: u64, heard: impl IntoIterator<Item = Heard>) -> u64 {
        let gap_ms = self.looked_ms.map_or(0, |looked_ms| now_ms.saturating_sub(looked_ms));
        self.looked_ms = Some(now_ms);
        let mut latest: BTreeMap<NodeName, Heard> = BTreeMap::new();
        for heard in heard {
            match latest.get(&heard.member.name) {
                Some(other) if other.member.generation >= heard.member.generation => {}
                _ => {
                    latest.insert(heard.member.name.clone(), heard);
                }
            }
        }
        // Whom gossip does not know at the moment, because it has just begun anew, was alive a moment ago nevertheless.
        let (silence_ms, limit_ms) = (gap_ms.min(2 * self.interval_ms), self.suspect_after_ms);
        self.seen.retain(|name, seen| latest.contains_key(name) || seen.stays_alive(silence_ms, limit_ms));
        for (name, heard) in latest {
            let me = name == self.me;
            match self.seen.get_mut(&name) {
                Some(seen) if seen.member.id == heard.member => {
                    if me || heard.heartbeat > seen.heartbeat {
                        (seen.heartbeat, seen.silent_ms, seen.member.live) = (heard.heartbeat, 0, true);
                    } else {
                        seen.stays_alive(silence_ms, limit_ms);
                    }
                    seen.member.facts = heard.facts;
                }
                known => {
                    // A member that comes back in a new life while its last one was alive stays alive: the life is new,
                    // so somebody heard it just now, and nothing has to move twice.
                    let live = me || known.is_some_and(|seen| seen.member.live);
                    let (id, facts, heartbeat) = (heard.member, heard.facts, heard.heartbeat);
                    self.seen.insert(name, Seen { member: Member { id, facts, live }, heartbeat, silent_ms: 0 });
                }
            }
        }
        gap_ms
    }

    /// How long each was not heard, by name, in milliseconds: how old what is known of it is.
    pub fn silences(&self) -> impl Iterator<Item = (&NodeName, u64)> {
        self.seen.iter().map(|(name, seen)| (name, seen.silent_ms))
    }

    /// Everybody, by name.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.seen.values().map(|seen| &seen.member)
    }
}
