//! Every metric that a node exports, in one list: so that each says what it is, counters begin at 0 and not at the first event (a rate of what
//! was never there is nothing), and dashboards and alerts can be checked.
//!
//! Always true: the list and the sources agree; a test compares them.

/// What a metric does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size.
    Histogram,
}

/// A metric, the values that its one label may have if they are known beforehand, and what it says.
type Metric = (Kind, &'static str, Option<(&'static str, &'static [&'static str])>, &'static str);

const METRICS: [Metric; 60] = {
    use Kind::{Counter, Gauge, Histogram};
    [
        (Counter, "artifacts_actor_failures_total", None, "Actors that failed and were started anew, by family"),
        (
            Counter,
            "artifacts_cell_datagrams_total",
            Some(("outcome", &["accepted", "introduced", "stranger", "stale", "our_name", "violation", "overrun", "unsent", "error"])),
            "Datagrams of cells of agents, by outcome",
        ),
        (Gauge, "artifacts_cell_members", None, "Members that are heard in the cells of agents that this node is in"),
        (Gauge, "artifacts_cells", None, "Cells of agents that this node is in"),
        (Counter, "artifacts_compactions_total", None, "Segments that were rewritten because most of them was dead"),
        (Counter, "artifacts_damaged_blocks_total", None, "Blocks that did not match their checksum, or were missing"),
        (Gauge, "artifacts_feed_age_seconds", None, "How old the oldest knowledge of the revocations of another node's shard is"),
        (Gauge, "artifacts_feeds", None, "Shards of other nodes whose revocations are followed, by state"),
        (Counter, "artifacts_fenced_sessions_total", None, "Sessions that calls have ended"),
        (Counter, "artifacts_flush_retries_total", None, "Group commits that were tried again"),
        (Counter, "artifacts_flushes_total", None, "Group commits"),
        (Histogram, "artifacts_http_request_duration_seconds", None, "How long calls took, by method and route"),
        (Counter, "artifacts_http_requests_total", None, "Calls, by method, route and status"),
        (Counter, "artifacts_inode_leases_granted_total", None, "Leases on single inodes that were given"),
        (Counter, "artifacts_inode_leases_recalled_total", None, "Leases on single inodes that were called back"),
        (Counter, "artifacts_leases_granted_total", None, "Leases on whole workspaces that were given"),
        (Counter, "artifacts_leases_recalled_total", None, "Leases on whole workspaces that were called back"),
        (Counter, "artifacts_malformed_frames_total", None, "Frames of agents that could not be read"),
        (Counter, "artifacts_named_locks_acquired_total", None, "Named locks that were had"),
        (Counter, "artifacts_named_locks_expired_total", None, "Named locks that ran out"),
        (Counter, "artifacts_object_store_retries_total", None, "Attempts that the object store failed or did not answer"),
        (Histogram, "artifacts_object_store_seconds", None, "How long answers of the object store took, by what, call and outcome"),
        (Counter, "artifacts_ops_total", Some(("decided_by", &["mount", "node"])), "Changes of workspaces, by who decided them"),
        (Counter, "artifacts_packed_bytes_total", None, "Small data that was packed into segments, in bytes"),
        (Counter, "artifacts_packed_segments_total", None, "Segments that small data was packed into"),
        (Counter, "artifacts_questions_total", None, "Questions of mounts that were answered"),
        (Counter, "artifacts_rate_limited_total", None, "Calls that were refused because there were too many"),
        (Gauge, "artifacts_region_nodes", None, "Nodes of another region that are heard, by region"),
        (Counter, "artifacts_relocations_total", None, "Stretches of files that were moved to another segment"),
        (
            Counter,
            "artifacts_requests_passed_on_total",
            Some(("outcome", &["answered", "not_there", "broken"])),
            "Requests that went to the owner of their shard, by outcome",
        ),
        (Counter, "artifacts_revocations_heard_total", None, "Revocations that were heard by gossip first"),
        (Gauge, "artifacts_revocations_known", None, "Revocations that are remembered"),
        (Counter, "artifacts_revocations_total", None, "Revocations that were signed here"),
        (Counter, "artifacts_revocations_unconfirmed_total", None, "Nodes that did not confirm a revocation in time"),
        (
            Counter,
            "artifacts_ring_datagrams_total",
            Some(("outcome", &["accepted", "introduced", "stranger", "stale", "our_name", "violation", "unsent", "error"])),
            "Datagrams of the ring, by outcome",
        ),
        (Gauge, "artifacts_ring_heard", None, "Whether the other nodes hear this one"),
        (Gauge, "artifacts_ring_members", None, "Nodes of the ring, by state"),
        (Gauge, "artifacts_ring_silence_seconds", None, "How long ago the live member was heard that was silent longest"),
        (Counter, "artifacts_segment_bytes_read_total", None, "Bytes of segments that went through the node to mounts"),
        (Counter, "artifacts_segment_bytes_written_total", None, "Bytes of segments that came through the node"),
        (Counter, "artifacts_segment_urls_total", Some(("op", &["get", "put"])), "Requests that were signed for agents, by operation"),
        (Counter, "artifacts_segments_deleted_total", None, "Segments that were deleted"),
        (Gauge, "artifacts_sessions", None, "Sessions, by state"),
        (Counter, "artifacts_sessions_fenced_total", None, "Sessions whose access has ended"),
        (Counter, "artifacts_sessions_opened_total", None, "Sessions that were opened"),
        (Gauge, "artifacts_shard_epoch", None, "The epoch of each shard that is served here"),
        (Histogram, "artifacts_shard_opening_seconds", None, "How long shards took to open"),
        (Gauge, "artifacts_shard_proof_age_seconds", None, "Of the shards in use, the age of the oldest proof of ownership"),
        (Counter, "artifacts_shard_proofs_failed_total", None, "Looks at the bucket for a proof of ownership that got no answer"),
        (Counter, "artifacts_shard_proofs_total", None, "Proofs of ownership of shards"),
        (Gauge, "artifacts_shard_unflushed_commits", None, "Commits of each shard that are not durable yet"),
        (Gauge, "artifacts_shards", None, "Shards of this node, by state"),
        (
            Counter,
            "artifacts_shards_closed_total",
            Some(("how", &["given_up", "lost"])),
            "Shards that this node serves no more, by how that came",
        ),
        (
            Counter,
            "artifacts_shards_opened_total",
            Some(("how", &["handed_over", "taken"])),
            "Shards that this node began to serve, by how",
        ),
        (Counter, "artifacts_spans_dropped_total", None, "Spans of traces that reached no collector"),
        (Histogram, "artifacts_store_flush_waiters", None, "How many durable writes shared a put"),
        (Counter, "artifacts_streams_redirected_total", None, "Agents that were sent to the owner of their workspace"),
        (Counter, "artifacts_tickets_total", None, "Tickets that were signed"),
        (Counter, "artifacts_unnamed_objects_total", None, "Objects that no op had ever named and that were deleted"),
        (Counter, "artifacts_upkeep_failures_total", None, "Upkeep of workspaces that failed and is tried again"),
    ]
};

