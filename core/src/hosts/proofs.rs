use crate::cluster::{Seat, ShardMap};
use crate::revocation::{
    Evidence, Issue, Position, Proof, RevocationRegister, SignedBeacon, SignedNews, SignedReadings, SignedRevocation, Standing, Taken,
    Target, from_text, rumour, to_text,
};
use crate::ticket::{Jwks, VerifyingKeys};
use crate::{AccountId, Timestamp};

/// What was revoked longer ago than this no ticket can draw on any more, in milliseconds.
const KEPT_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// What a host knows of the revocations of its account's shard, from gossip and from the node that it asks.
///
/// - Gossip counts for its signature: of the region's keys, which come from the node over the connection that the host trusts with
///   its credential. A beacon of another region and a record of another shard have no effect, however genuine they are: they do not
///   belong to what is counted here.
/// - How fresh what is known is, [`Evidence`] says, which nobody in between can stretch.
/// - What is read of the owner's feed is taken as it says: a feed of another owner is read from the start, and what is known besides
///   is sorted out then; the register keeps it.
#[derive(Debug, Clone)]
pub struct HostProofs {
    account: AccountId,
    seat: Seat,
    shards: ShardMap,
    jwks: Jwks,
    keys: VerifyingKeys,
    evidence: Evidence,
    register: RevocationRegister,
    position: Position,
    is_whole: bool,
    /// Whether the feed, read to its end, did not hold what beacons tell of.
    is_off: bool,
}

impl HostProofs {
    /// Of an account in this shard, of so many.
    pub fn new(account: AccountId, seat: Seat, shards: ShardMap) -> Self {
        let (evidence, register, position) = (Evidence::default(), RevocationRegister::default(), Position::default());
        let (jwks, keys) = (Jwks { keys: Vec::new() }, VerifyingKeys::default());
        Self { account, seat, shards, jwks, keys, evidence, register, position, is_whole: false, is_off: false }
    }

    /// Whose revocations these are.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// Where its revocations are.
    pub fn seat(&self) -> &Seat {
        &self.seat
    }

    /// From now on these keys count. Whether that is news: what was refused may be looked at again.
    pub fn trust(&mut self, jwks: Jwks) -> bool {
        let is_news = self.jwks != jwks;
        if is_news {
            self.keys = jwks.verifying_keys();
            self.jwks = jwks;
        }
        is_news
    }

    /// What to say of the feed when it is asked for. From the start if something is known here that the owner does not have, or the
    /// other way round, and to read what is new did not help.
    pub fn known(&self) -> Position {
        if self.is_off && self.lacks_records() { Position::default() } else { self.position }
    }

    /// Takes what the owner's feed says, for which was asked at `asked_at_ms`.
    pub fn read(&mut self, asked: Position, news: &SignedNews, asked_at_ms: u64, now_ms: u64, wall: Timestamp) {
        if asked == Position::default() || asked.feed != news.position.feed {
            self.evidence.begin_anew(&self.seat);
        }
        for signed in &news.records {
            self.take_record(signed);
        }
        if let Some((clock, at_ms)) = news.clock {
            self.evidence.read_clock(clock, asked_at_ms, at_ms, now_ms);
        }
        (self.position, self.is_whole) = (news.position, news.is_all);
        self.is_off = self.is_whole && self.lacks_records();
        self.register.forget_older_than(KEPT_MS, wall);
    }

    /// Whether the feed was read to its end when it was read last.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Asks all nodes for the time of their clocks; `nonce` is random. What to say in gossip.
    pub fn ask(&mut self, nonce: u64, now_ms: u64) -> (String, String) {
        self.evidence.ask(nonce, now_ms);
        (rumour::ASK.to_owned(), to_text(&nonce))
    }

    /// Takes what somebody says in gossip under a key.
    pub fn hear(&mut self, key: &str, value: &str, now_ms: u64) -> Taken {
        if key == rumour::CLOCK {
            let signed = from_text::<SignedReadings>(value).filter(|signed| signed.content.region == self.seat.region);
            return signed.map_or(Taken::Known, |signed| self.evidence.take_readings(&signed, &self.keys, now_ms));
        }
        if key.starts_with(rumour::BEACON) {
            let signed = from_text::<SignedBeacon>(value).filter(|signed| signed.content.region == self.seat.region);
            return signed.map_or(Taken::Known, |signed| self.evidence.take_beacon(&signed, &self.keys, now_ms));
        }
        if key.starts_with(rumour::RECORDS) {
            let taken = from_text::<Vec<SignedRevocation>>(value).unwrap_or_default();
            let taken: Vec<Taken> = taken.iter().map(|signed| self.take_record(signed)).collect();
            let any = |wanted| taken.contains(&wanted);
            return if any(Taken::News) {
                Taken::News
            } else if any(Taken::Refused) {
                Taken::Refused
            } else {
                Taken::Known
            };
        }
        Taken::Known
    }

    fn take_record(&mut self, signed: &SignedRevocation) -> Taken {
        if self.shards.of(signed.record.account) != self.seat.shard {
            return Taken::Known;
        }
        self.evidence.take_record(&self.seat, signed, &self.keys, &mut self.register)
    }

    /// Whether the newest beacon tells of other records than are here.
    pub fn lacks_records(&self) -> bool {
        self.evidence.lacks_records(&self.seat)
    }

    /// How old the newest proof is, at the most, that everything that was revoked is known here.
    pub fn age_ms(&self, now_ms: u64) -> Option<u64> {
        self.evidence.age_ms(&self.seat, now_ms)
    }

    /// Whether what a session of this account stands on stands.
    pub fn proof(&self, on: &Standing, now_ms: u64) -> Proof {
        self.evidence.proof(&self.register, on, &self.seat, now_ms)
    }

    /// Whether everything that the account had issued in this generation was revoked at once.
    pub fn is_void(&self, generation: u64) -> bool {
        self.register.is_void(Issue { account: self.account, generation })
    }

    /// Whether this was revoked.
    pub fn is_revoked(&self, target: Target) -> bool {
        self.register.revoked(target).is_some()
    }
}
