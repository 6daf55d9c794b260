use anyhow::{Result, ensure};

use super::fault::Fault;
use super::world::World;
use crate::node::Counts;

/// What a run of usual length may do without.
const RARE: [&str; 3] = ["of these with a loss that may be", "of these undecided", "sessions that were outlived"];

/// How often what happened.
#[derive(Debug, Default, Clone)]
pub(super) struct Tally {
    pub(super) ops: u64,
    pub(super) segments: u64,
    pub(super) lives: u64,
    /// Answered by the kernel, from what it believed.
    pub(super) believed: u64,
    /// Answered by the mount itself, at once.
    pub(super) at_once: u64,
    pub(super) lost: u64,
    pub(super) unanswered: u64,
    pub(super) fences: u64,
    pub(super) leaves: u64,
    /// Segments in which something was lost that may be, so that no order was looked for.
    pub(super) lossy: u64,
    pub(super) undecided: u64,
    pub(super) takeovers: u64,
    pub(super) handovers: u64,
    pub(super) revocations: u64,
    pub(super) forgeries: u64,
    pub(super) outlived: u64,
    pub(super) locks: u64,
    pub(super) counts: Counts,
    breaks: u64,
    freezes: u64,
    kills: u64,
    crashes: u64,
    stops: u64,
    frozen_nodes: u64,
    cuts: u64,
    store_troubles: u64,
    weathers: u64,
    steps: u64,
}

impl Tally {
    /// Something goes wrong.
    pub(super) const fn note(&mut self, fault: Fault) {
        let count = match fault {
            Fault::Break { .. } => &mut self.breaks,
            Fault::Freeze { .. } | Fault::FreezeHolder { .. } => &mut self.freezes,
            Fault::Kill { .. } => &mut self.kills,
            Fault::Step { .. } => &mut self.steps,
            Fault::Crash { .. } => &mut self.crashes,
            Fault::Stop { .. } => &mut self.stops,
            Fault::FreezeHost { .. } => &mut self.frozen_nodes,
            Fault::CutHost { .. } | Fault::Isolate { .. } | Fault::CutPair { .. } | Fault::CutMount { .. } | Fault::CutStore { .. } => {
                &mut self.cuts
            }
            Fault::Store { .. } => &mut self.store_troubles,
            Fault::Weather { .. } => &mut self.weathers,
            Fault::Revoke { .. } | Fault::Forge { .. } => return,
        };
        *count += 1;
    }
}

impl World {
    /// How often what happened, by name.
    pub fn counted(&self) -> Vec<(&'static str, u64)> {
        let tally = &self.tally;
        let mut counts = tally.counts.clone();
        self.hosts.iter().filter_map(|host| host.workspace.serving()).for_each(|unit| counts.add(&unit.node.counts));
        vec![
            ("operations", tally.ops),
            ("segments", tally.segments),
            ("of these with a loss that may be", tally.lossy),
            ("of these undecided", tally.undecided),
            ("mounts", tally.lives),
            ("killed", tally.kills),
            ("fenced", tally.fences),
            ("left", tally.leaves),
            ("broken streams", tally.breaks),
            ("frozen mounts", tally.freezes),
            ("steps of clocks", tally.steps),
            ("crashes of nodes", tally.crashes),
            ("stops of nodes", tally.stops),
            ("frozen nodes", tally.frozen_nodes),
            ("cuts of the network", tally.cuts),
            ("bad networks", tally.weathers),
            ("troubles of the store", tally.store_troubles),
            ("takeovers", tally.takeovers),
            ("handovers", tally.handovers),
            ("sessions that were outlived", tally.outlived),
            ("revocations", tally.revocations),
            ("records refused", tally.forgeries),
            ("locks given", tally.locks),
            ("leases on everything", counts.grants),
            ("of these recalled", counts.recalls),
            ("leases on inodes", counts.inode_grants),
            ("recalls of such", counts.inode_recalls),
            ("claims of such", counts.claims),
            ("ops told to come again", counts.come_agains),
            ("questions that waited", counts.waits),
            ("answers at once", tally.at_once),
            ("answers from what the kernel believed", tally.believed),
            ("answers lost with their mount", tally.lost),
            ("unanswered", tally.unanswered),
        ]
    }

    /// How often what happened, for people.
    pub fn summary(&self) -> String {
        let counted: Vec<_> = self.counted().iter().map(|(what, times)| format!("{times} {what}")).collect();
        format!("{:.0} s of their time, {}", self.now_us as f64 / 1e6, counted.join(", "))
    }

    /// A run in which something never happened says nothing of it.
    ///
    /// # Errors
    /// If something never happened.
    pub fn expect_everything_happened(&self) -> Result<()> {
        for (what, times) in self.counted() {
            ensure!(times > 0 || RARE.contains(&what), "0 {what}: {}", self.summary());
        }
        Ok(())
    }
}
