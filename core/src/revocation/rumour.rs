//! Under which keys gossip carries what is known of revocations, in the ring and in cells.

/// A member's question for the time of all clocks: a random number.
pub const ASK: &str = "rev-ask";
/// A node's answers to all such questions.
pub const CLOCK: &str = "rev-clock";
/// Of which shards a node wants beacons.
pub const WANTS: &str = "rev-wants";
/// A beacon; a number follows.
pub const BEACON: &str = "rev-beacon-";
/// The newest records; a number follows.
pub const RECORDS: &str = "rev-records-";
/// A node's word that the cell is given up: its hosts are to ask for another.
pub const CLOSED: &str = "rev-closed";
