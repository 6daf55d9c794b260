use std::collections::BTreeMap;

/// Which positions of an ordered space are known about: half-open intervals that neither overlap nor touch.
#[derive(Debug, Clone)]
pub(super) struct Intervals<P> {
    /// By their first position; the end is excluded, `None` is the end of the space.
    by_start: BTreeMap<P, Option<P>>,
}

impl<P> Default for Intervals<P> {
    fn default() -> Self {
        Self { by_start: BTreeMap::new() }
    }
}

impl<P: Ord + Clone> Intervals<P> {
    /// The end of the interval in which a position lies; `None` if it lies in none.
    pub(super) fn end_of(&self, position: &P) -> Option<Option<&P>> {
        self.containing(position).map(|(_, end)| end)
    }

    /// The interval in which a position lies.
    pub(super) fn containing(&self, position: &P) -> Option<(&P, Option<&P>)> {
        let (start, end) = self.by_start.range(..=position).next_back()?;
        end.as_ref().is_none_or(|end| end > position).then_some((start, end.as_ref()))
    }

    /// Adds `[start, end)`.
    pub(super) fn add(&mut self, mut start: P, mut end: Option<P>) {
        if let Some((left, left_end)) = self.by_start.range(..=&start).next_back()
            && left_end.as_ref().is_none_or(|left_end| *left_end >= start)
        {
            end = later(end, left_end.clone());
            start = left.clone();
        }
        while let Some((next, next_end)) = self.by_start.range(&start..).next()
            && end.as_ref().is_none_or(|end| next <= end)
        {
            let (next, next_end) = (next.clone(), next_end.clone());
            self.by_start.remove(&next);
            end = later(end, next_end);
        }
        self.by_start.insert(start, end);
    }
}

/// The later of two ends.
fn later<P: Ord>(a: Option<P>, b: Option<P>) -> Option<P> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.max(b)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn touching_intervals_become_one() {
        let mut known = Intervals::default();
        known.add(10, Some(20));
        known.add(30, Some(40));
        assert_eq!((known.end_of(&10), known.end_of(&20), known.end_of(&39)), (Some(Some(&20)), None, Some(Some(&40))));
        known.add(20, Some(30));
        assert_eq!(known.end_of(&10), Some(Some(&40)));
        known.add(35, None);
        assert_eq!(known.end_of(&10), Some(None));
        assert_eq!((known.end_of(&9), known.by_start.len()), (None, 1));
    }

    proptest! {
        #[test]
        fn what_was_added_is_known_and_nothing_else(added in proptest::collection::vec((0u8..60, 1u8..9), 0..12)) {
            let mut known = Intervals::default();
            for &(start, len) in &added {
                known.add(start, Some(start + len));
            }
            for position in 0..70 {
                let expected = added.iter().any(|&(start, len)| (start..start + len).contains(&position));
                prop_assert_eq!(known.end_of(&position).is_some(), expected);
            }
        }
    }
}
