use std::collections::{BTreeMap, BTreeSet};

use super::Shard;

/// How many shards are opened at once.
const OPENED_AT_ONCE: usize = 4;
/// The pause before a shard that was lost or did not open is tried again; doubled each time it fails anew.
const PAUSE_MIN_MS: u64 = 200;
const PAUSE_MAX_MS: u64 = 10_000;
/// How long a node that does not see most of the others leaves a shard alone that one whom it does not see has taken from it.
const RIVAL_PAUSE_MS: u64 = 120_000;
/// A shard that was served for so long has not failed at once.
const SETTLED_MS: u64 = 30_000;

/// Where a node is with a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitPhase {
    /// It is not to have it.
    Away,
    /// It is to have it and waits: for others to be opened, or because it failed a moment ago.
    Due,
    /// It takes it, and waits for the owner before.
    Opening,
    /// It serves it.
    Serving,
    /// It lets go of it.
    Closing,
}

impl UnitPhase {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Away => "away",
            Self::Due => "due",
            Self::Opening => "opening",
            Self::Serving => "serving",
            Self::Closing => "closing",
        }
    }
}

/// What a node is to do with a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostCommand {
    /// Take it and serve it; [`Hosting::opened`] or [`Hosting::failed`] tells how that went.
    Open(Shard),
    /// Let go of it in good order, so that the next owner need not wait; then [`Hosting::closed`].
    Close(Shard),
    /// Another has it: drop what is left of it; then [`Hosting::closed`].
    Drop(Shard),
}

#[derive(Debug, Clone, Copy)]
enum State {
    Away,
    Opening,
    Serving { since_ms: u64 },
    Closing,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    state: State,
    /// Not to be opened before.
    not_before_ms: u64,
    pause_ms: u64,
    /// Another took it.
    is_lost: bool,
    /// Another asks for it.
    is_given_up: bool,
    /// When another took it although it should have been this node's.
    taken_ms: Option<u64>,
}

/// Which shards a node opens and lets go of, and when.
///
/// It follows what should be so: a shard that should be this node's is opened, one that should not is let go of in good order. What
/// another has taken is dropped at once; if it should still be this node's, it is tried again after a pause that grows, so that
/// two nodes that disagree do not take it from each other without end. Where the ring is cut in two and both parts reach the store,
/// it is the smaller part that stops trying. Nothing is opened that is still being closed, and each
/// command is answered before the next one for the same shard. Whether a node owns what it opened is for the store to say.
#[derive(Debug, Clone, Default)]
pub struct Hosting {
    wanted: BTreeSet<Shard>,
    sees_few: bool,
    places: BTreeMap<Shard, Place>,
}

impl Hosting {
    /// From now on these shards should be this node's.
    pub fn want(&mut self, wanted: impl IntoIterator<Item = Shard>) {
        self.wanted = wanted.into_iter().collect();
        for (shard, place) in &mut self.places {
            if !self.wanted.contains(shard) && place.taken_ms.is_none() {
                place.forget_failures();
            }
        }
    }

    /// Whether this node hears no more than the smaller part of those that it knows.
    pub fn see_few(&mut self, sees_few: bool) {
        self.sees_few = sees_few;
    }

    /// A shard is served from now on.
    pub fn opened(&mut self, shard: Shard, now_ms: u64) {
        self.place(shard).state = State::Serving { since_ms: now_ms };
    }

    /// A shard did not open, and nothing is left of the attempt. It may be that another took it meanwhile.
    pub fn failed(&mut self, shard: Shard, was_taken: bool, now_ms: u64) {
        let place = self.place(shard);
        place.state = State::Away;
        let was_lost = std::mem::take(&mut place.is_lost);
        place.is_given_up = false;
        place.taken_ms = (was_taken || was_lost).then_some(now_ms);
        place.hold_off(now_ms);
    }

    /// Another has the shard, or its unit does not work any more.
    pub fn lost(&mut self, shard: Shard) {
        self.place(shard).is_lost = true;
    }

    /// Another node should have the shard, and asks for it. If that is so, the word of it comes here, too; until then it is
    /// tried again as one that was lost.
    pub fn give_up(&mut self, shard: Shard) {
        let place = self.place(shard);
        place.is_given_up = !matches!(place.state, State::Away | State::Closing);
    }

    /// Nothing is left of a shard that was to be closed or dropped.
    pub fn closed(&mut self, shard: Shard, now_ms: u64) {
        let place = self.place(shard);
        place.state = State::Away;
        let (was_lost, was_given_up) = (std::mem::take(&mut place.is_lost), std::mem::take(&mut place.is_given_up));
        place.taken_ms = was_lost.then_some(now_ms);
        if was_lost || was_given_up {
            place.hold_off(now_ms);
        }
    }

