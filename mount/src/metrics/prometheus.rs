use std::fmt::{Display, Write as _};

use crate::control::{ListedMount, MountStatus};

/// What `artifacts_mount_health` tells apart. The first that the health of a mount begins with holds.
const STATES: [&str; 6] = ["ok", "reconnecting", "stalled", "failed", "ending", "dead"];

/// The metrics of these mounts, in Prometheus' text format (version 0.0.4).
pub fn render(mounts: &[ListedMount]) -> String {
    let mut page = Page::default();
    let live: Vec<&MountStatus> = mounts.iter().filter_map(serving).collect();
    page.metric("artifacts_mounts", "gauge", "Mounts that are served");
    page.line("artifacts_mounts", &[], live.len());
    page.metric("artifacts_agent_spans_dropped_total", "counter", "Spans of traces that reached no collector");
    page.line("artifacts_agent_spans_dropped_total", &[], artifacts_trace::dropped());
    page.health(mounts);

    page.gauge(&live, "artifacts_mount_proof_age_seconds", "How old the newest proof is that the mount may serve", |of| {
        seconds(of.proof_age_ms)
    });
    page.gauge(
        &live,
        "artifacts_mount_lease_remaining_seconds",
        "How long the node keeps the session if it hears nothing more of it",
        |of| seconds(of.lease_remaining_ms),
    );
    page.gauge(&live, "artifacts_mount_alone", "Whether the mount holds the lease on the whole workspace, and decides by itself", |of| {
        f64::from(u8::from(of.alone))
    });
    page.gauge(&live, "artifacts_mount_unsaved_bytes", "Memory held by changes that are not durable yet", |of| of.unsaved_bytes as f64);
    page.gauge(&live, "artifacts_mount_unsaved_ops", "Changes that are not durable yet", |of| of.unsaved_ops as f64);
    page.gauge(&live, "artifacts_mount_open_files", "Files that programs have open", |of| of.open_files as f64);
    page.counter(&live, "artifacts_mount_reconnects_total", "Streams after the first one of a session", |of| vec![([], of.reconnects)]);
    page.calls(&live);
    page.counter(&live, "artifacts_mount_bytes_total", "Bytes that programs have read and written, by direction", |of| {
        let moved = |family: &str| of.calls.iter().filter(|calls| calls.family == family).map(|calls| calls.bytes).sum();
        vec![([("direction", "read")], moved("read")), ([("direction", "written")], moved("write"))]
    });
    page.counter(&live, "artifacts_mount_cache_blocks_total", "Blocks that programs asked for, by where they were", |of| {
        let cache = &of.cache;
        vec![([("found", "memory")], cache.hits), ([("found", "disk")], cache.disk_hits), ([("found", "node")], cache.misses)]
    });
    page.counter(&live, "artifacts_mount_prefetched_bytes_total", "Bytes that were fetched before a program asked for them", |of| {
        vec![([], of.cache.prefetched_bytes)]
    });
    page.gauge(&live, "artifacts_mount_cache_bytes", "Memory held by blocks of files", |of| of.cache_bytes as f64);
    let in_mesh: Vec<&MountStatus> = live.iter().copied().filter(|of| of.gossip.is_some()).collect();
    page.gauge(&in_mesh, "artifacts_mount_cell_members", "Members of the host's cell of the mesh that are heard", |of| {
        of.gossip.as_ref().map_or(0, |gossip| gossip.members) as f64
    });
    page.text
}

