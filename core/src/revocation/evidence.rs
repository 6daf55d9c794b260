use std::collections::{BTreeMap, VecDeque};

use super::beacon::{BEACON_SHARDS_MAX, ClockId, READINGS_MAX, SignedBeacon, SignedReadings};
use super::calibration::Calibration;
use super::shard_log::{Head, ShardLog};
use super::{RevocationRecord, RevocationRegister, SignedRevocation, Standing};
use crate::cluster::Seat;
use crate::ticket::VerifyingKeys;

/// How many of our questions for the time may still be answered.
const QUESTIONS_MAX: usize = 8;
/// So many beacons of a shard are kept that prove something, each of another clock.
const PROVEN_MAX: usize = 2;
/// How many clocks are known at once. Each is a process of a control node that has answered within half a minute.
const CLOCKS_MAX: usize = 512;

/// What is known of the revocations of shards whose owners may be out of reach: records and beacons, from whoever passes them on.
///
/// What always holds:
/// - **Only what a control node signed has any effect**, so whoever passes it on can neither make a right nor take one.
/// - **A beacon proves that a right stands only if all records are here that its owner had**: by count and digest. Then nothing was
///   revoked, up to the beacon's moment, that is not in the register.
/// - **The age of a proof is never underestimated.** It counts from the earliest instant, by the receiver's clock, at which the
///   owner's clock can have said what the beacon says. That is known from questions that the owner has answered, each with a number
///   that nobody could know before. So who delays or repeats a beacon, or keeps it back, makes a proof older, never younger.
/// - Nothing depends on the order in which things arrive, nor on how often they do. A beacon that is older than one that is known
///   changes nothing.
///
/// Times are milliseconds of the receiver's clock that goes on in suspend.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// What was asked with, and when.
    questions: VecDeque<(u64, u64)>,
    clocks: BTreeMap<ClockId, Calibration>,
    seats: BTreeMap<Seat, Known>,
}

/// What is known of one shard.
#[derive(Debug, Clone, Default)]
struct Known {
    log: ShardLog,
    newest: Option<Told>,
    /// The newest beacon of each of a few clocks all of whose records were here: that of a new owner need not be known yet.
    proven: Vec<Moment>,
}

/// A moment of somebody's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moment {
    clock: ClockId,
    at_ms: u64,
}

#[derive(Debug, Clone, Copy)]
struct Told {
    epoch: u64,
    moment: Moment,
    head: Head,
}

/// What became of something that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It counts, and was not known.
    News,
    /// It says nothing new.
    Known,
    /// No key that is trusted signed it, or it says what cannot be. It had no effect.
    Refused,
}

/// Whether a right stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// It does not, for good.
    Revoked,
    /// It stood so long ago, in milliseconds.
    Stood {
        /// At the most.
        age_ms: u64,
    },
    /// Nobody can say.
    Unknown,
}

impl Known {
    fn check(&mut self, clocks: &BTreeMap<ClockId, Calibration>) {
        let Some(told) = &self.newest else { return };
        self.log.raise_floor(crate::Timestamp::from_unix_ms(told.head.floor_ms));
        if self.log.head() == told.head {
            self.proven.retain(|moment| moment.clock != told.moment.clock);
            self.proven.push(told.moment);
            if self.proven.len() > PROVEN_MAX {
                // What says least: that of a clock which is not known, first of all. Not the newest, whose clock may become known.
                let earliest_ms = |moment: &Moment| clocks.get(&moment.clock)?.earliest_ms(moment.at_ms, 0);
                let least = (0..PROVEN_MAX).min_by_key(|at| self.proven.get(*at).and_then(earliest_ms));
                self.proven.remove(least.unwrap_or(0));
            }
        }
    }
}

impl Evidence {
    /// A question is put to all control nodes at `now_ms`: what does your clock say? `nonce` is random, and nobody knows it before.
    pub fn ask(&mut self, nonce: u64, now_ms: u64) {
        if self.questions.len() >= QUESTIONS_MAX {
            self.questions.pop_front();
        }
        self.questions.push_back((nonce, now_ms));
        self.clocks.retain(|_, calibration| calibration.forget(now_ms));
    }

    /// Takes answers to such questions, signed with one of `keys`: those of the region that the answers name.
    pub fn take_readings(&mut self, signed: &SignedReadings, keys: &VerifyingKeys, now_ms: u64) -> Taken {
        let told = &signed.content;
        let answered = |nonce| self.questions.iter().find(|(asked, _)| *asked == nonce).map(|(_, asked_at_ms)| *asked_at_ms);
        let answers: Vec<_> =
            told.readings.iter().take(READINGS_MAX).filter_map(|reading| Some((answered(reading.nonce)?, reading.at_ms))).collect();
        if answers.is_empty() {
            return Taken::Known;
        }
        if !signed.verifies(keys) {
            return Taken::Refused;
        }
        for (asked_at_ms, at_ms) in answers {
            self.read_clock(told.clock, asked_at_ms, at_ms, now_ms);
        }
        Taken::News
    }