    /// What to do at `now_ms`.
    pub fn step(&mut self, now_ms: u64) -> Vec<HostCommand> {
        let mut commands = Vec::new();
        for (&shard, place) in &mut self.places {
            let State::Serving { since_ms } = place.state else { continue };
            if place.is_lost || place.is_given_up || !self.wanted.contains(&shard) {
                if now_ms.saturating_sub(since_ms) > SETTLED_MS {
                    place.pause_ms = 0;
                }
                place.state = State::Closing;
                commands.push(if place.is_lost { HostCommand::Drop(shard) } else { HostCommand::Close(shard) });
            }
        }
        let mut opening = self.places.values().filter(|place| matches!(place.state, State::Opening)).count();
        for shard in self.wanted.clone() {
            let sees_few = self.sees_few;
            let place = self.place(shard);
            let has_rival = sees_few && place.taken_ms.is_some_and(|taken_ms| now_ms < taken_ms + RIVAL_PAUSE_MS);
            if opening < OPENED_AT_ONCE && matches!(place.state, State::Away) && now_ms >= place.not_before_ms && !has_rival {
                place.state = State::Opening;
                place.is_lost = false;
                opening += 1;
                commands.push(HostCommand::Open(shard));
            }
        }
        commands
    }

    /// When to look again at the latest, if nothing happens before.
    pub fn next_ms(&self) -> Option<u64> {
        let due = self.wanted.iter().filter_map(|shard| self.places.get(shard));
        due.filter(|place| matches!(place.state, State::Away)).map(|place| place.not_before_ms).min()
    }

    /// Where this node is with a shard.
    pub fn phase(&self, shard: Shard) -> UnitPhase {
        match self.places.get(&shard).map(|place| place.state) {
            Some(State::Opening) => UnitPhase::Opening,
            Some(State::Serving { .. }) => UnitPhase::Serving,
            Some(State::Closing) => UnitPhase::Closing,
            None | Some(State::Away) if self.wanted.contains(&shard) => UnitPhase::Due,
            None | Some(State::Away) => UnitPhase::Away,
        }
    }

    /// Whether every shard that should be this node's is served.
    pub fn is_settled(&self) -> bool {
        self.wanted.iter().all(|shard| self.phase(*shard) == UnitPhase::Serving)
    }

    /// Whether nothing is left here of any shard.
    pub fn is_empty(&self) -> bool {
        self.places.values().all(|place| matches!(place.state, State::Away))
    }

    fn place(&mut self, shard: Shard) -> &mut Place {
        let new = Place { state: State::Away, not_before_ms: 0, pause_ms: 0, is_lost: false, is_given_up: false, taken_ms: None };
        self.places.entry(shard).or_insert(new)
    }
}

impl Place {
    /// Whoever asked for the shard was right, so if it is to be this node's again, that is another matter.
    const fn forget_failures(&mut self) {
        (self.pause_ms, self.not_before_ms) = (0, 0);
    }

    fn hold_off(&mut self, now_ms: u64) {
        self.pause_ms = (2 * self.pause_ms).clamp(PAUSE_MIN_MS, PAUSE_MAX_MS);
        self.not_before_ms = now_ms + self.pause_ms;
    }
}

#[cfg(test)]
mod tests {
    use HostCommand::{Close, Drop, Open};

    use super::*;

    const A: Shard = Shard(1);
    const B: Shard = Shard(2);

    fn serving(shards: &[Shard]) -> Hosting {
        let mut hosting = Hosting::default();
        hosting.want(shards.iter().copied());
        hosting.step(0);
        for shard in shards {
            hosting.opened(*shard, 0);
        }
        assert!(hosting.step(0).is_empty() && hosting.is_settled());
        hosting
    }

    #[test]
    fn it_follows_what_should_be() {
        let mut hosting = Hosting::default();
        assert!(hosting.step(0).is_empty() && hosting.is_settled() && hosting.is_empty());
        hosting.want([A, B]);
        assert_eq!(hosting.phase(A), UnitPhase::Due);
        assert_eq!(hosting.step(0), [Open(A), Open(B)]);
        assert_eq!(hosting.step(0), []);
        hosting.opened(A, 5);
        assert_eq!((hosting.phase(A), hosting.phase(B), hosting.is_settled()), (UnitPhase::Serving, UnitPhase::Opening, false));
        hosting.want([B]);
        assert_eq!(hosting.step(6), [Close(A)]);
        hosting.opened(B, 6);
        hosting.want([A, B]);
        assert_eq!(hosting.step(7), [], "it is still being closed");
        hosting.closed(A, 8);
        assert_eq!(hosting.step(8), [Open(A)], "one that was given up in good order is opened at once");
    }

    #[test]
    fn what_is_not_wanted_any_more_when_it_has_opened_is_given_up() {
        let mut hosting = Hosting::default();
        hosting.want([A]);
        assert_eq!(hosting.step(0), [Open(A)]);
        hosting.want([]);
        assert_eq!(hosting.step(1), []);
        hosting.opened(A, 2);
        assert_eq!(hosting.step(2), [Close(A)]);
        assert!(!hosting.is_empty());
        hosting.closed(A, 3);
        assert!(hosting.is_empty());
    }

