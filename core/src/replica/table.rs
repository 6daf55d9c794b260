use std::collections::BTreeMap;

use super::intervals::Intervals;

/// Rows of one kind that belong to one inode, as far as they are known: those that are there, and where it is known
/// that no others are.
#[derive(Debug, Clone)]
pub(super) struct Table<P, V> {
    /// `None`: known to be absent, outside of what is known as a whole.
    rows: BTreeMap<P, Option<V>>,
    known: Intervals<P>,
}

impl<P, V> Default for Table<P, V> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), known: Intervals::default() }
    }
}

impl<P: Ord + Clone, V> Table<P, V> {
    /// The row at a position; `None` when that is not known.
    pub(super) fn get(&self, position: &P) -> Option<Option<&V>> {
        match self.rows.get(position) {
            Some(row) => Some(row.as_ref()),
            None => self.known.end_of(position).map(|_| None),
        }
    }

    /// The first row from a position on.
    ///
    /// # Errors
    /// The position from which on nothing is known.
    pub(super) fn first_from(&self, position: &P) -> Result<Option<(&P, &V)>, P> {
        let next = self.rows.range(position..).find_map(|(position, row)| Some((position, row.as_ref()?)));
        let Some(end) = self.known.end_of(position) else {
            return match next {
                Some((at, row)) if at == position => Ok(Some((at, row))),
                _ => Err(position.clone()),
            };
        };
        match (next, end) {
            (Some((at, row)), Some(end)) if at < end => Ok(Some((at, row))),
            // Intervals that touch are one, so nothing is known of what begins here, but for a row that may stand here.
            (Some((at, row)), Some(end)) if at == end => Ok(Some((at, row))),
            (_, Some(end)) => Err(end.clone()),
            (next, None) => Ok(next),
        }
    }

    /// Where the last row at or before a position stands, if it is known that none stands between.
    pub(super) fn last_until(&self, position: &P) -> Option<&P> {
        let (start, _) = self.known.containing(position)?;
        self.rows.range(start..=position).rev().find_map(|(position, row)| row.as_ref().map(|_| position))
    }

    /// A change: the row is there, or is not any more.
    pub(super) fn put(&mut self, position: P, row: Option<V>) {
        if row.is_none() && self.known.end_of(&position).is_some() {
            self.rows.remove(&position);
        } else {
            self.rows.insert(position, row);
        }
    }

    /// A row as somebody else knows it. What is known here already is newer.
    pub(super) fn learn(&mut self, position: P, row: Option<V>) {
        if self.get(&position).is_none() {
            self.rows.insert(position, row);
        }
    }

    /// There are no rows in `[start, end)` but those that are known.
    pub(super) fn know(&mut self, start: P, end: Option<P>) {
        self.known.add(start, end);
    }

    /// The rows from a position on, to be replaced by others of the same meaning.
    pub(super) fn rows_from_mut(&mut self, position: &P) -> impl Iterator<Item = (&P, &mut V)> {
        self.rows.range_mut(position.clone()..).filter_map(|(position, row)| Some((position, row.as_mut()?)))
    }

    /// How many rows are held.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_never_taken_for_absent() {
        let mut table = Table::<u64, &str>::default();
        assert_eq!(table.get(&1), None);
        assert_eq!(table.first_from(&0), Err(0));
        table.put(5, Some("five"));
        assert_eq!(table.first_from(&0), Err(0), "there may be rows before it");
        assert_eq!(table.first_from(&5), Ok(Some((&5, &"five"))));
        table.know(0, Some(5));
        assert_eq!(table.first_from(&0), Ok(Some((&5, &"five"))));
        assert_eq!(table.first_from(&6), Err(6));
        table.know(5, Some(10));
        assert_eq!(table.first_from(&6), Err(10));
        table.know(10, None);
        assert_eq!(table.first_from(&6), Ok(None));
    }

    #[test]
    fn the_row_before_is_told_only_where_all_is_known() {
        let mut table = Table::<u64, &str>::default();
        table.put(5, Some("five"));
        table.put(9, Some("nine"));
        assert_eq!(table.last_until(&9), None);
        table.know(4, Some(20));
        assert_eq!((table.last_until(&8), table.last_until(&9), table.last_until(&19)), (Some(&5), Some(&9), Some(&9)));
        assert_eq!((table.last_until(&4), table.last_until(&20)), (None, None));
    }

    #[test]
    fn what_was_changed_here_is_newer_than_what_is_learnt() {
        let mut table = Table::<u64, &str>::default();
        table.put(1, Some("ours"));
        table.put(2, None);
        table.learn(1, Some("theirs"));
        table.learn(2, Some("theirs"));
        table.learn(3, Some("theirs"));
        table.know(0, None);
        table.learn(4, Some("theirs"));
        assert_eq!(
            (table.get(&1), table.get(&2), table.get(&3), table.get(&4)),
            (Some(Some(&"ours")), Some(None), Some(Some(&"theirs")), Some(None))
        );
        table.put(1, None);
        assert_eq!(table.len(), 2, "what is known as a whole needs no marks of absence");
        assert_eq!(table.first_from(&0), Ok(Some((&3, &"theirs"))));
    }
}
