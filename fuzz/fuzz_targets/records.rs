//! What comes as a revocation, by whichever way: only what a trusted key signed has any effect, and nothing gives a right back.
#![no_main]

use artifacts_core::Timestamp;
use artifacts_core::revocation::{News, RevocationRecord, RevocationRegister, SignedRevocation, Target};
use artifacts_core::ticket::KeyRing;
use artifacts_core::{AccountId, GrantId, RevocationId};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let now = Timestamp::from_unix_ms(1_800_000_000_000);
    let mut ring = KeyRing::default();
    ring.rotate("k1".to_owned(), [3; 32], now, 86_400_000);
    let (keys, Some((kid, key))) = (ring.verifying_keys(), ring.current(now)) else { return };
    let target = Target::Grant(GrantId::from_bits(7));
    let record = RevocationRecord { id: RevocationId::from_bits(1), account: AccountId::from_bits(2), target, revoked_at: now };
    let good = SignedRevocation::sign(record, kid, &key);
    let mut register = RevocationRegister::default();
    assert!(register.merge(&good, &keys));
    let known = register.len();
    let _ = postcard::from_bytes::<News>(bytes);
    if let Ok(signed) = postcard::from_bytes::<SignedRevocation>(bytes) {
        assert!(!register.merge(&signed, &keys), "nobody can sign, and what is known is no news");
    }
    // One that was changed on its way.
    let encoded = postcard::to_stdvec(&good).expect("it is small");
    let mut changed = encoded.clone();
    for change in bytes.chunks_exact(2) {
        let at = usize::from(change[0]) % changed.len();
        changed[at] ^= change[1];
    }
    if let Ok(signed) = postcard::from_bytes::<SignedRevocation>(&changed) {
        assert!(!register.merge(&signed, &keys) || signed.record == good.record);
    }
    assert_eq!(register.len(), known);
    assert!(register.revoked(target).is_some());
});
