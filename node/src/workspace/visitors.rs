use std::collections::BTreeMap;

use artifacts_core::namespace::Ino;

/// How many visitors read a file at the moment. To the table of open files they are one.
#[derive(Debug, Default)]
pub(super) struct Visitors(BTreeMap<Ino, usize>);

impl Visitors {
    /// One more.
    pub(super) fn enter(&mut self, ino: Ino) {
        *self.0.entry(ino).or_default() += 1;
    }

    /// One less. Whether it was the last.
    pub(super) fn leave(&mut self, ino: Ino) -> bool {
        let Some(count) = self.0.get_mut(&ino) else { return false };
        *count -= 1;
        let is_last = *count == 0;
        if is_last {
            self.0.remove(&ino);
        }
        is_last
    }
}
