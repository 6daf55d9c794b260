use std::collections::BTreeSet;

use proptest::prelude::*;

use super::fixture::{life, name};
use crate::mesh::{ReplayWindow, Senders, SendersError};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Against a window that remembers everything: nothing counts twice, and nothing recent is refused.
    #[test]
    fn each_counter_counts_once(steps in proptest::collection::vec((any::<bool>(), 0u64..6_000), 1..400)) {
        let (mut window, mut seen, mut highest) = (ReplayWindow::default(), BTreeSet::new(), 0u64);
        for (forward, distance) in steps {
            let counter = if forward { highest + distance } else { highest.saturating_sub(distance) };
            let admitted = window.admit(counter);
            let new = seen.insert(counter);
            if admitted {
                prop_assert!(new, "{} counted twice", counter);
            } else if new {
                prop_assert!(highest - counter >= 4_000, "{} of {} was refused", counter, highest);
            }
            highest = highest.max(counter);
        }
    }
}

#[test]
fn counters_at_the_ends_do_not_overflow() {
    let mut window = ReplayWindow::default();
    assert!(window.admit(0));
    assert!(!window.admit(0));
    assert!(!window.admit(u64::MAX));
    assert!(window.admit(u64::MAX - 1));
    assert!(!window.admit(u64::MAX - 1));
    assert!(window.admit(u64::MAX - 2));
    assert!(!window.admit(1));
}

#[test]
fn a_later_life_replaces_an_earlier_one_for_good() {
    let mut senders = Senders::default();
    assert_eq!(senders.admit(&name("a"), life(1, 1), 7), Ok(()));
    assert_eq!(senders.admit(&name("a"), life(2, 2), 7), Ok(()));
    assert_eq!(senders.admit(&name("a"), life(1, 1), 8), Err(SendersError::Outdated));
    // A second one of the same generation does not push out the first.
    assert_eq!(senders.admit(&name("a"), life(2, 3), 9), Err(SendersError::Outdated));
    assert_eq!(senders.admit(&name("a"), life(2, 2), 7), Err(SendersError::Replayed));
    assert_eq!(senders.admit(&name("a"), life(2, 2), 8), Ok(()));
    assert_eq!(senders.len(), 1);
}
