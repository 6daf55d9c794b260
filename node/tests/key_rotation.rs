//! The keys that sign tickets are replaced, and every node of a cluster knows both.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use artifacts_core::Timestamp;
use artifacts_core::cluster::Placement;
use artifacts_core::name::NodeName;
use artifacts_core::ticket::Jwks;
use artifacts_node::Node;
use artifacts_node::config::{NodeConfig, StoreKind};
use artifacts_node::time::{Clock, SystemClock};
use artifacts_tests::S3Server;
use serde_json::{Value, json};

const HOUR_MS: u64 = 3600 * 1000;
/// Only a guard against hanging.
const PATIENCE: Duration = Duration::from_secs(60);
const NAMES: [&str; 3] = ["one", "two", "three"];

/// The machine's clock, whose time of day the test moves.
struct ShiftedClock(AtomicU64);

impl Clock for ShiftedClock {
    fn wall(&self) -> Timestamp {
        Timestamp::from_unix_ms(SystemClock.wall().unix_ms() + self.0.load(Ordering::SeqCst))
    }

    fn monotonic_ms(&self) -> u64 {
        SystemClock.monotonic_ms()
    }
}

fn config(place: &Path, blobs: &Value, ports: &[u16], index: usize) -> NodeConfig {
    let seeds: Vec<_> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let ring = json!({
        "name": "test", "node": NAMES[index], "listen": seeds[index], "seeds": seeds, "key_file": place.join("ring-keys"),
        "gossip_interval_ms": 100, "suspect_after_ms": 1_000,
    });
    let mut config = NodeConfig {
        data: place.join(NAMES[index]),
        listen: "127.0.0.1:0".parse().unwrap(),
        store: StoreKind::Slate,
        signing_key_hours: 1,
        ring: Some(serde_json::from_value(ring).unwrap()),
        ..NodeConfig::default()
    };
    config.blobs = serde_json::from_value(blobs.clone()).unwrap();
    config.cluster.shards = 4;
    config
}

async fn keys(node: &Node) -> Vec<String> {
    let url = format!("{}/.well-known/jwks.json", node.urls()[0]);
    let text = reqwest::Client::builder().no_proxy().build().unwrap().get(url).send().await.unwrap().text().await.unwrap();
    serde_json::from_str::<Jwks>(&text).unwrap().keys.into_iter().map(|key| key.kid).collect()
}

/// Waits until all these nodes know as many keys, and the same.
async fn agree(nodes: &[Node], count: usize) -> Vec<String> {
    let agreed = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        loop {
            ticks.tick().await;
            let mut known = Vec::new();
            for node in nodes {
                known.push(keys(node).await);
            }
            if known[0].len() == count && known.iter().all(|keys| *keys == known[0]) {
                return known.remove(0);
            }
        }
    };
    tokio::time::timeout(PATIENCE, agreed).await.unwrap()
}

#[test]
fn a_new_signing_key_is_known_at_every_node() {
    let Some(server) = S3Server::shared().unwrap() else { return };
    let blobs = server.bucket().unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(replace_the_key(blobs));
}

async fn replace_the_key(blobs: Value) {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("ring-keys"), "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=").unwrap();
    let sockets: Vec<_> = NAMES.iter().map(|_| std::net::UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let ports: Vec<_> = sockets.iter().map(|socket| socket.local_addr().unwrap().port()).collect();
    drop(sockets);
    let clock = Arc::new(ShiftedClock(AtomicU64::new(0)));
    let start = async |index| Node::start_by(clock.clone(), config(place.path(), &blobs, &ports, index)).await.unwrap();
    let mut nodes = Vec::new();
    for index in 0..NAMES.len() {
        nodes.push(start(index).await);
    }
    let first = agree(&nodes, 1).await;

    // Whoever takes over the keys replaces those that are too old.
    clock.0.fetch_add(2 * HOUR_MS, Ordering::SeqCst);
    let placement: Placement = NAMES.iter().map(|name| name.parse::<NodeName>().unwrap()).collect();
    let owner = NAMES.iter().position(|name| *name == placement.owner(0).unwrap().as_str()).unwrap();
    nodes.remove(owner).shutdown().await.unwrap();
    let both = agree(&nodes, 2).await;
    assert!(both.contains(&first[0]), "what it has signed counts on");
    nodes.push(start(owner).await);
    assert_eq!(agree(&nodes, 2).await, both);
    for node in nodes {
        node.shutdown().await.unwrap();
    }
}
