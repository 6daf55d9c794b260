use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{ClockId, Head, RevocationRecord, ShardLog, SignedRevocation};
use crate::Timestamp;

/// The most records in one answer to a follower.
const NEWS_MAX: usize = 2_000;

/// The revocations of one shard's accounts, in the order in which its owner learned of them, for whoever serves sessions of
/// these accounts elsewhere.
///
/// A feed begins anew with each owner and names itself, so that a follower of an earlier one reads all of it again: records
/// are merged, and once more does no harm.
#[derive(Debug, Clone, Default)]
pub struct Feed {
    id: u64,
    /// How many were forgotten at the front.
    forgotten: u64,
    records: VecDeque<SignedRevocation>,
    log: ShardLog,
}

/// What a feed has told a follower.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Which feed.
    pub feed: u64,
    /// How many records of it are known.
    pub known: u64,
}

/// What is new in a feed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct News {
    /// Where the follower stands with it.
    pub position: Position,
    /// The records.
    pub records: Vec<RevocationRecord>,
    /// Whether that is all there is.
    pub is_all: bool,
    /// What the clock of its owner said after the question had come.
    #[serde(default)]
    pub clock: Option<(ClockId, u64)>,
}

/// What is new in a feed, for whoever does not take a node's word for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SignedNews {
    /// Where whoever asked stands with it.
    pub position: Position,
    /// The records.
    pub records: Vec<SignedRevocation>,
    /// Whether that is all there is.
    pub is_all: bool,
    /// What the clock of its owner said after the question had come.
    #[serde(default)]
    pub clock: Option<(ClockId, u64)>,
}

impl Feed {
    /// A feed of this name without records.
    pub fn new(id: u64) -> Self {
        Self { id, ..Self::default() }
    }

    /// Which feed it is.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// A right was taken.
    pub fn push(&mut self, revocation: SignedRevocation) {
        self.log.insert(&revocation.record);
        self.records.push_back(revocation);
    }

    /// What is in it, for a beacon.
    pub fn head(&self) -> Head {
        self.log.head()
    }

    /// The records from the one of this number on, oldest first; each with its number.
    pub fn since(&self, number: u64) -> impl Iterator<Item = (u64, &SignedRevocation)> {
        let skipped = usize::try_from(number.saturating_sub(self.forgotten)).unwrap_or(usize::MAX);
        (self.forgotten..).zip(&self.records).skip(skipped)
    }

    /// What a follower who stands there does not know.
    pub fn news(&self, position: Position) -> News {
        let SignedNews { position, records, is_all, clock } = self.signed_news(position);
        News { position, records: records.into_iter().map(|signed| signed.record).collect(), is_all, clock }
    }

    /// The same with the signatures.
    pub fn signed_news(&self, position: Position) -> SignedNews {
        let known = if position.feed == self.id { position.known } else { 0 };
        let skipped = usize::try_from(known.saturating_sub(self.forgotten)).unwrap_or(usize::MAX);
        let records: Vec<_> = self.records.iter().skip(skipped).take(NEWS_MAX).cloned().collect();
        let known = (known.max(self.forgotten) + records.len() as u64).min(self.len());
        SignedNews { position: Position { feed: self.id, known }, records, is_all: known == self.len(), clock: None }
    }

    /// Drops records at the front that are older than anything that may still draw on what they took.
    pub fn forget_older_than(&mut self, age_ms: u64, now: Timestamp) {
        while self.records.front().is_some_and(|signed| now.since_ms(signed.record.revoked_at) > age_ms) {
            self.records.pop_front();
            self.forgotten += 1;
        }
        self.log.raise_floor(Timestamp::from_unix_ms(now.unix_ms().saturating_sub(age_ms)));
    }

    /// How many records there have been.
    pub fn len(&self) -> u64 {
        self.forgotten + self.records.len() as u64
    }

    /// Whether there has been none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a follower knows of a feed.
///
/// Sessions are vouched for only while it is current: if the owner of the feed cannot be asked, nobody can know that a right
/// still stands.
#[derive(Debug, Clone, Default)]
pub struct Following {
    position: Position,
    all_known_at_ms: Option<u64>,
}

impl Following {
    /// Where it stands, for the next question.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Takes the answer to a question that was asked at `asked_at_ms`, by the follower's clock.
    pub fn take(&mut self, news: &News, asked_at_ms: u64) {
        self.position = news.position;
        if news.is_all {
            self.all_known_at_ms = self.all_known_at_ms.max(Some(asked_at_ms));
        }
    }

