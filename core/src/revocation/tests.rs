//! An owner, a receiver, and everything that may happen in between: whoever passes things on delays, repeats, drops, reorders,
//! truncates, changes and forges what it likes, and clocks run apart.

use ed25519_dalek::SigningKey;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};

use super::*;
use crate::cluster::{Region, Seat, Shard};
use crate::ticket::VerifyingKeys;
use crate::{AccountId, GrantId, RevocationId, SessionId, Timestamp, WorkspaceId};

const GRANTS: u8 = 5;

/// What the receiver gets wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    /// A beacon counts from its arrival.
    CountsFromArrival,
    /// A beacon proves standing without its records.
    ProvesWithoutRecords,
    /// Any signature will do.
    TrustsAnybody,
    /// The time is asked for with a number that was used before.
    RepeatsNumbers,
}

#[derive(Debug, Clone)]
enum Step {
    /// Time passes.
    Wait(u16),
    Revoke(u8),
    Beacon,
    /// Another owner, with another clock.
    Change,
    Ask,
    /// The owner answers a question, however old.
    Answer(u8),
    /// Something that was said arrives, now or again.
    Deliver(u16),
    /// The same, of what was said last.
    DeliverLate(u8),
    /// Something arrives with a byte changed, or cut off.
    Spoil(u16, u16, bool),
    /// What somebody without a key of the cluster makes up.
    Forge(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u16..400).prop_map(Step::Wait),
        1 => (0..GRANTS).prop_map(Step::Revoke),
        4 => Just(Step::Beacon),
        1 => Just(Step::Change),
        2 => Just(Step::Ask),
        2 => any::<u8>().prop_map(Step::Answer),
        4 => any::<u16>().prop_map(Step::Deliver),
        6 => (0u8..4).prop_map(Step::DeliverLate),
        2 => (any::<u16>(), any::<u16>(), any::<bool>()).prop_map(|(which, at, cut)| Step::Spoil(which, at, cut)),
        1 => (0..GRANTS).prop_map(Step::Forge),
    ]
}

/// A clock that is off, and runs apart from the true time by some ppm.
#[derive(Debug, Clone, Copy)]
struct Clock {
    offset_ms: u64,
    ppm: i64,
}

impl Clock {
    fn at(self, true_us: u64) -> u64 {
        let skew = i128::from(true_us) * i128::from(self.ppm) / 1_000_000;
        self.offset_ms + ((i128::from(true_us) + skew) / 1_000) as u64
    }
}

#[derive(Debug, Clone)]
enum Said {
    Record(String),
    Beacon(String),
    Readings(String),
}

struct World {
    true_us: u64,
    key: SigningKey,
    stranger: SigningKey,
    keys: VerifyingKeys,
    seat: Seat,
    // The owner.
    clock: Clock,
    clock_id: ClockId,
    epoch: u64,
    last_beacon_ms: u64,
    log: ShardLog,
    /// By the receiver's clock.
    revoked_at_ms: [Option<u64>; GRANTS as usize],
    said: Vec<Said>,
    questions: Vec<u64>,
    // The receiver.
    mine: Clock,
    evidence: Evidence,
    register: RevocationRegister,
    bug: Option<Bug>,
}

fn standing(grant: u8) -> Standing {
    Standing {
        session: SessionId::from_bits(1),
        grant: Some(GrantId::from_bits(u128::from(grant))),
        key: None,
        workspace: WorkspaceId::from_bits(1),
        issue: None,
    }
}

impl World {
    fn new(bug: Option<Bug>, skew: (i64, i64)) -> Self {
        let (key, stranger) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
        let mut keys = vec![("k".to_owned(), key.verifying_key())];
        if bug == Some(Bug::TrustsAnybody) {
            keys.push(("s".to_owned(), stranger.verifying_key()));
        }
        Self {
            true_us: 0,
            key,
            stranger,
            keys: keys.into_iter().collect(),
            seat: Seat { region: Region::from("eu"), shard: Shard(3) },
            clock: Clock { offset_ms: 7_000_000, ppm: skew.0 },
            clock_id: ClockId([0; 16]),
            epoch: 1,
            last_beacon_ms: 0,
            log: ShardLog::default(),
            revoked_at_ms: [None; GRANTS as usize],
            said: Vec::new(),
            questions: Vec::new(),
            mine: Clock { offset_ms: 90_000, ppm: skew.1 },
            evidence: Evidence::default(),
            register: RevocationRegister::default(),
            bug,
        }
    }

    fn now_ms(&self) -> u64 {
        self.mine.at(self.true_us)
    }

