use anyhow::{Result, ensure};

use super::world::World;

/// How often what happened.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) ops: u64,
    pub(super) segments: u64,
    pub(super) lives: u64,
    /// Answered by the mount itself, at once.
    pub(super) at_once: u64,
    /// Answered by the kernel, from what it believed.
    pub(super) believed: u64,
    pub(super) lost: u64,
    pub(super) unanswered: u64,
    pub(super) breaks: u64,
    pub(super) freezes: u64,
    pub(super) kills: u64,
    pub(super) crashes: u64,
    pub(super) fences: u64,
    pub(super) leaves: u64,
}

impl World {
    fn counted(&self) -> [(&'static str, u64); 20] {
        let Tally { ops, segments, lives, at_once, believed, lost, unanswered, breaks, freezes, kills, crashes, fences, leaves } =
            self.tally;
        let counts = &self.node.counts;
        [
            ("operations", ops),
            ("segments", segments),
            ("mounts", lives),
            ("killed", kills),
            ("fenced", fences),
            ("left", leaves),
            ("broken streams", breaks),
            ("frozen mounts", freezes),
            ("crashes of the node", crashes),
            ("leases on everything", counts.grants),
            ("of these recalled", counts.recalls),
            ("leases on inodes", counts.inode_grants),
            ("recalls of such", counts.inode_recalls),
            ("claims of such", counts.claims),
            ("ops told to come again", counts.come_agains),
            ("questions that waited", counts.waits),
            ("answers at once", at_once),
            ("answers from what the kernel believed", believed),
            ("answers lost with their mount", lost),
            ("unanswered", unanswered),
        ]
    }

    /// How often what happened, for people.
    pub fn summary(&self) -> String {
        let counted: Vec<_> = self.counted().iter().map(|(what, times)| format!("{times} {what}")).collect();
        format!("linearizability, simulated: {:.0} s of their time, {}", self.now_us as f64 / 1e6, counted.join(", "))
    }

    /// A run in which something never happened says nothing of it.
    pub fn expect_everything_happened(&self) -> Result<()> {
        for (what, times) in self.counted() {
            ensure!(times > 0, "0 {what}: {}", self.summary());
        }
        Ok(())
    }
}
