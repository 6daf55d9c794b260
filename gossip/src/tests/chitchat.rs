//! A real chitchat behind the judge: whatever a member that holds the key says, it goes on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use artifacts_core::mesh::limits::{DATAGRAM_MAX_BYTES, NUMBER_MAX};
use artifacts_core::mesh::{
    DeltaEntry, DigestEntry, Endpoint, Gossip, Identity, Incarnation, KeyValue, MemberId, MeshKey, MeshKeys, Opened, Status,
};
use async_trait::async_trait;
use chitchat::transport::{Socket, Transport};
use chitchat::{ChitchatConfig, ChitchatId, ChitchatMessage, FailureDetectorConfig, spawn_chitchat};
use parking_lot::Mutex;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tokio::sync::mpsc;

use crate::codec;

const MESSAGES: usize = 4_000;
const NAMES: [&str; 5] = ["me", "liar", "c", "d", "e"];

fn identity(index: usize) -> Identity {
    let incarnation = Incarnation { generation: 2, salt: [index as u8 + 1; 16] };
    Identity { name: NAMES[index].parse().unwrap(), incarnation, address: SocketAddr::from(([127, 0, 0, 1], 9_000 + index as u16)) }
}

/// Few members and small numbers, so that what is said contradicts what was said before; and the largest that pass.
fn any_number() -> impl Strategy<Value = u64> {
    prop_oneof![100 => 0u64..40, 1 => Just(NUMBER_MAX - 1), 1 => any::<u64>()]
}

fn any_member() -> impl Strategy<Value = MemberId> {
    (0..NAMES.len(), 1u64..14).prop_map(|(index, generation)| MemberId {
        name: NAMES[index].parse().unwrap(),
        generation,
        address: identity(index).address,
    })
}

fn any_delta() -> impl Strategy<Value = Vec<DeltaEntry>> {
    let status = prop_oneof![Just(Status::Set), Just(Status::Removed), Just(Status::Expiring)];
    let change =
        (prop_oneof![20 => "[a-d]", 1 => Just("é".to_owned()), 1 => Just(String::new())], "[x-z]{0,3}|\\PC{0,200}", any_number(), status)
            .prop_map(|(key, value, version, status)| KeyValue { key, value, version, status });
    let changes = proptest::collection::vec(change, 0..5).prop_map(|mut changes| {
        changes.sort_by_key(|change| change.version);
        changes.dedup_by_key(|change| change.version);
        changes
    });
    let after = prop_oneof![Just(0), 0u64..8];
    let entry = (any_member(), any_number(), after, changes, proptest::option::weighted(0.3, any_number()))
        .prop_map(|(member, collected, after, changes, version)| DeltaEntry { member, collected, after, changes, version });
    proptest::collection::vec(entry, 0..4)
}

fn any_digest() -> impl Strategy<Value = Vec<DigestEntry>> {
    let entry = (any_member(), any_number(), any_number(), any_number()).prop_map(|(member, heartbeat, collected, version)| DigestEntry {
        member,
        heartbeat,
        collected,
        version,
    });
    proptest::collection::vec(entry, 0..4).prop_map(|mut digest| {
        let liar = identity(1);
        digest.retain(|entry| entry.member.name != liar.name);
        let member = MemberId { name: liar.name, generation: liar.incarnation.generation, address: liar.address };
        digest.push(DigestEntry { member, heartbeat: 3, collected: 0, version: 2 });
        digest
    })
}

fn any_message() -> impl Strategy<Value = Gossip> {
    prop_oneof![
        any_digest().prop_map(Gossip::Syn),
        (any_digest(), any_delta()).prop_map(|(digest, delta)| Gossip::SynAck(digest, delta)),
        any_delta().prop_map(Gossip::Ack),
    ]
}

/// Hands chitchat what the test feeds, and checks that what chitchat says can be sent.
struct Wire {
    fed: Mutex<Option<mpsc::Receiver<(SocketAddr, ChitchatMessage)>>>,
    said: Arc<AtomicUsize>,
}

struct End {
    fed: mpsc::Receiver<(SocketAddr, ChitchatMessage)>,
    said: Arc<AtomicUsize>,
}

