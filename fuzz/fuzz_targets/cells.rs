//! What comes to a cell's members, and to the nodes that let them in: what somebody says in gossip who has the key and means ill, what a
//! guest shows, what an agent asks and is answered. Nothing of it takes a right or makes a proof younger than it is.
#![no_main]

use artifacts_core::cluster::{Region, Seat, Shard, ShardMap};
use artifacts_core::hosts::{CellAnswer, GuestBearer, HostProofs, JoinCell};
use artifacts_core::revocation::{
    Beacon, ClockId, Feed, Proof, Reading, Readings, RevocationRecord, ShardHead, Signed, SignedRevocation, Standing, Taken, Target, rumour,
    to_text,
};
use artifacts_core::ticket::KeyRing;
use artifacts_core::{AccountId, GrantId, RevocationId, SessionId, Timestamp, WorkspaceId};
use libfuzzer_sys::fuzz_target;

const CLOCK: ClockId = ClockId([7; 16]);
const NONCE: u64 = 11;
/// When it was asked, and what the clock said then; when the beacon was made, and when all of it is looked at.
const ASKED_MS: u64 = 1_000;
const SAID_MS: u64 = 50_000;
const MADE_MS: u64 = 1_400;
const NOW_MS: u64 = 2_000;
const NOW: Timestamp = Timestamp::from_unix_ms(1_800_000_000_000);

/// A host with a fresh proof, and what was said to it for that.
fn host() -> (HostProofs, [(String, String); 3]) {
    let mut ring = KeyRing::default();
    ring.rotate("k1".to_owned(), [3; 32], NOW, 86_400_000);
    let (kid, key) = ring.current(NOW).expect("a key");
    let map = ShardMap::new(4).expect("shards");
    let account = (0..).map(AccountId::from_bits).find(|id| map.of(*id) == Shard(3)).expect("an account");
    let seat = Seat { region: Region::from("eu"), shard: Shard(3) };
    let target = Target::Grant(GrantId::from_bits(7));
    let record = RevocationRecord { id: RevocationId::from_bits(1), account, target, revoked_at: NOW };
    let record = SignedRevocation::sign(record, kid, &key);
    let mut feed = Feed::new(9);
    feed.push(record.clone());
    let shards = vec![ShardHead { shard: seat.shard, epoch: 5, head: feed.head() }];
    let beacon = Beacon { region: seat.region.clone(), clock: CLOCK, at_ms: SAID_MS + (MADE_MS - ASKED_MS), shards };
    let readings = Readings { region: seat.region.clone(), clock: CLOCK, readings: vec![Reading { nonce: NONCE, at_ms: SAID_MS }] };
    let said = [
        (rumour::CLOCK.to_owned(), to_text(&Signed::sign(readings, kid, &key))),
        (format!("{}0", rumour::RECORDS), to_text(&vec![record])),
        (format!("{}0", rumour::BEACON), to_text(&Signed::sign(beacon, kid, &key))),
    ];
    let mut host = HostProofs::new(account, seat, map);
    host.trust(ring.jwks());
    host.ask(NONCE, ASKED_MS);
    for (key, value) in &said {
        assert_eq!(host.hear(key, value, NOW_MS), Taken::News, "{key}");
    }
    (host, said)
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

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    // What nodes and agents read of each other.
    if let Ok(join) = serde_json::from_slice::<JoinCell>(bytes) {
        let again = serde_json::to_vec(&join).expect("it was JSON");
        assert_eq!(serde_json::from_slice::<JoinCell>(&again).expect("what was written"), join);
    }
    if let Ok(bearer) = text.parse::<GuestBearer>() {
        assert_eq!(bearer.to_string().to_lowercase(), text.to_lowercase());
        assert!(!bearer.is_of(&[7; 32]), "nobody guesses a hash");
    }
    let (mut host, said) = host();
    if let Ok(answer) = serde_json::from_slice::<CellAnswer>(bytes) {
        let mut other = HostProofs::new(answer.account, answer.seat.clone(), answer.shards);
        other.trust(answer.keys.clone());
        other.read(other.known(), &answer.news, NOW_MS, NOW_MS, NOW);
        assert!(other.age_ms(NOW_MS).is_none(), "no beacon has come");
    }
    // What anybody says in the cell.
    let is_sound = |host: &HostProofs| match host.proof(&standing(), NOW_MS) {
        Proof::Stood { age_ms } => age_ms >= NOW_MS - MADE_MS,
        Proof::Unknown => true,
        Proof::Revoked => false,
    };
    let was_said = |value: &str| said.iter().any(|(_, good)| good == value);
    let (key, value) = text.split_once('=').unwrap_or(("", &text));
    for key in said.iter().map(|(key, _)| key.as_str()).chain([key, rumour::ASK, rumour::CLOSED]) {
        assert!(host.hear(key, value, NOW_MS) != Taken::News || was_said(value), "nobody can sign");
    }
    // What was said, with characters changed on its way, and under any of the keys.
    for (_, good) in &said {
        let mut changed = good.clone().into_bytes();
        for change in bytes.chunks_exact(3) {
            let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % changed.len();
            changed[at] = change[2] & 0x7f;
        }
        let changed = String::from_utf8(changed).expect("ASCII");
        for (key, _) in &said {
            assert!(host.hear(key, &changed, NOW_MS) != Taken::News || was_said(&changed), "nobody can sign");
        }
    }
    assert!(is_sound(&host), "{:?}", host.proof(&standing(), NOW_MS));
});
