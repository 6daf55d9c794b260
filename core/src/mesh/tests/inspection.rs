use super::fixture::*;
use crate::mesh::inspection::{Parties, inspect};
use crate::mesh::limits::{KEY_MAX_BYTES, KEYS_MAX, MEMBERS_MAX, NUMBER_MAX, VALUE_MAX_BYTES};
use crate::mesh::{DeltaEntry, DigestEntry, Gossip, KeyValue, Status, Violation};

fn judge(message: Gossip) -> Result<(), Violation> {
    let (sender, receiver) = (name("a"), name("b"));
    inspect(&message, Parties { sender: &sender, sender_generation: 3, receiver: &receiver, receiver_generation: 3 })
}

fn digest(others: Vec<DigestEntry>) -> Gossip {
    let mut digest = vec![entry(member("a", 3))];
    digest.extend(others);
    Gossip::Syn(digest)
}

fn change(key: &str, version: u64) -> KeyValue {
    KeyValue { key: key.to_owned(), value: "v".to_owned(), version, status: Status::Set }
}

fn delta(changes: Vec<KeyValue>) -> DeltaEntry {
    DeltaEntry { member: member("c", 1), collected: 0, after: 0, changes, version: None }
}

#[test]
fn a_sender_lists_itself_as_who_it_is() {
    assert_eq!(judge(digest(vec![entry(member("b", 3)), entry(member("a", 2))])), Ok(()));
    assert_eq!(judge(Gossip::Syn(vec![entry(member("c", 1))])), Err(Violation::Sender));
    assert_eq!(judge(Gossip::Syn(vec![entry(member("a", 2))])), Err(Violation::Sender));
    assert_eq!(judge(digest(vec![entry(member("a", 4))])), Err(Violation::Sender));
    assert_eq!(judge(digest(vec![entry(member("a", 3))])), Err(Violation::Twice));
}

#[test]
fn nobody_speaks_for_the_receiver() {
    let mut forged = delta(vec![change("api", 9)]);
    forged.member = member("b", 3);
    assert_eq!(judge(Gossip::Ack(vec![forged.clone()])), Err(Violation::Receiver));
    // Its earlier lives are news like any other.
    forged.member = member("b", 2);
    assert_eq!(judge(Gossip::Ack(vec![forged])), Ok(()));
}

/// chitchat 0.11 slices a key after its first byte, and stops for good if a character does not end there.
#[test]
fn keys_are_printable_ascii() {
    for bad in ["é", "", "a b", "a\n", &"k".repeat(KEY_MAX_BYTES + 1)] {
        assert_eq!(judge(Gossip::Ack(vec![delta(vec![change(bad, 1)])])), Err(Violation::Key), "{bad:?}");
    }
    assert_eq!(judge(Gossip::Ack(vec![delta(vec![change(&"k".repeat(KEY_MAX_BYTES), 1)])])), Ok(()));
}

#[test]
fn values_and_lists_have_a_length() {
    let mut long = change("k", 1);
    long.value = "v".repeat(VALUE_MAX_BYTES + 1);
    assert_eq!(judge(Gossip::Ack(vec![delta(vec![long])])), Err(Violation::Value));
    let many = (1..=KEYS_MAX as u64 + 1).map(|version| change("k", version)).collect();
    assert_eq!(judge(Gossip::Ack(vec![delta(many)])), Err(Violation::TooMany));
    // chitchat 0.11 stops for good when its digest does not fit into a datagram.
    let members = |count| (0..count).map(|index| entry(member(&format!("m{index}"), 1))).collect::<Vec<_>>();
    assert_eq!(judge(digest(members(MEMBERS_MAX))), Err(Violation::TooMany));
    assert_eq!(judge(digest(members(MEMBERS_MAX - 1))), Ok(()));
    let deltas = (0..=MEMBERS_MAX).map(|index| DeltaEntry { member: member(&format!("m{index}"), 1), ..delta(Vec::new()) }).collect();
    assert_eq!(judge(Gossip::Ack(deltas)), Err(Violation::TooMany));
    assert_eq!(judge(Gossip::Ack(vec![delta(Vec::new()), delta(Vec::new())])), Err(Violation::Twice));
}

/// chitchat 0.11 asserts that a delta's version is not below that of its changes.
#[test]
fn versions_grow_and_do_not_overflow() {
    assert_eq!(judge(Gossip::Ack(vec![delta(vec![change("k", 2), change("l", 2)])])), Err(Violation::Order));
    assert_eq!(judge(Gossip::Ack(vec![delta(vec![change("k", 0)])])), Err(Violation::Order));
    assert_eq!(judge(Gossip::Ack(vec![delta(vec![change("k", NUMBER_MAX)])])), Err(Violation::Number));
    let mut both = delta(vec![change("k", 2)]);
    both.version = Some(1);
    assert_eq!(judge(Gossip::Ack(vec![both])), Err(Violation::Order));
    for field in 0..4 {
        let mut bad = entry(member("c", 1));
        match field {
            0 => bad.heartbeat = NUMBER_MAX,
            1 => bad.collected = u64::MAX,
            2 => bad.version = u64::MAX,
            _ => bad.member.generation = NUMBER_MAX,
        }
        assert_eq!(judge(digest(vec![bad])), Err(Violation::Number), "{field}");
    }
}

#[test]
fn addresses_can_be_sent_to() {
    for bad in ["0.0.0.0:1", "127.0.0.1:0", "224.0.0.1:1", "255.255.255.255:1", "[::]:1", "[ff02::1]:1"] {
        let mut stray = entry(member("c", 1));
        stray.member.address = bad.parse().unwrap();
        assert_eq!(judge(digest(vec![stray])), Err(Violation::Address), "{bad}");
    }
}