#[async_trait]
impl Transport for Wire {
    async fn open(&self, _: SocketAddr) -> anyhow::Result<Box<dyn Socket>> {
        Ok(Box::new(End { fed: self.fed.lock().take().unwrap(), said: self.said.clone() }))
    }
}

#[async_trait]
impl Socket for End {
    async fn send(&mut self, _: SocketAddr, message: ChitchatMessage) -> anyhow::Result<()> {
        let message = codec::from_chitchat(&message).unwrap();
        assert!(message.encode(DATAGRAM_MAX_BYTES).unwrap().len() <= DATAGRAM_MAX_BYTES);
        self.said.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn recv(&mut self) -> anyhow::Result<(SocketAddr, ChitchatMessage)> {
        match self.fed.recv().await {
            Some(fed) => Ok(fed),
            None => std::future::pending().await,
        }
    }
}

#[tokio::test]
async fn whatever_passes_the_judge_does_not_stop_gossip() {
    let keys = MeshKeys::one(MeshKey::new([7; 32]));
    let [mut me, mut liar] = [0, 1].map(|index| Endpoint::new("test", keys.clone(), identity(index)));
    let (feed, fed) = mpsc::channel(16);
    let wire = Wire { fed: Mutex::new(Some(fed)), said: Arc::new(AtomicUsize::new(0)) };
    let us = identity(0);
    let config = ChitchatConfig {
        chitchat_id: ChitchatId::new(us.name.as_str(), us.incarnation.generation, us.address),
        cluster_id: "test".to_owned(),
        gossip_interval: Duration::from_millis(5),
        listen_addr: us.address,
        seed_nodes: Vec::new(),
        // The dead and the removed are cleared away while it runs.
        failure_detector_config: FailureDetectorConfig { dead_node_grace_period: Duration::from_millis(50), ..Default::default() },
        marked_for_deletion_grace_period: Duration::from_millis(20),
        catchup_callback: None,
        extra_liveness_predicate: None,
    };
    let own = (0..20).map(|index| (format!("key{index}"), "v".repeat(3_000))).collect();
    let handle = spawn_chitchat(config, own, &wire).await.unwrap();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[5; 32]);
    let mut runner = TestRunner::new_with_rng(Config { failure_persistence: None, ..Config::default() }, rng);
    let strategy = any_message();
    let mut passed = 0;
    for _ in 0..MESSAGES {
        let message = strategy.new_tree(&mut runner).unwrap().current();
        let datagram = liar.seal(us.address, message).unwrap();
        match me.open(identity(1).address, &datagram, 0) {
            Ok(Opened::Gossip { from, message }) => {
                passed += 1;
                feed.send((from, codec::to_chitchat(&message, "test").unwrap())).await.expect("gossip has stopped");
            }
            // They get to know each other first.
            Ok(Opened::Introduce { datagram, .. }) => assert_eq!(liar.open(us.address, &datagram, 0), Ok(Opened::Introduced)),
            Ok(Opened::Introduced) => panic!("nobody asked"),
            Err(_) => {}
        }
    }
    assert!(passed > MESSAGES / 4, "only {passed} of {MESSAGES} passed: the test says nothing");
    // It has worked off all of it, and answers still.
    handle.with_chitchat(|chitchat| assert!(!chitchat.node_states().is_empty())).await;
    let before = wire.said.load(Ordering::Relaxed);
    let mut ticks = tokio::time::interval(Duration::from_millis(5));
    for _ in 0..2_000 {
        let member = MemberId { name: identity(1).name, generation: 2, address: identity(1).address };
        let question = Gossip::Syn(vec![DigestEntry { member, heartbeat: 3, collected: 0, version: 2 }]);
        feed.send((identity(1).address, codec::to_chitchat(&question, "test").unwrap())).await.expect("gossip has stopped");
        ticks.tick().await;
        if wire.said.load(Ordering::Relaxed) > before + 100 {
            break;
        }
    }
    assert!(wire.said.load(Ordering::Relaxed) > before + 100, "gossip answers no more");
    let own = handle.with_chitchat(|chitchat| chitchat.self_node_state().get("key7").map(str::len)).await;
    assert_eq!(own, Some(3_000), "somebody spoke for us");
    handle.shutdown().await.unwrap();
}