    /// A control node that was asked at `asked_at_ms` has said, in an answer that only it can have given, what its clock says.
    pub fn read_clock(&mut self, clock: ClockId, asked_at_ms: u64, at_ms: u64, now_ms: u64) {
        if self.clocks.len() >= CLOCKS_MAX && !self.clocks.contains_key(&clock) {
            self.clocks.retain(|_, calibration| calibration.forget(now_ms));
            if self.clocks.len() >= CLOCKS_MAX {
                return;
            }
        }
        self.clocks.entry(clock).or_default().learn(asked_at_ms, at_ms);
    }

    /// Takes a beacon, signed with one of `keys`: those of the region that it names.
    pub fn take_beacon(&mut self, signed: &SignedBeacon, keys: &VerifyingKeys, now_ms: u64) -> Taken {
        let beacon = &signed.content;
        let seat = |shard| Seat { region: beacon.region.clone(), shard };
        let is_news = |epoch: u64, known: Option<&Known>| {
            known.and_then(|known| known.newest).is_none_or(|newest| (newest.epoch, newest.moment.at_ms) < (epoch, beacon.at_ms))
        };
        if beacon.shards.len() > BEACON_SHARDS_MAX {
            return Taken::Refused;
        }
        if !beacon.shards.iter().any(|told| is_news(told.epoch, self.seats.get(&seat(told.shard)))) {
            return Taken::Known;
        }
        if !signed.verifies(keys) {
            return Taken::Refused;
        }
        let moment = Moment { clock: beacon.clock, at_ms: beacon.at_ms };
        if let Some(calibration) = self.clocks.get_mut(&beacon.clock)
            && calibration.earliest_ms(beacon.at_ms, now_ms).is_some_and(|earliest_ms| earliest_ms > now_ms)
        {
            calibration.distrust();
            return Taken::Refused;
        }
        for told in &beacon.shards {
            let known = self.seats.entry(seat(told.shard)).or_default();
            if is_news(told.epoch, Some(known)) {
                known.newest = Some(Told { epoch: told.epoch, moment, head: told.head });
                known.check(&self.clocks);
            }
        }
        Taken::News
    }

    /// Takes a record of this shard if one of `keys` signed it. It is in the register before it can complete any proof.
    pub fn take_record(
        &mut self,
        seat: &Seat,
        signed: &SignedRevocation,
        keys: &VerifyingKeys,
        register: &mut RevocationRegister,
    ) -> Taken {
        if !signed.verifies(keys) {
            return Taken::Refused;
        }
        let is_news = register.admit(signed.record.clone());
        self.admit(seat, &signed.record);
        if is_news { Taken::News } else { Taken::Known }
    }

    /// Takes a record of this shard that is in the register already and is known to be genuine.
    pub fn admit(&mut self, seat: &Seat, record: &RevocationRecord) {
        let known = self.seats.entry(seat.clone()).or_default();
        if known.log.insert(record) {
            known.check(&self.clocks);
        }
    }

    /// What is known of a shard's records is to be told anew by its owner, all of it: some may be known here that its log never
    /// held. The register keeps them.
    pub fn begin_anew(&mut self, seat: &Seat) {
        self.seats.entry(seat.clone()).or_default().log.clear();
    }

    /// Whether the newest beacon of a shard tells of other records than are here.
    pub fn lacks_records(&self, seat: &Seat) -> bool {
        self.seats.get(seat).is_some_and(|known| known.newest.is_some_and(|told| told.head != known.log.head()))
    }

    /// How old the newest proof is, at the most, that all revocations of a shard are here; nothing if there is none.
    pub fn age_ms(&self, seat: &Seat, now_ms: u64) -> Option<u64> {
        let earliest_ms = |proven: &Moment| self.clocks.get(&proven.clock)?.earliest_ms(proven.at_ms, now_ms);
        let latest_ms = self.seats.get(seat)?.proven.iter().filter_map(earliest_ms).max()?;
        Some(now_ms.saturating_sub(latest_ms))
    }

    /// Whether what a session stands on stands, if its account lies in this shard.
    pub fn proof(&self, register: &RevocationRegister, on: &Standing, seat: &Seat, now_ms: u64) -> Proof {
        if !register.stands(on) {
            return Proof::Revoked;
        }
        self.age_ms(seat, now_ms).map_or(Proof::Unknown, |age_ms| Proof::Stood { age_ms })
    }
}
