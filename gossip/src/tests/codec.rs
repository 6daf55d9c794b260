use artifacts_core::mesh::{DeltaEntry, DigestEntry, Gossip, KeyValue, MemberId, Status};
use chitchat::ChitchatMessage;
use proptest::prelude::*;

use crate::codec::{from_chitchat, read, to_chitchat, write};

fn any_member() -> impl Strategy<Value = MemberId> {
    (
        "[a-z][a-z0-9.-]{0,20}",
        0u64..1 << 53,
        any::<std::net::SocketAddr>().prop_filter("no scope", |address| match address {
            std::net::SocketAddr::V6(address) => address.flowinfo() == 0 && address.scope_id() == 0,
            std::net::SocketAddr::V4(_) => true,
        }),
    )
        .prop_map(|(name, generation, address)| MemberId { name: name.parse().unwrap(), generation, address })
}

fn any_digest() -> impl Strategy<Value = Vec<DigestEntry>> {
    let entry = (any_member(), any::<u64>(), any::<u64>(), any::<u64>());
    proptest::collection::btree_map("[a-z]{1,9}", entry, 0..6).prop_map(|entries| {
        let entry = |(_, (member, heartbeat, collected, version))| DigestEntry { member, heartbeat, collected, version };
        let mut entries: Vec<_> = entries.into_iter().map(entry).collect();
        // chitchat keeps them in this order.
        entries.sort_by(|a, b| a.member.cmp(&b.member));
        entries.dedup_by(|a, b| a.member == b.member);
        entries
    })
}

fn any_delta() -> impl Strategy<Value = Vec<DeltaEntry>> {
    let status = prop_oneof![Just(Status::Set), Just(Status::Removed), Just(Status::Expiring)];
    let change = ("[ -~]{1,40}", "\\PC{0,9000}", any::<u64>(), status).prop_map(|(key, value, version, status)| KeyValue {
        key,
        value,
        version,
        status,
    });
    let entry = (any_member(), any::<u64>(), any::<u64>(), proptest::collection::vec(change, 0..5), any::<Option<u64>>())
        .prop_map(|(member, collected, after, changes, version)| DeltaEntry { member, collected, after, changes, version });
    proptest::collection::vec(entry, 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_are_read_as_they_were_written(digest in any_digest(), delta in any_delta()) {
        for message in [Gossip::Syn(digest.clone()), Gossip::SynAck(digest.clone(), delta.clone()), Gossip::Ack(delta.clone())] {
            prop_assert_eq!(read(&write(&message, "c").unwrap()), Some(message));
        }
    }

    #[test]
    fn chitchat_reads_what_was_written_and_writes_what_is_read(digest in any_digest()) {
        let message = Gossip::Syn(digest);
        let theirs = to_chitchat(&message, "c").unwrap();
        match &theirs {
            ChitchatMessage::Syn { cluster_id, .. } => prop_assert_eq!(cluster_id, "c"),
            other => prop_assert!(false, "{:?}", other),
        }
        prop_assert_eq!(from_chitchat(&theirs), Some(message));
    }

    #[test]
    fn noise_is_no_message(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
        let bytes = [&[0x53, 0xb0, 0], noise.as_slice()].concat();
        // Whatever it is, it is judged without a panic.
        let _ = read(&bytes);
    }
}

/// A real chitchat compresses its news: they come out whole.
#[test]
fn compressed_news_are_read() {
    let member = MemberId { name: "a".parse().unwrap(), generation: 1, address: "127.0.0.1:1".parse().unwrap() };
    let changes: Vec<_> =
        (1..60).map(|version| KeyValue { key: format!("key{version}"), value: "v".repeat(900), version, status: Status::Set }).collect();
    let message = Gossip::Ack(vec![DeltaEntry { member, collected: 0, after: 0, changes, version: None }]);
    let plain = write(&message, "c").unwrap();
    // The same operations in compressed blocks of 16 KiB, as chitchat writes them.
    let (head, mut rest) = plain.split_at(4);
    let mut bytes = head.to_vec();
    let mut ops = Vec::new();
    while let [2, low, high, others @ ..] = rest {
        let len = usize::from(u16::from_le_bytes([*low, *high]));
        ops.extend(&others[..len]);
        rest = &others[len..];
    }
    for block in ops.chunks(16 * 1024) {
        let packed = zstd::bulk::compress(block, 0).unwrap();
        bytes.push(1);
        bytes.extend((packed.len() as u16).to_le_bytes());
        bytes.extend(packed);
    }
    bytes.push(0);
    assert!(bytes.len() < plain.len() / 4);
    assert_eq!(read(&bytes), Some(message));
}
