//! A view that knows nothing until it is told, and then as little as it may.

use std::collections::BTreeSet;
use std::ops::Bound;

use super::super::{Errno, Key, MemoryView, Missing, Record, Stop, View, encoded_start};

/// Answers only what was fetched: single records, and of a range no more than its first record.
pub(in super::super) struct LazyView<'v> {
    whole: &'v MemoryView,
    keys: BTreeSet<Vec<u8>>,
    stretches: Vec<Stretch>,
}

/// Nothing lies from `start` to `first` (or to the end of the prefix, if there is no first).
struct Stretch {
    start: Vec<u8>,
    prefix: Vec<u8>,
    first: Option<Vec<u8>>,
}

impl Stretch {
    fn answers(&self, start: &[u8], prefix: &[u8]) -> bool {
        self.prefix == prefix && *self.start <= *start && self.first.as_deref().is_none_or(|first| start <= first)
    }
}

impl<'v> LazyView<'v> {
    fn new(whole: &'v MemoryView) -> Self {
        Self { whole, keys: BTreeSet::new(), stretches: Vec::new() }
    }

    /// Asks, fetches what is missing and asks again until there is an answer.
    pub(in super::super) fn ask<T>(whole: &'v MemoryView, question: impl Fn(&Self) -> Result<T, Stop>) -> Result<T, Errno> {
        let mut view = Self::new(whole);
        loop {
            match question(&view) {
                Ok(answer) => return Ok(answer),
                Err(Stop::Refused(errno)) => return Err(errno),
                Err(Stop::Missing(missing)) => view.fetch(missing),
            }
        }
    }

    fn fetch(&mut self, missing: Missing) {
        match missing {
            Missing::Key(key) => assert!(self.keys.insert(key.encode()), "{key:?} had been fetched"),
            Missing::From { start, prefix } => {
                let mut within = self.whole.records().map(|(key, _)| key.encode()).filter(|key| key.starts_with(&prefix));
                let first = within.find(|key| *key >= start);
                self.stretches.push(Stretch { start, prefix, first });
            }
        }
    }
}

impl View for LazyView<'_> {
    fn get(&self, key: &Key) -> Result<Option<Record>, Missing> {
        if self.keys.contains(&key.encode()) { self.whole.get(key) } else { Err(Missing::Key(key.clone())) }
    }

    fn first_in(&self, from: Bound<&Key>, prefix: &[u8]) -> Result<Option<(Key, Record)>, Missing> {
        let start = encoded_start(from);
        if self.stretches.iter().any(|stretch| stretch.answers(&start, prefix)) {
            self.whole.first_in(from, prefix)
        } else {
            Err(Missing::From { start, prefix: prefix.to_vec() })
        }
    }
}
