use std::net::SocketAddr;

use crate::mesh::{DigestEntry, Endpoint, Gossip, Identity, Incarnation, MemberId, MeshKey, MeshKeys, Opened};
use crate::name::NodeName;

pub(super) const MESH: &str = "test";

pub(super) fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

pub(super) fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

pub(super) fn keys(seed: u8) -> MeshKeys {
    MeshKeys::one(MeshKey::new([seed; 32]))
}

pub(super) fn life(generation: u64, salt: u8) -> Incarnation {
    Incarnation { generation, salt: [salt; 16] }
}

/// A member `text` in its life `generation`, at the port that `text` ends with.
pub(super) fn identity(text: &str, generation: u64) -> Identity {
    let port = 1000 + u16::from(*text.as_bytes().last().unwrap());
    let salt = text.bytes().fold(generation as u8, u8::wrapping_add);
    Identity { name: name(text), incarnation: life(generation, salt), address: address(port) }
}

pub(super) fn endpoint(text: &str, generation: u64) -> Endpoint {
    Endpoint::new(MESH, keys(7), identity(text, generation))
}

pub(super) fn member(text: &str, generation: u64) -> MemberId {
    let identity = identity(text, generation);
    MemberId { name: identity.name, generation, address: identity.address }
}

pub(super) fn entry(member: MemberId) -> DigestEntry {
    DigestEntry { member, heartbeat: 5, collected: 0, version: 3 }
}

pub(super) fn itself(endpoint: &Endpoint) -> MemberId {
    let me = endpoint.me();
    MemberId { name: me.name.clone(), generation: me.incarnation.generation, address: me.address }
}

/// The smallest message of a member.
pub(super) fn syn(endpoint: &Endpoint) -> Gossip {
    Gossip::Syn(vec![entry(itself(endpoint))])
}

/// Sends one message from one to the other and back, so that each knows the other's life.
pub(super) fn introduce(one: &mut Endpoint, other: &mut Endpoint) {
    let first = one.seal(other.me().address, syn(one)).unwrap();
    let Opened::Introduce { to, datagram } = other.open(one.me().address, &first, 0).unwrap() else { panic!("it was known") };
    assert_eq!(to, one.me().address);
    assert!(datagram.len() <= first.len());
    assert_eq!(one.open(other.me().address, &datagram, 0).unwrap(), Opened::Introduced);
    // From the second on, messages count; the first of them tells the other side who is there.
    deliver(one, other);
    deliver(other, one);
}

pub(super) fn deliver(from: &mut Endpoint, to: &mut Endpoint) {
    let message = syn(from);
    let datagram = from.seal(to.me().address, message.clone()).unwrap();
    let opened = to.open(from.me().address, &datagram, 0).unwrap();
    assert_eq!(opened, Opened::Gossip { from: from.me().address, message });
}

/// Two that know each other.
pub(super) fn pair() -> (Endpoint, Endpoint) {
    let (mut one, mut other) = (endpoint("a", 1), endpoint("b", 1));
    introduce(&mut one, &mut other);
    (one, other)
}
