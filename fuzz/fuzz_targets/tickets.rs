//! What somebody presents as a ticket: nothing is accepted that was not signed, byte for byte.
#![no_main]

use artifacts_core::Timestamp;
use artifacts_core::ticket::{Jwks, KeyRing, TicketClaims, TicketFile, peek, peek_key, sign, verify};
use libfuzzer_sys::fuzz_target;

const NOW: u64 = 1_800_000_000_000;

fuzz_target!(|bytes: &[u8]| {
    let now = Timestamp::from_unix_ms(NOW);
    let mut ring = KeyRing::default();
    ring.rotate("k1".to_owned(), [3; 32], now, 86_400_000);
    let keys = ring.verifying_keys();
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = (peek(text), peek_key(text));
        assert!(verify(text, &keys, now).is_err(), "nobody can sign");
    }
    let _ = serde_json::from_slice::<TicketFile>(bytes);
    let _ = serde_json::from_slice::<Jwks>(bytes).map(|jwks| jwks.verifying_keys());
    let Some((kid, key)) = ring.current(now) else { return };
    // Claims of anybody's making, signed: they come out as they went in, or not at all.
    if let Ok(claims) = serde_json::from_slice::<TicketClaims>(bytes) {
        let token = sign(&claims, kid, &key);
        if let Ok(verified) = verify(&token, &keys, now) {
            assert_eq!(verified, claims);
        }
        // A token that was changed says what was signed, or nothing.
        let mut changed = token.clone().into_bytes();
        for change in bytes.chunks_exact(2) {
            let at = usize::from(change[0]) * usize::from(change[1]) % changed.len();
            changed[at] ^= 1 + change[0] % 127;
        }
        if let Ok(changed) = String::from_utf8(changed)
            && let Ok(verified) = verify(&changed, &keys, now)
        {
            assert_eq!(verified, claims);
        }
    }
});
