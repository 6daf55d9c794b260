/// Numbers, as a distribution.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Distribution {
    sorted: Vec<u32>,
}

impl FromIterator<u32> for Distribution {
    fn from_iter<T: IntoIterator<Item = u32>>(numbers: T) -> Self {
        let mut sorted: Vec<u32> = numbers.into_iter().collect();
        sorted.sort_unstable();
        Self { sorted }
    }
}

impl Distribution {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// The smallest number that so many of a hundred do not exceed (nearest rank); nothing if there are no numbers.
    pub fn percentile(&self, percent: u32) -> Option<u32> {
        self.nth((self.sorted.len() * percent as usize).div_ceil(100))
    }

    /// The number of this rank; the first is the smallest.
    pub(super) fn nth(&self, rank: usize) -> Option<u32> {
        self.sorted.get(rank.saturating_sub(1)).copied()
    }

    /// The greatest.
    pub fn max(&self) -> Option<u32> {
        self.sorted.last().copied()
    }

    /// How many do not exceed a limit.
    pub fn within(&self, limit: u32) -> usize {
        self.sorted.partition_point(|number| *number <= limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_numbers_of_the_distribution() {
        let hundred: Distribution = (1..=100).rev().collect();
        assert_eq!([50, 99, 100].map(|percent| hundred.percentile(percent)), [Some(50), Some(99), Some(100)]);
        assert_eq!((hundred.max(), hundred.len(), hundred.within(30)), (Some(100), 100, 30));
        assert_eq!(Distribution::from_iter([7]).percentile(1), Some(7));
        assert_eq!(Distribution::default().percentile(50), None);
    }
}
