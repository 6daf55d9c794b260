//! The limit on open files: each connection takes one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the process's soft limit on open files to its hard limit and returns what it is then; `None` is no limit.
pub(super) fn raise_open_files() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return limit.current;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::warn!(%error, "cannot raise the limit on open files");
            limit.current
        }
    }
}

/// How many connections may be open under a limit on open files: the store, the blobs and what the node itself connects
/// to have to open files as well.
pub(super) fn max_connections(configured: usize, open_files: Option<u64>) -> usize {
    let affordable = open_files.map_or(u64::MAX, |limit| limit / 4 * 3);
    let allowed = configured.min(usize::try_from(affordable).unwrap_or(usize::MAX)).max(1);
    if allowed < configured {
        tracing::warn!(configured, allowed, "the limit on open files allows fewer connections than configured");
    }
    allowed
}
