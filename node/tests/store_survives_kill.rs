//! "A write that returned from `Durable` survives `kill -9`, and so does every write that had returned before it was
//! called"; "no crash ever shows a part of a batch".
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use artifacts_node::store::{Batch, DEFAULT_CACHE_BYTES, Durability, KeyRange, SledStore, Store};

const DIRECTORY: &str = "STORE_SURVIVES_KILL_DIRECTORY";
const ROUNDS: u64 = 6;
/// Later rounds go on for longer: long enough for groups to be applied and for the journal to begin anew.
const ACKNOWLEDGED_AT_LEAST: usize = 60;
const ACKNOWLEDGED_MORE_EACH_ROUND: usize = 400;

/// Every third write is durable, the others only visible.
const DURABLE_EVERY: u64 = 3;

async fn open(directory: &Path) -> SledStore {
    SledStore::open(directory, DEFAULT_CACHE_BYTES).await.unwrap()
}

/// Not a test of its own: what the other process does until it is killed.
#[tokio::test]
#[ignore = "run by the test below in a process of its own"]
async fn write_until_killed() {
    let directory = std::env::var_os(DIRECTORY).expect("run by the test below");
    let store = open(Path::new(&directory)).await;
    let written = store.scan(KeyRange::prefix(b"a"), usize::MAX).await.unwrap().len() as u64;
    for i in written.. {
        let mut batch = Batch::new();
        batch.put([b"a", &i.to_be_bytes()[..]].concat(), vec![i as u8; 300]);
        batch.put([b"b", &i.to_be_bytes()[..]].concat(), vec![i as u8; 3000]);
        let is_durable = i % DURABLE_EVERY == 0;
        let durability = if is_durable { Durability::Durable } else { Durability::Visible };
        store.write(batch, durability).await.unwrap();
        if is_durable {
            println!("durable {i}");
        }
    }
}

#[tokio::test]
async fn what_was_durable_is_there_after_a_kill_and_batches_are_whole() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..ROUNDS {
        let acknowledged = ACKNOWLEDGED_AT_LEAST + round as usize * ACKNOWLEDGED_MORE_EACH_ROUND;
        let last_durable = write_and_kill(directory.path(), acknowledged);

        let store = open(directory.path()).await;
        let written = store.scan(KeyRange::prefix(b"a"), usize::MAX).await.unwrap();
        let others = store.scan(KeyRange::prefix(b"b"), usize::MAX).await.unwrap();
        assert!(written.len() as u64 > last_durable, "round {round}: {} of {last_durable}", written.len());
        assert_eq!(written.len(), others.len(), "round {round}: half a batch");
        for (i, ((key, value), (_, other))) in written.iter().zip(&others).enumerate() {
            assert_eq!(key[1..], (i as u64).to_be_bytes(), "round {round}: what is left is no prefix");
            assert!(value[0] == i as u8 && other[0] == i as u8);
        }
        store.close().await.unwrap();
    }
}

/// Lets another process write for a while, kills it, and returns the last write it had reported durable.
fn write_and_kill(directory: &Path, acknowledged: usize) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "write_until_killed", "--ignored", "--nocapture"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut reports = lines.filter_map(|line| line.strip_prefix("durable ")?.parse().ok());
    let read = reports.by_ref().take(acknowledged).last();
    child.kill().unwrap();
    child.wait().unwrap();
    // What was still in the pipe had been reported as well.
    reports.last().or(read).expect("the writer went on until it was killed")
}
