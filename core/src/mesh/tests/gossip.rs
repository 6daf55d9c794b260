use proptest::prelude::*;

use super::fixture::*;
use crate::mesh::{DeltaEntry, DigestEntry, Gossip, GossipError, KeyValue, Status};

fn any_entry() -> impl Strategy<Value = DigestEntry> {
    ("[a-z][a-z0-9]{0,8}", 1u64..1_000, any::<u32>(), any::<u16>()).prop_map(|(text, generation, heartbeat, version)| DigestEntry {
        member: member(&text, generation),
        heartbeat: heartbeat.into(),
        collected: 0,
        version: version.into(),
    })
}

fn any_delta() -> impl Strategy<Value = DeltaEntry> {
    let change = ("[a-z:/]{1,30}", "\\PC{0,200}", 1u64..50);
    ("[a-z][a-z0-9]{0,8}", 1u64..1_000, proptest::collection::vec(change, 0..12)).prop_map(|(text, generation, changes)| {
        let mut version = 0;
        let changes: Vec<_> = changes
            .into_iter()
            .map(|(key, value, step)| {
                version += step;
                KeyValue { key, value, version, status: Status::Set }
            })
            .collect();
        let at = changes.is_empty().then_some(7);
        DeltaEntry { member: member(&text, generation), collected: 0, after: 0, changes, version: at }
    })
}

/// Any message, not necessarily one within the rules.
pub(super) fn any_gossip() -> impl Strategy<Value = Gossip> {
    let digest = || proptest::collection::vec(any_entry(), 0..8);
    let delta = || proptest::collection::vec(any_delta(), 0..8);
    prop_oneof![
        digest().prop_map(Gossip::Syn),
        (digest(), delta()).prop_map(|(digest, delta)| Gossip::SynAck(digest, delta)),
        delta().prop_map(Gossip::Ack),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_message_is_read_as_it_was_written(message in any_gossip()) {
        let bytes = message.clone().encode(usize::MAX).unwrap();
        prop_assert_eq!(Gossip::decode(&bytes).unwrap(), message);
        prop_assert_eq!(Gossip::decode(&[bytes.as_slice(), &[0]].concat()), Err(GossipError::Malformed));
        prop_assert_eq!(Gossip::decode(&bytes[..bytes.len() - 1]), Err(GossipError::Malformed));
    }

    /// What is cut is a prefix: whole members, and of the last one the oldest changes, so the receiver has no gap.
    #[test]
    fn a_message_that_is_too_long_loses_its_newest_changes_only(message in any_gossip(), limit in 0usize..3_000) {
        let Ok(bytes) = message.clone().encode(limit) else {
            let bare = Gossip::SynAck(message.digest().to_vec(), Vec::new());
            prop_assert!(bare.encode(usize::MAX).unwrap().len() + 1 >= limit);
            return Ok(());
        };
        prop_assert!(bytes.len() <= limit);
        let cut = Gossip::decode(&bytes).unwrap();
        prop_assert_eq!(cut.digest(), message.digest());
        let (kept, all) = (cut.delta(), message.delta());
        prop_assert!(kept.len() <= all.len());
        for (index, (part, whole)) in kept.iter().zip(all).enumerate() {
            prop_assert_eq!(&part.member, &whole.member);
            prop_assert!(whole.changes.starts_with(&part.changes));
            if index + 1 < kept.len() {
                prop_assert_eq!(part, whole);
            }
            prop_assert_eq!(part.changes.is_empty(), whole.changes.is_empty());
        }
        if message.clone().encode(usize::MAX).unwrap().len() <= limit {
            prop_assert_eq!(cut, message);
        }
    }
}