/// One that ends has no numbers any more.
fn serving(mount: &ListedMount) -> Option<&MountStatus> {
    match mount {
        ListedMount::Live(status) if status.health != "ending" => Some(status),
        _ => None,
    }
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

type Label<'a> = (&'a str, &'a str);

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a text cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &[Label<'_>], value: impl Display) {
        self.text.push_str(name);
        for (at, (label, value)) in labels.iter().enumerate() {
            let _ = write!(self.text, "{}{label}=\"{}\"", if at == 0 { '{' } else { ',' }, escaped(value));
        }
        let _ = writeln!(self.text, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn gauge(&mut self, mounts: &[&MountStatus], name: &str, help: &str, value: impl Fn(&MountStatus) -> f64) {
        self.metric(name, "gauge", help);
        for of in mounts {
            let mountpoint = of.mountpoint.to_string_lossy();
            self.line(name, &labels(of, &mountpoint), value(of));
        }
    }

    fn counter<const N: usize>(
        &mut self,
        mounts: &[&MountStatus],
        name: &str,
        help: &str,
        values: impl Fn(&MountStatus) -> Vec<([Label<'static>; N], u64)>,
    ) {
        self.metric(name, "counter", help);
        for of in mounts {
            let mountpoint = of.mountpoint.to_string_lossy();
            for (more, value) in values(of) {
                self.line(name, &[&labels(of, &mountpoint)[..], &more[..]].concat(), value);
            }
        }
    }

    fn health(&mut self, mounts: &[ListedMount]) {
        let name = "artifacts_mount_health";
        self.metric(name, "gauge", "1 for the state in which the mount is, 0 for the others");
        for mount in mounts {
            let (workspace, mountpoint, health) = match mount {
                ListedMount::Live(of) => (&of.workspace, &of.mountpoint, of.health.as_str()),
                ListedMount::Dead(of) => (&of.workspace, &of.mountpoint, "dead"),
            };
            let mountpoint = mountpoint.to_string_lossy();
            for state in STATES {
                let labels = [("workspace", workspace.as_str()), ("mountpoint", &*mountpoint), ("state", state)];
                self.line(name, &labels, u8::from(health.starts_with(state)));
            }
        }
    }

    fn calls(&mut self, mounts: &[&MountStatus]) {
        let name = "artifacts_mount_calls_total";
        self.metric(name, "counter", "System calls, by family and result");
        for of in mounts {
            let mountpoint = of.mountpoint.to_string_lossy();
            for calls in &of.calls {
                for (result, count) in [("ok", calls.ok), ("refused", calls.refused), ("failed", calls.failed)] {
                    let more = [("family", calls.family.as_str()), ("result", result)];
                    self.line(name, &[&labels(of, &mountpoint)[..], &more[..]].concat(), count);
                }
            }
        }
        let name = "artifacts_mount_call_duration_seconds";
        self.metric(name, "histogram", "How long system calls took, by family");
        for of in mounts {
            let mountpoint = of.mountpoint.to_string_lossy();
            for calls in &of.calls {
                let family = [&labels(of, &mountpoint)[..], &[("family", calls.family.as_str())][..]].concat();
                let all = calls.ok + calls.refused + calls.failed;
                for (bound, count) in &calls.within {
                    let bound = bound.to_string();
                    // Counted one after the other, while calls go on: a bucket is never more than the sum.
                    self.line(&format!("{name}_bucket"), &[&family[..], &[("le", bound.as_str())][..]].concat(), (*count).min(all));
                }
                self.line(&format!("{name}_bucket"), &[&family[..], &[("le", "+Inf")][..]].concat(), all);
                self.line(&format!("{name}_sum"), &family, calls.took_seconds);
                self.line(&format!("{name}_count"), &family, all);
            }
        }
    }
}

fn labels<'a>(of: &'a MountStatus, mountpoint: &'a str) -> [Label<'a>; 2] {
    [("workspace", of.workspace.as_str()), ("mountpoint", mountpoint)]
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::PathBuf;

    use artifacts_core::ticket::Mode;
    use artifacts_core::{SessionId, Timestamp};

    use super::*;
    use crate::control::{CallStatus, DeadMount, GossipStatus};

    fn status() -> MountStatus {
        MountStatus {
            mountpoint: PathBuf::from("/mnt/a \"b\"\\c"),
            workspace: "acme/task-1".to_owned(),
            session: SessionId::from_bits(1),
            mode: Mode::Rw,
            health: "failed: access was revoked".to_owned(),
            lease_remaining_ms: 10_000,
            proof_age_ms: 150,
            unsaved_bytes: 4096,
            unsaved_ops: 2,
            open_files: 3,
            cache_bytes: 5,
            cache: crate::control::CacheStatus::default(),
            pid: 7,
            since: Timestamp::from_unix_ms(0),
            endpoint: "http://n".to_owned(),
            second_endpoint: None,
            gossip: Some(GossipStatus { members: 9, ..GossipStatus::default() }),
            alone: true,
            reconnects: 4,
            calls: vec![CallStatus {
                family: "read".to_owned(),
                ok: 8,
                refused: 1,
                failed: 0,
                took_seconds: 0.5,
                bytes: 4096,
                within: vec![(0.001, 7), (1.0, 9)],
            }],
        }
    }

    #[test]
    fn a_mount_shows_its_numbers_and_its_labels_are_safe() {
        let text = render(&[ListedMount::Live(Box::new(status()))]);
        let labels = r#"workspace="acme/task-1",mountpoint="/mnt/a \"b\"\\c""#;
        for line in [
            "artifacts_mounts 1".to_owned(),
            format!("artifacts_mount_proof_age_seconds{{{labels}}} 0.15"),
            format!("artifacts_mount_alone{{{labels}}} 1"),
            format!("artifacts_mount_reconnects_total{{{labels}}} 4"),
            format!(r#"artifacts_mount_health{{{labels},state="failed"}} 1"#),
            format!(r#"artifacts_mount_health{{{labels},state="ok"}} 0"#),
            format!(r#"artifacts_mount_calls_total{{{labels},family="read",result="refused"}} 1"#),
            format!(r#"artifacts_mount_call_duration_seconds_bucket{{{labels},family="read",le="0.001"}} 7"#),
            format!(r#"artifacts_mount_call_duration_seconds_bucket{{{labels},family="read",le="+Inf"}} 9"#),
            format!(r#"artifacts_mount_bytes_total{{{labels},direction="read"}} 4096"#),
            format!("artifacts_mount_cell_members{{{labels}}} 9"),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
        }
    }

    #[test]
    fn a_dead_mount_is_dead_and_says_nothing_else() {
        let dead = DeadMount { mountpoint: "/mnt".into(), workspace: "a/b".to_owned(), pid: 1, since: Timestamp::from_unix_ms(0) };
        let text = render(&[ListedMount::Dead(dead)]);
        assert!(text.contains("state=\"dead\"} 1\n") && text.contains("artifacts_mounts 0\n"));
        assert_eq!(text.matches("workspace=\"a/b\"").count(), STATES.len());
    }

    #[test]
    fn every_metric_says_what_it_is() {
        let text = render(&[ListedMount::Live(Box::new(status()))]);
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap();
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name);
            assert!(text.contains(&format!("# HELP {base} ")) && text.contains(&format!("# TYPE {base} ")), "{line}");
        }
    }
}