    /// How old what is known is at `now_ms`, in milliseconds; nothing while the feed was not read whole.
    pub fn age_ms(&self, now_ms: u64) -> Option<u64> {
        self.all_known_at_ms.map(|at_ms| now_ms.saturating_sub(at_ms))
    }

    /// Whether every revocation that was answered more than `age_ms` before `now_ms` is known.
    pub fn is_current(&self, now_ms: u64, age_ms: u64) -> bool {
        self.age_ms(now_ms).is_some_and(|known_ms| known_ms < age_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Target;
    use super::*;
    use crate::{AccountId, GrantId, RevocationId};

    fn record(bits: u128, at_ms: u64) -> SignedRevocation {
        let record = RevocationRecord {
            id: RevocationId::from_bits(bits),
            account: AccountId::from_bits(1),
            target: Target::Grant(GrantId::from_bits(bits)),
            revoked_at: Timestamp::from_unix_ms(at_ms),
        };
        SignedRevocation { record, kid: "k".to_owned(), signature: Vec::new() }
    }

    fn feed(id: u64, records: std::ops::Range<u64>) -> Feed {
        let mut feed = Feed::new(id);
        records.for_each(|at| feed.push(record(u128::from(at), at)));
        feed
    }

    fn follow(feed: &Feed, following: &mut Following, now_ms: u64) -> Vec<u64> {
        let news = feed.news(following.position());
        following.take(&news, now_ms);
        news.records.iter().map(|record| record.revoked_at.unix_ms()).collect()
    }

    #[test]
    fn a_follower_learns_each_record_once_and_is_current_when_it_knows_all() {
        let (mut feed, mut following) = (feed(7, 0..3), Following::default());
        assert!(!following.is_current(10, 1_000));
        assert_eq!(follow(&feed, &mut following, 10), [0, 1, 2]);
        assert!(following.is_current(1_009, 1_000) && !following.is_current(1_010, 1_000));
        assert_eq!(follow(&feed, &mut following, 500), [0; 0]);
        assert!(following.is_current(1_499, 1_000));
        feed.push(record(9, 9));
        assert_eq!(follow(&feed, &mut following, 600), [9]);
    }

    #[test]
    fn the_feed_of_another_owner_is_read_whole() {
        let mut following = Following::default();
        follow(&feed(7, 0..3), &mut following, 0);
        assert_eq!(follow(&feed(8, 1..3), &mut following, 5), [1, 2]);
        assert_eq!(follow(&feed(8, 1..3), &mut following, 6), [0; 0]);
    }

    #[test]
    fn a_long_feed_comes_in_parts_and_only_the_last_makes_current() {
        let feed = feed(7, 0..2 * NEWS_MAX as u64 + 1);
        let mut following = Following::default();
        let parts: Vec<_> = (0..3).map(|_| (follow(&feed, &mut following, 0).len(), following.is_current(0, 1))).collect();
        assert_eq!(parts, [(NEWS_MAX, false), (NEWS_MAX, false), (1, true)]);
    }

    #[test]
    fn what_is_forgotten_is_not_told_and_nothing_is_skipped_for_it() {
        let (mut feed, mut late) = (feed(7, 0..10), Following::default());
        let mut early = Following::default();
        follow(&feed, &mut early, 0);
        feed.forget_older_than(5, Timestamp::from_unix_ms(9));
        assert_eq!(follow(&feed, &mut late, 0), [4, 5, 6, 7, 8, 9]);
        feed.push(record(10, 10));
        assert_eq!(follow(&feed, &mut early, 0), [10]);
        assert_eq!(follow(&feed, &mut late, 0), [10]);
        assert_eq!(feed.since(0).map(|(number, _)| number).collect::<Vec<_>>(), [4, 5, 6, 7, 8, 9, 10]);
        assert_eq!(
            feed.since(9).map(|(number, signed)| (number, signed.record.revoked_at.unix_ms())).collect::<Vec<_>>(),
            [(9, 9), (10, 10)]
        );
        assert_eq!((feed.head().count, feed.since(11).count()), (7, 0));
    }
}
