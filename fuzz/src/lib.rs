//! What several targets begin with.

use std::net::SocketAddr;

use artifacts_core::mesh::{DigestEntry, Endpoint, Gossip, Identity, Incarnation, MemberId, MeshKey, MeshKeys};

/// A member of the mesh at a port of this machine, in its first life.
pub fn endpoint(name: &str, port: u16) -> Endpoint {
    let me = Identity {
        name: name.parse().expect("a name"),
        incarnation: Incarnation { generation: 1, salt: [port as u8; 16] },
        address: SocketAddr::from(([127, 0, 0, 1], port)),
    };
    Endpoint::new("fuzz", MeshKeys::one(MeshKey::new([7; 32])), me)
}

/// The smallest message of a member: it lists itself.
pub fn greeting(one: &Endpoint) -> Gossip {
    let member = MemberId { name: one.me().name.clone(), generation: 1, address: one.me().address };
    Gossip::Syn(vec![DigestEntry { member, heartbeat: 5, collected: 0, version: 3 }])
}