    #[test]
    fn what_was_lost_is_dropped_and_tried_again_after_pauses_that_grow() {
        let mut hosting = serving(&[A]);
        let mut now_ms = 10;
        for pause_ms in [200, 400, 800] {
            hosting.lost(A);
            assert_eq!(hosting.step(now_ms), [Drop(A)]);
            hosting.closed(A, now_ms);
            assert_eq!(hosting.next_ms(), Some(now_ms + pause_ms));
            assert_eq!(hosting.step(now_ms + pause_ms - 1), []);
            now_ms += pause_ms;
            assert_eq!(hosting.step(now_ms), [Open(A)]);
            hosting.opened(A, now_ms);
        }
        hosting.lost(A);
        now_ms += SETTLED_MS + 1;
        hosting.step(now_ms);
        hosting.closed(A, now_ms);
        assert_eq!(hosting.next_ms(), Some(now_ms + 200), "one that was served for long begins with the shortest pause");
    }

    #[test]
    fn one_that_is_lost_while_it_opens_is_dropped_when_it_has() {
        let mut hosting = Hosting::default();
        hosting.want([A]);
        hosting.step(0);
        hosting.lost(A);
        assert_eq!(hosting.step(1), []);
        hosting.opened(A, 2);
        assert_eq!(hosting.step(2), [Drop(A)]);
    }

    #[test]
    fn one_that_another_asks_for_is_given_up_in_good_order_and_not_taken_back_at_once() {
        let mut hosting = serving(&[A]);
        hosting.give_up(A);
        hosting.give_up(B);
        assert_eq!(hosting.step(10), [Close(A)]);
        hosting.closed(A, 20);
        assert_eq!((hosting.step(219), hosting.step(220)), (vec![], vec![Open(A)]));
        hosting.want([A, B]);
        assert_eq!(hosting.step(220), [Open(B)], "what was not here was not given up");
    }

    /// A node that dies again and again, and takes back what is its own each time it has started.
    #[test]
    fn one_that_was_given_up_to_whom_it_belongs_is_opened_at_once_when_that_dies() {
        let mut hosting = Hosting::default();
        for round in 0..10 {
            let now_ms = 1_000 * round;
            hosting.want([A]);
            assert_eq!(hosting.step(now_ms), [Open(A)]);
            hosting.opened(A, now_ms);
            hosting.give_up(A);
            assert_eq!(hosting.step(now_ms + 1), [Close(A)]);
            hosting.closed(A, now_ms + 2);
            hosting.want([]);
        }
    }

    #[test]
    fn one_that_does_not_open_is_tried_again() {
        let mut hosting = Hosting::default();
        hosting.want([A]);
        hosting.step(0);
        hosting.failed(A, false, 100);
        assert_eq!((hosting.step(299), hosting.step(300)), (vec![], vec![Open(A)]));
    }

    /// Two parts of a ring that do not hear each other, and both reach the store.
    #[test]
    fn the_smaller_part_leaves_alone_what_was_taken_from_it() {
        let mut hosting = serving(&[A]);
        hosting.see_few(true);
        hosting.want([A, B]);
        assert_eq!(hosting.step(10), [Open(B)], "for all it knows the others are dead");
        hosting.lost(A);
        assert_eq!(hosting.step(20), [Drop(A)]);
        hosting.closed(A, 20);
        hosting.failed(B, true, 30);
        assert_eq!(hosting.step(RIVAL_PAUSE_MS + 19), []);
        assert_eq!(hosting.step(RIVAL_PAUSE_MS + 20), [Open(A)], "the others may have died after all");
        hosting.failed(A, false, RIVAL_PAUSE_MS + 21);
        assert_eq!(hosting.step(RIVAL_PAUSE_MS + 30), [Open(B)]);
        hosting.lost(B);
        hosting.opened(B, RIVAL_PAUSE_MS + 31);
        assert_eq!(hosting.step(RIVAL_PAUSE_MS + 31), [Drop(B)]);
        hosting.closed(B, RIVAL_PAUSE_MS + 40);
        assert_eq!(hosting.step(RIVAL_PAUSE_MS + 2_000), [Open(A)]);
        hosting.see_few(false);
        assert_eq!(hosting.step(RIVAL_PAUSE_MS + 2_000), [Open(B)], "it sees the others again");
    }

    #[test]
    fn few_are_opened_at_once() {
        let mut hosting = Hosting::default();
        hosting.want((0..16).map(Shard));
        assert_eq!(hosting.step(0).len(), OPENED_AT_ONCE);
        assert_eq!(hosting.step(0).len(), 0);
        hosting.opened(Shard(0), 1);
        hosting.failed(Shard(1), false, 1);
        assert_eq!(hosting.step(1), [Open(Shard(4)), Open(Shard(5))]);
    }
}
