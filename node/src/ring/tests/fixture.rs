use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use crate::random::SystemEntropy;
use crate::ring::{Ring, RingConfig, RingSeat, RingView};
use crate::time::SystemClock;

pub(super) const OLD_KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
/// Only a guard against hanging.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A node's part in the ring, without the rest of the node.
pub(super) struct Member {
    pub(super) ring: Ring,
    pub(super) address: std::net::SocketAddr,
}

/// Directories of members, and a key that all have.
pub(super) struct Place {
    directory: TempDir,
}

impl Place {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("key"), OLD_KEY).unwrap();
        Self { directory }
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn config(&self, name: &str, seeds: &[&Member]) -> RingConfig {
        RingConfig {
            node: Some(name.parse().unwrap()),
            listen: "127.0.0.1:0".parse().unwrap(),
            seeds: seeds.iter().map(|member| member.address.to_string()).collect(),
            key_file: Some(self.path().join("key")),
            gossip_interval_ms: 30,
            suspect_after_ms: 3_000,
            ..RingConfig::default()
        }
    }

    pub(super) fn start(&self, config: RingConfig) -> Member {
        let data = self.path().join(config.node.as_ref().unwrap().as_str());
        std::fs::create_dir_all(&data).unwrap();
        let seat = RingSeat::take(config, &data, Arc::new(SystemClock), Arc::new(SystemEntropy)).unwrap();
        let address = seat.advertise();
        let nowhere = || "http://127.0.0.1:1".to_owned();
        let facts = seat.facts(nowhere(), nowhere(), "eu".to_owned()).unwrap();
        Member { ring: seat.start(facts), address }
    }
}

impl Member {
    /// Waits until the view is as wanted.
    pub(super) async fn sees(&self, wanted: impl Fn(&RingView) -> bool) -> RingView {
        let mut view = self.ring.watch();
        let found = tokio::time::timeout(PATIENCE, view.wait_for(|view| wanted(view))).await;
        match found {
            Ok(view) => view.unwrap().clone(),
            Err(_) => panic!("{:?} sees {:?}", self.ring.me(), self.ring.view()),
        }
    }

    /// Waits until it places work on so many.
    pub(super) async fn places(&self, nodes: usize) -> RingView {
        self.sees(|view| view.placement("eu").nodes().count() == nodes).await
    }

    /// Waits until it counts so many as alive, with all that they say of themselves.
    pub(super) async fn counts(&self, live: usize) -> RingView {
        self.sees(|view| view.members.iter().filter(|member| member.live && member.facts.is_some()).count() == live).await
    }
}
