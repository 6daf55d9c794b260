use proptest::prelude::*;

use super::fixture::*;
use crate::mesh::envelope::{self, Header, Use};
use crate::mesh::limits::DATAGRAM_MAX_BYTES;
use crate::mesh::{Endpoint, EnvelopeError, Gossip, MeshKey, Opened, Refusal};

/// A state to compare with: what it would answer to the same next message.
fn fingerprint(endpoint: &Endpoint) -> String {
    format!("{endpoint:?}")
}

#[test]
fn a_datagram_with_any_bit_flipped_has_no_effect() {
    let (mut one, mut other) = pair();
    let datagram = one.seal(other.me().address, syn(&one)).unwrap();
    let before = fingerprint(&other);
    for position in 0..datagram.len() {
        for bit in 0..8 {
            let mut forged = datagram.clone();
            forged[position] ^= 1 << bit;
            assert!(matches!(other.open(address(1), &forged, 0), Err(Refusal::Envelope(_))), "byte {position} bit {bit}");
        }
    }
    assert_eq!(fingerprint(&other), before);
    assert!(matches!(other.open(address(1), &datagram, 0), Ok(Opened::Gossip { .. })));
}

#[test]
fn a_datagram_cut_or_lengthened_anywhere_has_no_effect() {
    let (mut one, mut other) = pair();
    let datagram = one.seal(other.me().address, syn(&one)).unwrap();
    let before = fingerprint(&other);
    for len in 0..datagram.len() {
        assert!(matches!(other.open(address(1), &datagram[..len], 0), Err(Refusal::Envelope(_))), "{len}");
    }
    let longer = [datagram.as_slice(), &[0]].concat();
    assert_eq!(other.open(address(1), &longer, 0), Err(EnvelopeError::Forged.into()));
    let huge = [datagram.as_slice(), &vec![0; DATAGRAM_MAX_BYTES]].concat();
    assert_eq!(other.open(address(1), &huge, 0), Err(EnvelopeError::TooLarge.into()));
    assert_eq!(fingerprint(&other), before);
}

/// A datagram with a good seal and any content.
fn sealed(key: &MeshKey, from: &Endpoint, to: &Endpoint, counter: u64, content: &[u8]) -> Vec<u8> {
    let (sender, incarnation) = (from.me().name.clone(), from.me().incarnation);
    let header = Header { key: key.id(), sender, incarnation, receiver: to.me().incarnation.salt, counter };
    envelope::seal(key, MESH, Use::Datagram, &header, content).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn noise_has_no_effect(noise in proptest::collection::vec(any::<u8>(), 0..300), version in any::<bool>()) {
        let (_, mut other) = pair();
        let before = fingerprint(&other);
        let mut noise = noise;
        if version && !noise.is_empty() {
            noise[0] = 1;
        }
        prop_assert!(matches!(other.open(address(1), &noise, 0), Err(Refusal::Envelope(_))));
        prop_assert_eq!(fingerprint(&other), before);
    }

    #[test]
    fn a_member_that_seals_noise_harms_nobody(content in proptest::collection::vec(any::<u8>(), 0..300), kind in 0u8..3) {
        let (one, mut other) = pair();
        let content = [&[kind], content.as_slice()].concat();
        // Whatever it is, it is judged without a panic, and what comes out is within bounds.
        if let Ok(Opened::Gossip { message, .. }) = other.open(address(1), &sealed(&MeshKey::new([7; 32]), &one, &other, 99, &content), 0) {
            prop_assert!(message.digest().iter().any(|entry| entry.member == itself(&one)) || matches!(message, Gossip::Ack(_)));
        }
    }

    /// Real messages with bytes changed come much closer to the limits of the decoder than noise.
    #[test]
    fn a_member_that_seals_changed_messages_harms_nobody(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), message in super::gossip::any_gossip()
    ) {
        let (one, mut other) = pair();
        let mut content = vec![0];
        content.extend(message.encode(DATAGRAM_MAX_BYTES - 200).unwrap());
        for (at, byte) in changes {
            let at = at.index(content.len());
            content[at] = byte;
        }
        if let Ok(Opened::Gossip { message, .. }) = other.open(address(1), &sealed(&MeshKey::new([7; 32]), &one, &other, 99, &content), 0) {
            for change in message.delta().iter().flat_map(|entry| &entry.changes) {
                prop_assert!(change.key.is_ascii() && !change.key.is_empty());
            }
        }
    }
}
