//! What comes to the gossip port: from strangers without the key, and recorded datagrams that somebody has changed.
#![no_main]

use artifacts_core::mesh::Opened;
use artifacts_fuzz::{endpoint, greeting};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (mut one, mut other) = (endpoint("a", 1001), endpoint("b", 1002));
    let (from, to) = (one.me().address, other.me().address);
    assert!(other.open(from, bytes, 0).is_err(), "nobody without the key is heard");
    // The first bytes say what is changed in a good one.
    let message = greeting(&one);
    let good = one.seal(to, message).expect("it is small");
    let mut changed = good.clone();
    for change in bytes.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % changed.len();
        changed[at] ^= change[2];
    }
    let answer = other.open(from, &changed, 1);
    if changed != good {
        assert!(answer.is_err(), "a changed one is no good one");
        assert!(matches!(other.open(from, &good, 2), Ok(Opened::Introduce { .. })), "and costs nothing");
    }
});
