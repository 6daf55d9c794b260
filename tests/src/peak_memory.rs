use std::sync::Mutex;

use anyhow::{Result, ensure};

const MIB: u64 = 1 << 20;
/// What an agent may hold at most, in bytes.
const AGENT_LIMIT_BYTES: u64 = 400 * MIB;
/// What a node may hold at most, in bytes.
const NODE_LIMIT_BYTES: u64 = 600 * MIB;

/// The largest resident sets that agents and nodes of one test had.
#[derive(Debug, Default)]
pub struct PeakMemory {
    agent_and_node_bytes: Mutex<(u64, u64)>,
}

impl PeakMemory {
    /// Notes what an agent has held at most so far.
    pub fn note_agent(&self, bytes: Option<u64>) {
        let mut peaks = self.peaks();
        peaks.0 = peaks.0.max(bytes.unwrap_or(0));
    }

    /// Notes what a node has held at most so far.
    pub fn note_node(&self, bytes: Option<u64>) {
        let mut peaks = self.peaks();
        peaks.1 = peaks.1.max(bytes.unwrap_or(0));
    }

    /// The largest agent and the largest node seen, in bytes.
    pub fn bytes(&self) -> (u64, u64) {
        *self.peaks()
    }

    /// For people.
    pub fn describe(&self) -> String {
        let (agent, node) = self.bytes();
        format!("peak RSS: agent {} MiB, node {} MiB", agent.div_ceil(MIB), node.div_ceil(MIB))
    }

    /// Checks both against the limits of the contract.
    ///
    /// # Errors
    /// If one was exceeded.
    pub fn check(&self) -> Result<()> {
        let (agent, node) = self.bytes();
        ensure!(agent < AGENT_LIMIT_BYTES, "the agent held {} MiB", agent / MIB);
        ensure!(node < NODE_LIMIT_BYTES, "the node held {} MiB", node / MIB);
        Ok(())
    }

    fn peaks(&self) -> std::sync::MutexGuard<'_, (u64, u64)> {
        self.agent_and_node_bytes.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