/// Counters whose labels are made up as things happen: those begin with their first event.
const BEGIN_LATER: [&str; 2] = ["artifacts_actor_failures_total", "artifacts_http_requests_total"];

/// Says what each metric is, and lets the counters begin.
pub(super) fn declare() {
    for (kind, name, label, help) in METRICS {
        match kind {
            Kind::Counter => metrics::describe_counter!(name, help),
            Kind::Gauge => metrics::describe_gauge!(name, help),
            Kind::Histogram => metrics::describe_histogram!(name, help),
        }
        if kind != Kind::Counter || BEGIN_LATER.contains(&name) {
            continue;
        }
        match label {
            None => metrics::counter!(name).increment(0),
            Some((label, values)) => values.iter().for_each(|value| metrics::counter!(name, label => *value).increment(0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    fn of_sources(dir: &Path, found: &mut BTreeSet<(String, String)>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                of_sources(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                for kind in ["counter", "gauge", "histogram"] {
                    for part in text.split(&format!("metrics::{kind}!(\"artifacts_")).skip(1) {
                        found.insert((kind.to_owned(), format!("artifacts_{}", part.split('"').next().unwrap())));
                    }
                }
            }
        }
    }

    #[test]
    fn the_list_is_what_the_sources_count() {
        let mut found = BTreeSet::new();
        of_sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        let listed: BTreeSet<_> = METRICS.iter().map(|(kind, name, ..)| (format!("{kind:?}").to_lowercase(), (*name).to_owned())).collect();
        assert_eq!(found, listed);
        assert_eq!(listed.len(), METRICS.len(), "one is listed twice");
    }

    #[test]
    fn names_say_what_they_count() {
        for (kind, name, _, help) in METRICS {
            assert_eq!(kind == Kind::Counter, name.ends_with("_total"), "{name}");
            assert!(help.len() > 5 && !help.ends_with('.'), "{name}");
        }
    }
}
