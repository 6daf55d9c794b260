//! What comes to the gossip port: from strangers without the key, and recorded datagrams that somebody has changed.
#![no_main]

use std::net::SocketAddr;

use artifacts_core::mesh::{DigestEntry, Endpoint, Gossip, Identity, Incarnation, MemberId, MeshKey, MeshKeys, Opened};
use libfuzzer_sys::fuzz_target;

fn endpoint(name: &str, port: u16) -> Endpoint {
    let me = Identity {
        name: name.parse().expect("a name"),
        incarnation: Incarnation { generation: 1, salt: [port as u8; 16] },
        address: SocketAddr::from(([127, 0, 0, 1], port)),
    };
    Endpoint::new("fuzz", MeshKeys::one(MeshKey::new([7; 32])), me)
}

fuzz_target!(|bytes: &[u8]| {
    let (mut one, mut other) = (endpoint("a", 1001), endpoint("b", 1002));
    let (from, to) = (one.me().address, other.me().address);
    assert!(other.open(from, bytes, 0).is_err(), "nobody without the key is heard");
    // The first bytes say what is changed in a good one.
    let me = MemberId { name: one.me().name.clone(), generation: 1, address: from };
    let greeting = Gossip::Syn(vec![DigestEntry { member: me, heartbeat: 5, collected: 0, version: 3 }]);
    let good = one.seal(to, greeting).expect("it is small");
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
