//! `artifacts status`

use std::path::PathBuf;

use artifacts_core::Timestamp;
use artifacts_mount::control::{self, CacheStatus, DiskCacheStatus, GossipStatus, ListedMount, MountStatus};
use clap::Args;
use serde_json::{Value, json};

use crate::output::{Output, Table, relative};
use crate::paths::Paths;
use crate::size::Size;
use crate::time;
use crate::ttl::Ttl;

/// Arguments of `status`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  artifacts status                              all mounts of this user
  artifacts status /mnt/work --format json
  artifacts status --prometheus > /var/lib/node_exporter/artifacts.prom")]
pub(crate) struct StatusArgs {
    /// Only what is mounted here, and more of it
    #[arg(value_name = "DIR")]
    mountpoint: Option<PathBuf>,
    /// Print the metrics of all mounts in the text format of Prometheus, as for its textfile collector
    #[arg(long, conflicts_with = "mountpoint")]
    prometheus: bool,
}

/// Shows the mounts of this user on this host.
pub(crate) fn run(args: &StatusArgs, output: Output) -> anyhow::Result<()> {
    let state = Paths::of_this_user()?.state;
    if args.prometheus {
        return output.line(artifacts_mount::metrics::render(&control::list(&state)?).trim_end());
    }
    match &args.mountpoint {
        Some(mountpoint) => output.object(&control::status(&state, mountpoint)?, lines),
        None => {
            let mounts: Vec<Listed> = control::list(&state)?.into_iter().map(Listed).collect();
            output.list(&mounts, table)
        }
    }
}

/// A mount in a list: one that died has the fields that it can have, and `"health": "dead"`.
struct Listed(ListedMount);

impl serde::Serialize for Listed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            ListedMount::Live(status) => status.serialize(serializer),
            ListedMount::Dead(dead) => {
                let mut fields = json!(dead);
                if let Some(fields) = fields.as_object_mut() {
                    fields.insert("health".to_owned(), Value::from(DEAD));
                }
                fields.serialize(serializer)
            }
        }
    }
}

/// The health of a mount whose agent has died.
const DEAD: &str = "dead";

fn unsaved(status: &MountStatus) -> String {
    match status.unsaved_ops {
        0 => "nothing".to_owned(),
        1 => format!("1 change, {}", Size::from_bytes(status.unsaved_bytes)),
        changes => format!("{changes} changes, {}", Size::from_bytes(status.unsaved_bytes)),
    }
}

fn memory(status: &MountStatus) -> String {
    match status.cache.memory_max_bytes {
        0 => Size::from_bytes(status.cache_bytes).to_string(),
        most => format!("{} of {} in memory", Size::from_bytes(status.cache_bytes), Size::from_bytes(most)),
    }
}

fn disk(disk: &DiskCacheStatus) -> String {
    let failing = if disk.working { "" } else { ", the disk is left alone because it failed" };
    let rotten = if disk.rotten == 0 { String::new() } else { format!(", {} damaged files removed", disk.rotten) };
    format!("{} of {}{failing}{rotten}", Size::from_bytes(disk.bytes), Size::from_bytes(disk.max_bytes))
}

fn hit_rate(cache: &CacheStatus) -> String {
    match cache.hit_rate() {
        Some(rate) => format!("{:.1} % ({} in memory, {} on disk, {} fetched)", rate * 100.0, cache.hits, cache.disk_hits, cache.misses),
        None => "nothing read yet".to_owned(),
    }
}

fn gossip(gossip: &GossipStatus) -> String {
    let Some(cell) = &gossip.cell else { return "no cell yet".to_owned() };
    let proof = gossip.proof_age_ms.map_or_else(|| "no proof".to_owned(), |age_ms| format!("last proof {age_ms} ms ago"));
    format!("{cell}, {} members heard, {proof}", gossip.members)
}

fn serving_for(since: Timestamp) -> String {
    Ttl::from_seconds(time::wall_clock().since_ms(since) / 1000).to_string()
}

fn lines(status: &MountStatus) -> Vec<(&'static str, String)> {
    vec![
        ("mounted on", status.mountpoint.display().to_string()),
        ("workspace", status.workspace.clone()),
        ("mode", status.mode.to_string()),
        ("health", status.health.clone()),
        ("unsaved", unsaved(status)),
        ("open files", status.open_files.to_string()),
        ("cache", memory(status)),
        ("cache on disk", status.cache.disk.as_ref().map_or_else(|| "none".to_owned(), disk)),
        ("hit rate", hit_rate(&status.cache)),
        ("read ahead", Size::from_bytes(status.cache.prefetched_bytes).to_string()),
        ("lease", format!("{:.1} s left", status.lease_remaining_ms as f64 / 1000.0)),
        ("last proof", format!("{} ms ago", status.proof_age_ms)),
        ("node", status.endpoint.clone()),
        ("proofs also from", status.second_endpoint.clone().unwrap_or_else(|| "none".to_owned())),
        ("mesh", status.gossip.as_ref().map_or_else(|| "none".to_owned(), gossip)),
        ("session", status.session.to_string()),
        ("agent", format!("process {}", status.pid)),
        ("serving", format!("for {}", serving_for(status.since))),
    ]
}

fn table(mounts: &[Listed]) -> Table {
    let head = Table::new(
        ["MOUNTED ON", "WORKSPACE", "MODE", "HEALTH", "UNSAVED", "OPEN", "CACHE", "HIT RATE", "SERVING FOR", "PROCESS"],
        "Nothing is mounted.",
    );
    mounts.iter().fold(head, |table, mount| match &mount.0 {
        ListedMount::Live(status) => table.row([
            status.mountpoint.display().to_string(),
            status.workspace.clone(),
            status.mode.to_string(),
            status.health.clone(),
            Size::from_bytes(status.unsaved_bytes).to_string(),
            status.open_files.to_string(),
            Size::from_bytes(status.cache_bytes + status.cache.disk.as_ref().map_or(0, |disk| disk.bytes)).to_string(),
            status.cache.hit_rate().map_or_else(|| "-".to_owned(), |rate| format!("{:.0} %", rate * 100.0)),
            serving_for(status.since),
            status.pid.to_string(),
        ]),
        ListedMount::Dead(dead) => table.row([
            dead.mountpoint.display().to_string(),
            dead.workspace.clone(),
            "-".to_owned(),
            format!("{DEAD}: mount it again or unmount it"),
            "-".to_owned(),
            "-".to_owned(),
            "-".to_owned(),
            "-".to_owned(),
            format!("since {}", relative(dead.since)),
            "-".to_owned(),
        ]),
    })
}
