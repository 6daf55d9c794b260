//! What comes as a proof that rights stand, by whichever way: only what a trusted key signed counts, a changed one proves nothing, and
//! none makes a proof younger than it is.
#![no_main]

use artifacts_core::Timestamp;
use artifacts_core::cluster::{Region, Seat, Shard};
use artifacts_core::revocation::{
    Beacon, ClockId, Evidence, Head, Reading, Readings, ShardHead, Signed, SignedBeacon, SignedReadings, Taken, from_text, to_text,
};
use artifacts_core::ticket::KeyRing;
use libfuzzer_sys::fuzz_target;

const CLOCK: ClockId = ClockId([7; 16]);
const NONCE: u64 = 11;
/// When it was asked, and what the clock said then.
const ASKED_MS: u64 = 1_000;
const SAID_MS: u64 = 50_000;
/// When the beacon was made, and when it is looked at, by the receiver's clock.
const MADE_MS: u64 = 1_400;
const NOW_MS: u64 = 2_000;

fuzz_target!(|bytes: &[u8]| {
    let mut ring = KeyRing::default();
    let now = Timestamp::from_unix_ms(1_800_000_000_000);
    ring.rotate("k1".to_owned(), [3; 32], now, 86_400_000);
    let (keys, Some((kid, key))) = (ring.verifying_keys(), ring.current(now)) else { return };
    let region = Region::from("eu");
    let seat = Seat { region: region.clone(), shard: Shard(3) };
    let at_ms = SAID_MS + (MADE_MS - ASKED_MS);
    let shards = vec![ShardHead { shard: seat.shard, epoch: 5, head: Head::default() }];
    let beacon: SignedBeacon = Signed::sign(Beacon { region: region.clone(), clock: CLOCK, at_ms, shards }, kid, &key);
    let readings = Readings { region, clock: CLOCK, readings: vec![Reading { nonce: NONCE, at_ms: SAID_MS }] };
    let readings: SignedReadings = Signed::sign(readings, kid, &key);

    let mut evidence = Evidence::default();
    evidence.ask(NONCE, ASKED_MS);
    // Anybody's.
    let text = String::from_utf8_lossy(bytes);
    if let Some(strange) = postcard::from_bytes(bytes).ok().or_else(|| from_text::<SignedBeacon>(&text)) {
        assert_ne!(evidence.take_beacon(&strange, &keys, NOW_MS), Taken::News, "nobody can sign");
    }
    if let Some(strange) = postcard::from_bytes(bytes).ok().or_else(|| from_text::<SignedReadings>(&text)) {
        assert_ne!(evidence.take_readings(&strange, &keys, NOW_MS), Taken::News, "nobody can sign");
    }
    // Good ones that were changed on their way.
    let change = |good: Vec<u8>| {
        let mut changed = good;
        for change in bytes.chunks_exact(2) {
            let at = usize::from(change[0]) % changed.len();
            changed[at] ^= change[1];
        }
        changed
    };
    if let Ok(changed) = postcard::from_bytes::<SignedReadings>(&change(postcard::to_stdvec(&readings).expect("it is small"))) {
        assert!(evidence.take_readings(&changed, &keys, NOW_MS) != Taken::News || changed.content == readings.content);
    }
    if let Ok(changed) = postcard::from_bytes::<SignedBeacon>(&change(postcard::to_stdvec(&beacon).expect("it is small"))) {
        assert!(evidence.take_beacon(&changed, &keys, NOW_MS) != Taken::News || changed.content == beacon.content);
    }
    assert!(evidence.age_ms(&seat, NOW_MS).is_none_or(|age_ms| age_ms >= NOW_MS - MADE_MS), "younger than it is");
    // The good ones count all the same.
    evidence.take_readings(&readings, &keys, NOW_MS);
    assert_eq!(from_text::<SignedBeacon>(&to_text(&beacon)), Some(beacon.clone()));
    evidence.take_beacon(&beacon, &keys, NOW_MS);
    let age_ms = evidence.age_ms(&seat, NOW_MS).expect("all records are here: there are none");
    assert!((NOW_MS - MADE_MS..NOW_MS - MADE_MS + 10).contains(&age_ms), "{age_ms}");
});
