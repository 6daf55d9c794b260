//! How many durable commits a second the store on disk takes, alone and shared: `cargo bench -p artifacts-node`.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout, missing_docs, reason = "a benchmark measures time")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use artifacts_node::store::{Batch, DEFAULT_CACHE_BYTES, Durability, SledStore, Store};

/// How long each line is measured.
const MEASURED: Duration = Duration::from_secs(4);
/// What a small op changes: an inode, an entry of a directory, the counters of the workspace.
const VALUES_BYTES: [usize; 3] = [120, 40, 30];

#[tokio::main]
async fn main() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let store = Arc::new(SledStore::open(directory.path(), DEFAULT_CACHE_BYTES).await.unwrap());
    for writers in [1, 16] {
        for data_bytes in [0, 4096] {
            let commits = measure(&store, writers, data_bytes).await;
            println!(
                "{writers:>3} writers, {data_bytes:>5} bytes of data: {:>8.0} durable commits/s",
                commits as f64 / MEASURED.as_secs_f64()
            );
        }
    }
    let began = Instant::now();
    store.close().await.unwrap();
    println!("close: {} ms", began.elapsed().as_millis());
}

async fn measure(store: &Arc<SledStore>, writers: u32, data_bytes: usize) -> u64 {
    let began = Instant::now();
    let tasks = (0..writers).map(|writer| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            let mut commits = 0u64;
            while began.elapsed() < MEASURED {
                let mut batch = Batch::new();
                for (table, bytes) in VALUES_BYTES.into_iter().enumerate() {
                    // The counters are one key, the others are new ones.
                    let number = if table == 2 { 0 } else { commits };
                    batch.put([&[table as u8][..], &writer.to_be_bytes(), &number.to_be_bytes()].concat(), vec![commits as u8; bytes]);
                }
                if data_bytes > 0 {
                    batch.put([&[9][..], &writer.to_be_bytes(), &commits.to_be_bytes()].concat(), vec![commits as u8; data_bytes]);
                }
                store.write(batch, Durability::Durable).await.unwrap();
                commits += 1;
            }
            commits
        })
    });
    let mut commits = 0;
    for task in tasks.collect::<Vec<_>>() {
        commits += task.await.unwrap();
    }
    commits
}
