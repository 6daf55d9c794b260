use std::collections::HashMap;
use std::time::Duration;

use slatedb::config::{CompactionWorkerOptions, CompactorOptions, GarbageCollectorDirectoryOptions, GarbageCollectorOptions, Settings};

use super::AUTOMATIC_FLUSH;

/// How large the parts of one database may be, and how long its callers wait.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// What is written goes into a table of the object store when it takes this much memory, in bytes. An opening reads
    /// up to this much of the log again.
    pub table_bytes: usize,
    /// How much of what is written may be in memory only before writes wait, in bytes.
    pub unflushed_bytes: usize,
    /// How long a call may take before it is answered `Unavailable`.
    pub patience: Duration,
    /// Whether the object store can replace an object on condition that it is the one that was read. Where it cannot
    /// (a directory), versions of the manifest are kept for longer, because a process that slept may still need them.
    pub conditional_updates: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { table_bytes: 4 << 20, unflushed_bytes: 16 << 20, patience: Duration::from_secs(10), conditional_updates: true }
    }
}

/// How long a table that no reader needs any more stays: longer than a scan that is under way.
const MIN_AGE: Duration = Duration::from_secs(5 * 60);
/// How long versions of the manifest stay where nothing keeps a process that slept from using one again.
const LONG_MIN_AGE: Duration = Duration::from_secs(24 * 3600);
/// How often what is garbage is looked for.
const COLLECTION_INTERVAL: Duration = Duration::from_secs(10 * 60);
/// How often a database without writes looks whether there is another owner or a compacted table; who waits for one of
/// them asks sooner.
const MANIFEST_INTERVAL: Duration = Duration::from_secs(60);
/// How often it looks whether there are tables to compact, and the compactor whether there is something to do. Each look is
/// a few requests, by each of the shards and for as long as the cluster runs.
const COMPACTION_INTERVAL: Duration = Duration::from_secs(10);
/// How many tables may wait for a compaction before writes do: more than a shard makes in the two or three looks from when they
/// are there until they are compacted. One that saves 600 times a second makes more than two a second.
const UNCOMPACTED_TABLES: usize = 96;
/// How many of them one compaction takes; it reads from all at once.
const COMPACTED_AT_ONCE: usize = 48;

impl Limits {
    pub(super) fn settings(&self) -> Settings {
        let of_age = |min_age| Some(GarbageCollectorDirectoryOptions { interval: Some(COLLECTION_INTERVAL), min_age, dry_run: false });
        let versions_age = if self.conditional_updates { MIN_AGE } else { LONG_MIN_AGE };
        Settings {
            flush_interval: Some(AUTOMATIC_FLUSH),
            manifest_poll_interval: MANIFEST_INTERVAL,
            l0_sst_size_bytes: self.table_bytes,
            max_unflushed_bytes: self.unflushed_bytes,
            l0_flush_parallelism: 1,
            l0_max_ssts: UNCOMPACTED_TABLES,
            l0_max_ssts_per_key: UNCOMPACTED_TABLES,
            compactor_options: Some(CompactorOptions {
                poll_interval: COMPACTION_INTERVAL,
                scheduler_options: HashMap::from([("max_compaction_sources".to_owned(), COMPACTED_AT_ONCE.to_string())]),
                max_concurrent_compactions: 1,
                worker: Some(CompactionWorkerOptions {
                    max_concurrent_compactions: 1,
                    compactions_poll_interval: COMPACTION_INTERVAL,
                    max_sst_size: 32 << 20,
                    max_fetch_tasks: 2,
                    bytes_to_fetch: 128 << 10,
                    max_subcompactions: 1,
                    ..CompactionWorkerOptions::default()
                }),
                ..CompactorOptions::default()
            }),
            garbage_collector_options: Some(GarbageCollectorOptions {
                manifest_options: of_age(versions_age),
                compactions_options: of_age(versions_age),
                wal_options: of_age(MIN_AGE),
                compacted_options: of_age(MIN_AGE),
                // The marks with which an owner was fenced stay for ever: one that slept for days would write over a
                // mark that is gone, and believe that it is durable.
                wal_fence_options: None,
                detach_options: None,
                boundary_files_enabled: self.conditional_updates,
                ..GarbageCollectorOptions::default()
            }),
            ..Settings::default()
        }
    }
}
