use std::path::PathBuf;

use artifacts_core::ticket::Mode;
use artifacts_core::{SessionId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error::MountError;

/// What the client asks, as one line of JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do")]
pub(crate) enum Question {
    /// How is the mount?
    Status,
    /// Save and unmount.
    Unmount {
        /// Whatever is in use or cannot be saved.
        force: bool,
    },
}

/// The agent's answer, as one line of JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// To `Status`.
    Status(Box<MountStatus>),
    /// To `Unmount`.
    Unmounted(UnmountReport),
    /// To either.
    Error(MountError),
}

/// How a mount is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MountStatus {
    /// Where.
    pub mountpoint: PathBuf,
    /// `handle/name`.
    pub workspace: String,
    /// The session.
    pub session: SessionId,
    /// What the session may do.
    pub mode: Mode,
    /// `ok`, `reconnecting`, `stalled` or `failed: ` and the reason.
    pub health: String,
    /// How long the node keeps the session if it hears nothing more of it.
    pub lease_remaining_ms: u64,
    /// How long ago the newest proof that the session stands was asked for.
    pub proof_age_ms: u64,
    /// Memory held by changes that are not durable yet.
    pub unsaved_bytes: u64,
    /// Changes that are not durable yet.
    pub unsaved_ops: u64,
    /// Files that programs have open.
    pub open_files: u64,
    /// Memory held by blocks of files.
    pub cache_bytes: u64,
    /// More of the caches. An agent of an earlier version does not tell.
    #[serde(default)]
    pub cache: CacheStatus,
    /// The agent's process.
    pub pid: u32,
    /// Since when it serves.
    pub since: Timestamp,
    /// The control node it talks to.
    pub endpoint: String,
    /// The control node that gives proofs as well, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_endpoint: Option<String>,
    /// What its agent, or that of its host, has from the mesh, if it takes part in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gossip: Option<GossipStatus>,
    /// Whether the mount holds the lease on the whole workspace, and decides by itself.
    #[serde(default)]
    pub alone: bool,
    /// How many streams the session has had after the first one, in this process.
    #[serde(default)]
    pub reconnects: u64,
    /// How system calls went since the mount began, by family. An agent of an earlier version does not tell.
    #[serde(default)]
    pub calls: Vec<CallStatus>,
}

/// How system calls of one family went.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallStatus {
    /// `read`, `write`, `sync`, `metadata` or `lock`.
    pub family: String,
    /// Those that succeeded.
    pub ok: u64,
    /// Those that were answered with an errno which says something about what was asked.
    pub refused: u64,
    /// Those that failed with EIO.
    pub failed: u64,
    /// How long all of them took together.
    pub took_seconds: f64,
    /// Bytes that they have read or written.
    pub bytes: u64,
    /// How many took no longer than so many seconds.
    pub within: Vec<(f64, u64)>,
}

/// What an agent has from the mesh.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GossipStatus {
    /// Its cell, if it is in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cell: Option<String>,
    /// How many members of it are heard, this host included.
    pub members: usize,
    /// How old the newest proof is that all revocations of the account are known, at the most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof_age_ms: Option<u64>,
}

/// How a mount's caches of blocks are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CacheStatus {
    /// Memory that blocks take.
    pub memory_bytes: u64,
    /// Memory that they may take.
    pub memory_max_bytes: u64,
    /// The cache on disk, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<DiskCacheStatus>,
    /// Blocks that programs asked for and that were in memory, or already on their way.
    pub hits: u64,
    /// Blocks that programs asked for and that were on disk.
    pub disk_hits: u64,
    /// Blocks that programs asked for and that were fetched from the node.
    pub misses: u64,
    /// What was fetched before any program asked for it.
    pub prefetched_bytes: u64,
}

/// How a cache on disk is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DiskCacheStatus {
    /// What is kept of all workspaces, as far as this mount knows.
    pub bytes: u64,
    /// What may be kept.
    pub max_bytes: u64,
    /// False while a disk that failed is left alone.
    pub working: bool,
    /// Files that did not match their checksums, and were removed.
    pub rotten: u64,
}

impl CacheStatus {
    /// How many of the blocks that were asked for did not have to be fetched, between 0 and 1; `None` before the first.
    pub fn hit_rate(&self) -> Option<f64> {
        let hits = self.hits.saturating_add(self.disk_hits);
        let all = hits.saturating_add(self.misses);
        (all > 0).then(|| hits as f64 / all as f64)
    }
}

/// A mount whose agent has died. Every call below it fails with ENOTCONN until it is mounted anew or unmounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadMount {
    /// Where.
    pub mountpoint: PathBuf,
    /// `handle/name`.
    pub workspace: String,
    /// The process that served it.
    pub pid: u32,
    /// Since when it had served.
    pub since: Timestamp,
}

/// A mount of this host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListedMount {
    /// Its agent answers.
    Live(Box<MountStatus>),
    /// Its agent does not.
    Dead(DeadMount),
}

/// What came of unmounting.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnmountReport {
    /// What could not be saved, relative to the mount point.
    pub unsaved: Vec<PathBuf>,
    /// Whether programs still had files open, which fail from now on.
    pub was_busy: bool,
    /// Whether there was no agent left that could have saved anything.
    pub agent_was_dead: bool,
}