    fn record(&self, grant: u8) -> RevocationRecord {
        RevocationRecord {
            id: RevocationId::from_bits(u128::from(grant) + 100),
            account: AccountId::from_bits(1),
            target: Target::Grant(GrantId::from_bits(u128::from(grant))),
            revoked_at: Timestamp::from_unix_ms(1_000 + self.true_us / 1_000),
        }
    }

    fn beacon(&self, head: Head) -> Beacon {
        let shards = vec![ShardHead { shard: self.seat.shard, epoch: self.epoch, head }];
        let at_ms = self.clock.at(self.true_us).max(self.last_beacon_ms + 1);
        Beacon { region: self.seat.region.clone(), clock: self.clock_id, at_ms, shards }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Wait(ms) => self.true_us += u64::from(ms) * 1_000 + 500,
            Step::Revoke(grant) => {
                if self.revoked_at_ms[usize::from(grant)].is_none() {
                    let record = self.record(grant);
                    self.log.insert(&record);
                    self.revoked_at_ms[usize::from(grant)] = Some(self.now_ms());
                    self.said.push(Said::Record(to_text(&SignedRevocation::sign(record, "k", &self.key))));
                }
            }
            Step::Beacon => {
                let beacon = self.beacon(self.log.head());
                // A millisecond passes between two beacons of one owner.
                self.true_us += 2_000;
                self.last_beacon_ms = beacon.at_ms;
                self.said.push(Said::Beacon(to_text(&Signed::sign(beacon, "k", &self.key))));
            }
            Step::Change => {
                self.epoch += 1;
                self.clock_id = ClockId([self.epoch as u8; 16]);
                self.clock.offset_ms = 5_000_000 / self.epoch;
                self.last_beacon_ms = 0;
            }
            Step::Ask => {
                let nonce = if self.bug == Some(Bug::RepeatsNumbers) { 1 } else { self.questions.len() as u64 + 1 };
                let now_ms = self.now_ms();
                self.evidence.ask(nonce, now_ms);
                self.questions.push(nonce);
            }
            Step::Answer(which) => {
                if let Some(nonce) = pick(&self.questions, usize::from(which)).copied() {
                    let reading = Reading { nonce, at_ms: self.clock.at(self.true_us) };
                    let readings = Readings { region: self.seat.region.clone(), clock: self.clock_id, readings: vec![reading] };
                    self.said.push(Said::Readings(to_text(&Signed::sign(readings, "k", &self.key))));
                }
            }
            Step::Deliver(which) => {
                if let Some(said) = pick(&self.said, usize::from(which)).cloned() {
                    self.deliver(&said);
                }
            }
            Step::DeliverLate(back) => {
                if let Some(said) = self.said.iter().rev().nth(usize::from(back)).cloned() {
                    self.deliver(&said);
                }
            }
            Step::Spoil(which, at, cut) => {
                if let Some(said) = pick(&self.said, usize::from(which)).cloned() {
                    let spoil = |text: String| {
                        let at = usize::from(at) % text.len().max(1);
                        if cut {
                            text[..at].to_owned()
                        } else {
                            format!("{}{}{}", &text[..at], if &text[at..=at] == "A" { 'B' } else { 'A' }, &text[at + 1..])
                        }
                    };
                    self.deliver(&match said {
                        Said::Record(text) => Said::Record(spoil(text)),
                        Said::Beacon(text) => Said::Beacon(spoil(text)),
                        Said::Readings(text) => Said::Readings(spoil(text)),
                    });
                }
            }
            Step::Forge(grant) => self.forge(grant),
        }
    }

    fn forge(&mut self, grant: u8) {
        let record = RevocationRecord { id: RevocationId::from_bits(u128::from(grant) + 900), ..self.record(grant) };
        let mut beacon = self.beacon(self.evidence_head());
        (beacon.at_ms, beacon.shards[0].epoch) = (beacon.at_ms + 60_000, self.epoch + 1);
        let nonces = self.questions.iter().map(|nonce| Reading { nonce: *nonce, at_ms: 0 }).collect();
        let readings = Readings { region: self.seat.region.clone(), clock: self.clock_id, readings: nonces };
        for kid in ["k", "s"] {
            self.deliver(&Said::Record(to_text(&SignedRevocation::sign(record.clone(), kid, &self.stranger))));
            self.deliver(&Said::Beacon(to_text(&Signed::sign(beacon.clone(), kid, &self.stranger))));
            self.deliver(&Said::Readings(to_text(&Signed::sign(readings.clone(), kid, &self.stranger))));
        }
    }

    /// A head that the receiver would take for its own.
    fn evidence_head(&self) -> Head {
        ShardLog::default().head()
    }

    fn deliver(&mut self, said: &Said) {
        let now_ms = self.now_ms();
        match said {
            Said::Record(text) => {
                if let Some(signed) = from_text::<SignedRevocation>(text) {
                    self.evidence.take_record(&self.seat, &signed, &self.keys, &mut self.register);
                }
            }
            Said::Beacon(text) => {
                let Some(signed) = from_text::<SignedBeacon>(text) else { return };
                let taken = self.evidence.take_beacon(&signed, &self.keys, now_ms);
                if self.bug == Some(Bug::CountsFromArrival) && taken != Taken::Refused {
                    self.evidence.read_clock(signed.content.clock, now_ms, signed.content.at_ms, now_ms);
                }
                if self.bug == Some(Bug::ProvesWithoutRecords) {
                    let revoked = (0..GRANTS).filter(|grant| self.revoked_at_ms[usize::from(*grant)].is_some());
                    let texts: Vec<_> =
                        self.said.iter().filter_map(|said| if let Said::Record(text) = said { Some(text) } else { None }).collect();
                    for (_, text) in revoked.zip(texts) {
                        if let Some(signed) = from_text::<SignedRevocation>(text) {
                            self.evidence.admit(&self.seat, &signed.record);
                        }
                    }
                }
            }
            Said::Readings(text) => {
                if let Some(signed) = from_text::<SignedReadings>(text) {
                    self.evidence.take_readings(&signed, &self.keys, now_ms);
                }
            }
        }
    }

    /// What is said of each grant is true.
    fn check(&self) -> Result<(), String> {
        for grant in 0..GRANTS {
            let revoked_at_ms = self.revoked_at_ms[usize::from(grant)];
            match (self.evidence.proof(&self.register, &standing(grant), &self.seat, self.now_ms()), revoked_at_ms) {
                (Proof::Revoked, None) => return Err(format!("grant {grant} was never revoked")),
                (Proof::Stood { age_ms }, Some(revoked_at_ms)) if revoked_at_ms + age_ms + 1 < self.now_ms() => {
                    let ago_ms = self.now_ms() - revoked_at_ms;
                    return Err(format!("grant {grant} is said to have stood {age_ms} ms ago, and was revoked {ago_ms} ms ago"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Everything arrives at once from now on.
    fn heal(&mut self) -> Result<(), String> {
        self.take(&Step::Ask);
        self.take(&Step::Answer((self.questions.len() - 1) as u8));
        self.take(&Step::Beacon);
        for said in self.said.clone() {
            self.deliver(&said);
            self.check()?;
        }
        for grant in 0..GRANTS {
            match self.evidence.proof(&self.register, &standing(grant), &self.seat, self.now_ms()) {
                Proof::Revoked if self.revoked_at_ms[usize::from(grant)].is_some() => {}
                Proof::Stood { age_ms } if age_ms <= 5 && self.revoked_at_ms[usize::from(grant)].is_none() => {}
                other => return Err(format!("grant {grant}: {other:?} although everything has arrived")),
            }
        }
        Ok(())
    }
}

fn pick<T>(from: &[T], which: usize) -> Option<&T> {
    if from.is_empty() { None } else { from.get(which % from.len()) }
}

fn play(steps: &[Step], skew: (i64, i64), bug: Option<Bug>) -> Result<(), String> {
    let mut world = World::new(bug, skew);
    for step in steps {
        let delivers = matches!(step, Step::Deliver(_) | Step::DeliverLate(_) | Step::Spoil(..) | Step::Forge(_));
        let before = world.evidence.age_ms(&world.seat, world.now_ms());
        world.take(step);
        world.check()?;
        let after = world.evidence.age_ms(&world.seat, world.now_ms());
        if delivers && before.is_some_and(|before| after.is_none_or(|after| after > before)) {
            return Err(format!("{step:?} made a proof older: {before:?}, {after:?}"));
        }
    }
    world.heal()
}

fn runs() -> impl Strategy<Value = (Vec<Step>, (i64, i64))> {
    (prop::collection::vec(step(), 0..120), (-450i64..450, -450i64..450))
}

proptest! {
    #![proptest_config(Config { cases: 200, ..Config::default() })]
    #[test]
    fn no_proof_is_older_than_it_says_and_none_is_forged((steps, skew) in runs()) {
        let outcome = play(&steps, skew, None);
        prop_assert!(outcome.is_ok(), "{:?}", outcome);
    }
}

/// The check above finds each of these.
#[test]
fn planted_bugs_are_found() {
    for bug in [Bug::CountsFromArrival, Bug::ProvesWithoutRecords, Bug::TrustsAnybody, Bug::RepeatsNumbers] {
        let config = Config { cases: 2_000, failure_persistence: None, max_shrink_iters: 0, ..Config::default() };
        let found = TestRunner::new_with_rng(config, deterministic())
            .run(&runs(), |(steps, skew)| play(&steps, skew, Some(bug)).map_err(TestCaseError::fail));
        assert!(matches!(found, Err(TestError::Fail(..))), "{bug:?} was not found: {found:?}");
    }
}

fn deterministic() -> proptest::test_runner::TestRng {
    proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha)
}

#[test]
fn a_beacon_proves_nothing_until_its_records_are_here_and_its_clock_is_known() {
    let mut world = World::new(None, (0, 0));
    let age_ms = |world: &World| world.evidence.age_ms(&world.seat, world.now_ms());
    world.take(&Step::Revoke(0));
    world.take(&Step::Beacon);
    let [record, beacon] = [world.said[0].clone(), world.said[1].clone()];
    world.deliver(&beacon);
    assert!(age_ms(&world).is_none() && world.evidence.lacks_records(&world.seat));
    world.deliver(&record);
    assert!(age_ms(&world).is_none() && !world.evidence.lacks_records(&world.seat), "nobody knows when that was");
    world.take(&Step::Ask);
    world.take(&Step::Wait(250));
    world.take(&Step::Answer(0));
    world.take(&Step::Wait(100));
    world.take(&Step::DeliverLate(0));
    // It was made before we asked.
    assert!(age_ms(&world).is_some_and(|age_ms| age_ms >= 350), "{:?}", age_ms(&world));
    world.take(&Step::Beacon);
    world.take(&Step::DeliverLate(0));
    assert!(age_ms(&world).is_some_and(|age_ms| (250..=255).contains(&age_ms)), "as old as the question's way: {:?}", age_ms(&world));
    // What was said before changes nothing, nor does silence make it younger.
    world.take(&Step::Wait(700));
    world.deliver(&beacon);
    assert!(age_ms(&world).is_some_and(|age_ms| age_ms >= 950));
}

#[test]
fn a_new_owner_is_believed_and_the_one_before_no_more() {
    let mut world = World::new(None, (0, 0));
    world.take(&Step::Beacon);
    let late = world.said[0].clone();
    world.take(&Step::Change);
    world.take(&Step::Revoke(1));
    for step in [Step::Ask, Step::Answer(0), Step::Beacon] {
        world.take(&step);
    }
    for said in world.said.clone() {
        world.deliver(&said);
    }
    let age_ms = world.evidence.age_ms(&world.seat, world.now_ms());
    assert!(age_ms.is_some_and(|age_ms| age_ms < 10), "{age_ms:?}");
    world.deliver(&late);
    assert_eq!(world.evidence.age_ms(&world.seat, world.now_ms()), age_ms);
    assert_eq!(world.evidence.proof(&world.register, &standing(1), &world.seat, world.now_ms()), Proof::Revoked);
}

/// Some are known here that the owner's log does not hold: a write of an owner before came to nothing after it had been said.
#[test]
fn what_the_owner_does_not_have_is_forgotten_when_it_tells_all() {
    let mut world = World::new(None, (0, 0));
    let extra = SignedRevocation::sign(world.record(4), "k", &world.key);
    world.evidence.take_record(&world.seat.clone(), &extra, &world.keys.clone(), &mut world.register);
    for step in [Step::Ask, Step::Answer(0), Step::DeliverLate(0), Step::Beacon, Step::DeliverLate(0)] {
        world.take(&step);
    }
    assert!(world.evidence.lacks_records(&world.seat) && world.evidence.age_ms(&world.seat, world.now_ms()).is_none());
    world.evidence.begin_anew(&world.seat.clone());
    world.take(&Step::Beacon);
    world.take(&Step::DeliverLate(0));
    assert!(world.evidence.age_ms(&world.seat, world.now_ms()).is_some());
    let proof = world.evidence.proof(&world.register, &standing(4), &world.seat, world.now_ms());
    assert_eq!(proof, Proof::Revoked, "a right that may be gone is not honoured");
}

#[test]
fn a_clock_that_is_fast_is_not_believed_before_it_answers_again() {
    let mut world = World::new(None, (0, 0));
    for step in [Step::Ask, Step::Answer(0), Step::DeliverLate(0), Step::Beacon, Step::DeliverLate(0)] {
        world.take(&step);
    }
    assert!(world.evidence.age_ms(&world.seat, world.now_ms()).is_some());
    world.clock.offset_ms += 5_000;
    world.take(&Step::Beacon);
    world.take(&Step::DeliverLate(0));
    assert_eq!(world.evidence.age_ms(&world.seat, world.now_ms()), None);
    for step in [Step::Ask, Step::Answer(1), Step::DeliverLate(0), Step::Beacon, Step::DeliverLate(0)] {
        world.take(&step);
    }
    assert!(world.evidence.age_ms(&world.seat, world.now_ms()).is_some_and(|age_ms| age_ms < 10));
}
