use std::ops::Bound;

use bytes::Bytes;
use proptest::prelude::*;

use super::super::transaction::Transaction;
use super::super::{Changes, Ino, Key, MemoryView, Record, View};

fn any_key() -> impl Strategy<Value = Key> {
    (5..8u64, 0..6u64).prop_map(|(ino, dir)| Key::Parent(Ino(ino), Ino(dir)))
}

fn any_changes() -> impl Strategy<Value = Changes> {
    proptest::collection::btree_map(any_key(), proptest::option::of((0..9u32).prop_map(Record::Parent)), 0..12)
}

proptest! {
    /// What an op has put, replaced or deleted so far is what it finds when it looks again.
    #[test]
    fn a_transaction_reads_its_own_changes(before in any_changes(), changes in any_changes(), from in any_key()) {
        let mut view = MemoryView::default();
        view.absorb(&before);
        let mut tx = Transaction::new(&view);
        tx.changes = changes.clone();
        let mut after = view.clone();
        after.absorb(&changes);
        prop_assert_eq!(tx.get(&from), after.get(&from));
        let Key::Parent(ino, _) = &from else { unreachable!("all keys are of one kind") };
        for bound in [Bound::Included(&from), Bound::Excluded(&from)] {
            let prefix = Key::parents_of(*ino);
            prop_assert_eq!(tx.first_in(bound, &prefix), after.first_in(bound, &prefix));
        }
        let none = Key::Xattr(*ino, Bytes::new());
        prop_assert_eq!(tx.first_in(Bound::Included(&none), &Key::xattrs_of(*ino)), Ok(None));
    }
}
