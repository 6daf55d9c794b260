use super::case::{Case, Way};
use super::{Cost, Distribution, Settings};

/// When access ended in one case, in milliseconds after the revocation was made; 0 where it had ended before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ended {
    /// Wherever it ended.
    pub all: Distribution,
    /// Where each way ended it, by [`Way::ALL`].
    pub by_way: [Distribution; 3],
    /// Where it had not ended after two and a half seconds.
    pub late: usize,
}

/// What came of a simulation.
#[derive(Debug, Clone)]
pub struct Report {
    /// What was simulated.
    pub settings: Settings,
    /// How many control nodes there were.
    pub nodes: usize,
    /// How many cells.
    pub cells: usize,
    /// By [`Case::ALL`].
    pub ended: [Ended; 4],
    /// How old the newest proof by beacons was with each agent when something was revoked, in milliseconds.
    pub beacons: Distribution,
    /// How many had none.
    pub without_beacons: usize,
    /// How many members of cells did not know all others at the first revocation.
    pub strangers: u64,
    /// What a member of a cell costs.
    pub cell: Cost,
    /// What a node costs as a member of the ring.
    pub ring: Cost,
}

impl Ended {
    pub(super) fn collect(ends: impl Iterator<Item = Option<(Way, u32)>>) -> Self {
        let (mut by_way, mut late) = ([const { Vec::new() }; 3], 0);
        for end in ends {
            match end {
                Some((way, after_ms)) => by_way[way as usize].push(after_ms),
                None => late += 1,
            }
        }
        let all = by_way.iter().flatten().copied().collect();
        Self { all, by_way: by_way.map(Distribution::from_iter), late }
    }

    /// The percentile of all, also of those where it had not ended in the time that was looked at: nothing if it is among them.
    pub fn percentile(&self, percent: u32) -> Option<u32> {
        let rank = ((self.all.len() + self.late) * percent as usize).div_ceil(100);
        if rank > self.all.len() { None } else { self.all.nth(rank) }
    }

    /// The latest; nothing if that was later than was looked.
    pub fn max(&self) -> Option<u32> {
        self.percentile(100)
    }
}

impl Report {
    /// What was found in a case.
    pub fn of(&self, case: Case) -> &Ended {
        &self.ended[case as usize]
    }

    /// A picture of the distributions, as a PNG.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn png(&self) -> anyhow::Result<Vec<u8>> {
        super::chart::png(self)
    }
}
