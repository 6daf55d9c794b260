#![allow(clippy::unwrap_used)]

use ed25519_dalek::SigningKey;

use super::HostProofs;
use crate::cluster::{Region, Seat, Shard, ShardMap};
use crate::revocation::{
    Beacon, ClockId, Feed, Position, Proof, Reading, Readings, RevocationRecord, ShardHead, Signed, SignedRevocation, Standing, Taken,
    Target, rumour, to_text,
};
use crate::ticket::KeyRing;
use crate::{AccountId, GrantId, RevocationId, SessionId, Timestamp, WorkspaceId};

const CLOCK: ClockId = ClockId([7; 16]);
/// What the owner's clock is ahead of the host's.
const AHEAD_MS: u64 = 1_000_000;
const NOW: Timestamp = Timestamp::from_unix_ms(1_800_000_000_000);

/// The owner of a shard, and a host.
struct World {
    ring: KeyRing,
    feed: Feed,
    account: AccountId,
    host: HostProofs,
}

fn map() -> ShardMap {
    ShardMap::new(8).unwrap()
}

fn account_in(shard: Shard) -> AccountId {
    (0..).map(AccountId::from_bits).find(|id| map().of(*id) == shard).unwrap()
}

fn standing() -> Standing {
    Standing {
        session: SessionId::from_bits(1),
        grant: Some(GrantId::from_bits(2)),
        key: None,
        workspace: WorkspaceId::from_bits(3),
        issue: None,
    }
}

impl World {
    fn new() -> Self {
        let mut ring = KeyRing::default();
        ring.rotate("k".to_owned(), [3; 32], NOW, 86_400_000);
        let (account, seat) = (account_in(Shard(5)), Seat { region: Region::from("eu"), shard: Shard(5) });
        let mut host = HostProofs::new(account, seat, map());
        assert!(host.trust(ring.jwks()) && !host.trust(ring.jwks()));
        Self { ring, feed: Feed::new(9), account, host }
    }

    fn key(&self) -> (String, SigningKey) {
        self.ring.current(NOW).map(|(kid, key)| (kid.to_owned(), key)).unwrap()
    }

    fn record(&self, bits: u128, account: AccountId) -> SignedRevocation {
        let (kid, key) = self.key();
        let record = RevocationRecord {
            id: RevocationId::from_bits(bits),
            account,
            target: Target::Grant(GrantId::from_bits(bits)),
            revoked_at: NOW,
        };
        SignedRevocation::sign(record, &kid, &key)
    }

    /// What the owner says at a moment of the host's clock.
    fn beacon(&self, region: &str, at_ms: u64) -> String {
        let (kid, key) = self.key();
        let shards = vec![ShardHead { shard: Shard(5), epoch: 1, head: self.feed.head() }];
        let beacon = Beacon { region: Region::from(region), clock: CLOCK, at_ms: at_ms + AHEAD_MS, shards };
        to_text(&Signed::sign(beacon, &kid, &key))
    }

    fn readings(&self, region: &str, nonce: u64, at_ms: u64) -> String {
        let (kid, key) = self.key();
        let readings = vec![Reading { nonce, at_ms: at_ms + AHEAD_MS }];
        to_text(&Signed::sign(Readings { region: Region::from(region), clock: CLOCK, readings }, &kid, &key))
    }

    fn read(&mut self, now_ms: u64) {
        let asked = self.host.known();
        self.host.read(asked, &self.feed.signed_news(asked), now_ms, now_ms, NOW);
    }

    fn proof(&self, now_ms: u64) -> Proof {
        self.host.proof(&standing(), now_ms)
    }
}

#[test]
fn a_host_that_hears_gossip_alone_knows_how_fresh_its_right_is() {
    let mut world = World::new();
    world.read(100);
    assert_eq!(world.proof(100), Proof::Unknown);
    let (key, value) = world.host.ask(77, 200);
    assert_eq!((key.as_str(), value), (rumour::ASK, to_text(&77u64)));
    let (answer, beacon) = (world.readings("eu", 77, 230), world.beacon("eu", 400));
    assert_eq!(world.host.hear(rumour::CLOCK, &answer, 300), Taken::News);
    assert_eq!(world.host.hear("rev-beacon-0", &beacon, 500), Taken::News);
    // The owner's clock said 230 after 200, so what it said at 400 was said after 368.
    assert_eq!(world.proof(500), Proof::Stood { age_ms: 132 });
    // Heard again, however often and late: no younger.
    assert_eq!(world.host.hear("rev-beacon-0", &beacon, 5_000), Taken::Known);
    assert_eq!(world.host.age_ms(5_000), Some(4_632));
}

