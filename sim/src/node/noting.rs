use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Bound;

use artifacts_core::namespace::{Ino, Key, MemoryView, Missing, Record, View};

/// A view that notes whose records are looked at.
pub(crate) struct Noting<'a> {
    view: &'a MemoryView,
    noted: RefCell<BTreeSet<Ino>>,
}

impl<'a> Noting<'a> {
    pub(crate) fn new(view: &'a MemoryView) -> Self {
        Self { view, noted: RefCell::default() }
    }

    pub(crate) fn into_noted(self) -> BTreeSet<Ino> {
        self.noted.into_inner()
    }
}

impl View for Noting<'_> {
    fn get(&self, key: &Key) -> Result<Option<Record>, Missing> {
        self.noted.borrow_mut().extend(key.owner());
        self.view.get(key)
    }

    fn first_in(&self, from: Bound<&Key>, prefix: &[u8]) -> Result<Option<(Key, Record)>, Missing> {
        self.noted.borrow_mut().extend(Key::owner_of(prefix));
        self.view.first_in(from, prefix)
    }
}
