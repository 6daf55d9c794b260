//! What a member of the ring or of a cell says that holds the key and means ill: whatever passes lies within the bounds, and is what
//! chitchat reads.
#![no_main]

use artifacts_core::mesh::limits::{KEY_MAX_BYTES, KEYS_MAX, MEMBERS_MAX, NUMBER_MAX, VALUE_MAX_BYTES};
use artifacts_core::mesh::{Endpoint, Facts, Gossip, Opened};
use artifacts_fuzz::{endpoint, greeting};
use artifacts_gossip::codec::{from_chitchat, to_chitchat};
use libfuzzer_sys::fuzz_target;

/// Two that know each other's lives.
fn pair() -> (Endpoint, Endpoint) {
    let (mut one, mut other) = (endpoint("a", 1001), endpoint("b", 1002));
    let (from, to) = (one.me().address, other.me().address);
    let message = greeting(&one);
    let first = one.seal(to, message).expect("it is small");
    if let Ok(Opened::Introduce { datagram, .. }) = other.open(from, &first, 0) {
        one.open(to, &datagram, 0).expect("an introduction");
    }
    (one, other)
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut message) = Gossip::decode(bytes) else { return };
    let (mut one, mut other) = pair();
    let (from, to) = (one.me().address, other.me().address);
    // Anybody has to list itself; the rest is what was drawn.
    if let (Gossip::Syn(digest) | Gossip::SynAck(digest, _), Gossip::Syn(own)) = (&mut message, greeting(&one)) {
        digest.extend(own);
    }
    let Ok(datagram) = one.seal(to, message) else { return };
    let Ok(Opened::Gossip { message, .. }) = other.open(from, &datagram, 1) else { return };
    assert!(message.digest().len() <= MEMBERS_MAX && message.delta().len() <= MEMBERS_MAX);
    if let Some(theirs) = to_chitchat(&message, "fuzz") {
        // It writes a delta only that it has made itself.
        if matches!(message, Gossip::Syn(_)) {
            let again = from_chitchat(&theirs).expect("what chitchat has read it writes");
            assert!(again.digest().len() <= message.digest().len(), "nobody is made up");
        }
    }
    for entry in message.delta() {
        let is_receiver = entry.member.name == other.me().name && entry.member.generation == other.me().incarnation.generation;
        assert!(!is_receiver, "nobody speaks for the receiver");
        assert!(entry.changes.len() <= KEYS_MAX && entry.changes.is_sorted_by(|one, next| one.version < next.version));
        for change in &entry.changes {
            assert!(change.version < NUMBER_MAX && change.value.len() <= VALUE_MAX_BYTES);
            assert!(!change.key.is_empty() && change.key.len() <= KEY_MAX_BYTES && change.key.is_ascii());
        }
        let _ = Facts::read(|key| entry.changes.iter().find(|change| change.key == key).map(|change| change.value.as_str()));
    }
});
