use crate::Random;

/// The stream between a mount and the node. What it carries arrives in order, each way by itself, after delays of its own; what
/// is on its way when it breaks arrives never.
#[derive(Debug, Default)]
pub(crate) struct Link {
    /// Which connection; frames of one before are not delivered.
    pub(crate) connection: u64,
    pub(crate) is_up: bool,
    last_to_node_us: u64,
    last_to_mount_us: u64,
}

impl Link {
    /// When a frame that is sent now to the node arrives.
    pub(crate) fn arrival_at_node_us(&mut self, now_us: u64, random: &mut Random) -> u64 {
        self.last_to_node_us = (now_us + delay_us(random)).max(self.last_to_node_us + 1);
        self.last_to_node_us
    }

    /// When a frame that is sent now to the mount arrives.
    pub(crate) fn arrival_at_mount_us(&mut self, now_us: u64, random: &mut Random) -> u64 {
        self.last_to_mount_us = (now_us + delay_us(random)).max(self.last_to_mount_us + 1);
        self.last_to_mount_us
    }

    /// How long until everything that is on its way to the mount has arrived.
    pub(crate) fn drained_us(&self, now_us: u64) -> u64 {
        (self.last_to_mount_us + 1).saturating_sub(now_us)
    }

    pub(crate) fn break_off(&mut self) {
        self.is_up = false;
        self.connection += 1;
    }
}

/// Mostly short, now and then long.
fn delay_us(random: &mut Random) -> u64 {
    match random.below(40) {
        0 => 1_000 + random.below(8_000),
        1..8 => 200 + random.below(1_500),
        _ => 20 + random.below(200),
    }
}