#[test]
fn a_record_ends_the_right_and_one_that_is_kept_back_leaves_no_proof() {
    let mut world = World::new();
    world.read(0);
    world.host.ask(77, 0);
    world.host.hear(rumour::CLOCK, &world.readings("eu", 77, 0), 0);
    let record = world.record(2, world.account);
    world.feed.push(record.clone());
    let beacon = world.beacon("eu", 10);
    assert_eq!(world.host.hear("rev-beacon-1", &beacon, 20), Taken::News);
    assert!(world.proof(20) == Proof::Unknown && world.host.lacks_records());
    assert_eq!(world.host.hear("rev-records-3", &to_text(&vec![record]), 30), Taken::News);
    assert_eq!((world.proof(30), world.host.lacks_records()), (Proof::Revoked, false));
    assert!(world.host.is_revoked(Target::Grant(GrantId::from_bits(2))));
}

#[test]
fn a_hostile_member_can_say_what_it_likes() {
    let mut world = World::new();
    world.read(0);
    world.host.ask(77, 0);
    world.host.hear(rumour::CLOCK, &world.readings("eu", 77, 0), 0);
    world.host.hear("rev-beacon-0", &world.beacon("eu", 10), 20);
    let stands = Proof::Stood { age_ms: 12 };
    assert_eq!(world.proof(20), stands);
    let stranger = SigningKey::from_bytes(&[8; 32]);
    let genuine = world.record(2, world.account);
    let forged = SignedRevocation::sign(genuine.record.clone(), "k", &stranger);
    let elsewhere = world.record(2, account_in(Shard(6)));
    let later = Beacon { region: Region::from("eu"), clock: CLOCK, at_ms: 5_000 + AHEAD_MS, shards: Vec::new() };
    for (key, value, expected) in [
        ("rev-records-0", to_text(&vec![forged]), Taken::Refused),
        // Genuine, and of another shard's log: it would never fit the owner's head.
        ("rev-records-0", to_text(&vec![elsewhere]), Taken::Known),
        ("rev-beacon-0", to_text(&Signed::sign(later, "k", &stranger)), Taken::Known),
        ("rev-beacon-0", world.beacon("us", 9_000), Taken::Known),
        (rumour::CLOCK, world.readings("us", 77, 9_000), Taken::Known),
        (rumour::CLOCK, "nonsense".to_owned(), Taken::Known),
        ("rev-closed", "x".repeat(8_000), Taken::Known),
        ("rev-something", world.beacon("eu", 9_000), Taken::Known),
    ] {
        assert_eq!(world.host.hear(key, &value, 20), expected, "{key}");
        assert_eq!(world.proof(20), stands, "{key}");
    }
    // What would come from the future shows that a clock is not what it should be.
    assert_eq!(world.host.hear("rev-beacon-0", &world.beacon("eu", 9_000), 20), Taken::Refused);
    assert_eq!(world.proof(20), Proof::Unknown);
}

/// What the owner wrote in vain is known here and not there: the feed is read from the start, and the record stays in the register.
#[test]
fn what_the_owner_does_not_have_is_sorted_out() {
    let mut world = World::new();
    world.read(0);
    world.host.ask(77, 0);
    world.host.hear(rumour::CLOCK, &world.readings("eu", 77, 0), 0);
    let vain = world.record(2, world.account);
    world.host.hear("rev-records-0", &to_text(&vec![vain]), 5);
    world.feed.push(world.record(4, world.account));
    world.host.hear("rev-beacon-0", &world.beacon("eu", 10), 20);
    assert!(world.host.lacks_records());
    assert_ne!(world.host.known(), Position::default(), "what is new may be all that is missing");
    world.read(30);
    assert!(world.host.lacks_records() && world.host.known() == Position::default());
    world.read(40);
    world.host.hear("rev-beacon-0", &world.beacon("eu", 50), 60);
    assert_eq!((world.host.lacks_records(), world.host.age_ms(60), world.proof(60)), (false, Some(12), Proof::Revoked));
}
