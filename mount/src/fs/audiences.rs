use std::collections::HashMap;

use artifacts_core::namespace::Ino;
use parking_lot::Mutex;

use super::call::Asker;

/// Who may still be taking in what was said of a directory.
///
/// The kernel counts the changes of a file, and does not take in attributes for which it asked before the last one. When names are
/// made, removed or renamed in a directory it counts nothing: it only takes what it believes of the directory for old once the
/// change is answered. If another thread has asked for the attributes before, and comes to take the answer in behind that, the kernel
/// believes the old times and number of links for as long as the lease lasts. So
/// - what was found by a call that began before a change is not to be believed any more ([`Audiences::show`]);
/// - what had been said before may be on its way into the kernel in some thread. After a change the kernel is told to count it
///   ([`Audiences::changed`]), unless the thread that changes the directory is the only one that was told: it has taken
///   in what it asked for before.
#[derive(Debug, Default)]
pub(crate) struct Audiences {
    by_directory: Mutex<HashMap<Ino, Audience>>,
}

#[derive(Debug, Default)]
struct Audience {
    /// When the directory was changed last; calls that began before carry no later stamp.
    changed: Option<u64>,
    told: Told,
}

/// Who was told something to believe since the kernel last counted a change.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Told {
    #[default]
    Nobody,
    One(u32),
    Several,
}

impl Audiences {
    /// A directory's attributes, found by a call, are about to be shown. Answers whether they may be believed.
    pub(crate) fn show(&self, dir: Ino, asker: Asker) -> bool {
        let mut directories = self.by_directory.lock();
        let audience = directories.entry(dir).or_default();
        if audience.changed.is_some_and(|changed| asker.stamp <= changed) {
            return false;
        }
        audience.told = match (audience.told, asker.thread) {
            (Told::Nobody, Some(thread)) => Told::One(thread),
            (Told::One(told), Some(thread)) if told == thread => Told::One(told),
            _ => Told::Several,
        };
        true
    }

    /// A directory was changed by a call, `now`, and the call is about to be answered. Whether the kernel has to be told first.
    pub(crate) fn changed(&self, dir: Ino, now: u64, asker: Asker) -> bool {
        let mut directories = self.by_directory.lock();
        // Also of one of which nothing was said: what was found before may come to be shown only now.
        let audience = directories.entry(dir).or_default();
        audience.changed = Some(now);
        let must_tell = match audience.told {
            Told::Nobody => false,
            Told::One(told) => asker.thread != Some(told),
            Told::Several => true,
        };
        if must_tell {
            audience.told = Told::Nobody;
        }
        must_tell
    }

    /// The kernel has forgotten a directory.
    pub(crate) fn forgotten(&self, dir: Ino) {
        self.by_directory.lock().remove(&dir);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIR: Ino = Ino(7);

    fn asker(stamp: u64, thread: u32) -> Asker {
        Asker { stamp, thread: (thread > 0).then_some(thread) }
    }

    #[test]
    fn what_was_asked_before_a_change_is_not_believed() {
        let audiences = Audiences::default();
        assert!(audiences.show(DIR, asker(1, 5)));
        audiences.changed(DIR, 3, asker(2, 5));
        assert!(!audiences.show(DIR, asker(3, 6)));
        assert!(audiences.show(DIR, asker(4, 6)));
        audiences.changed(Ino(8), 3, asker(2, 5));
        assert!(!audiences.show(Ino(8), asker(3, 6)), "the first word of it is as old");
    }

    #[test]
    fn the_kernel_is_told_of_a_change_while_another_thread_may_take_in_what_was() {
        let audiences = Audiences::default();
        assert!(!audiences.changed(DIR, 0, asker(0, 5)), "nobody knows it");
        audiences.show(DIR, asker(1, 5));
        assert!(!audiences.changed(DIR, 1, asker(1, 5)));
        assert!(audiences.changed(DIR, 2, asker(1, 6)));
        assert!(!audiences.changed(DIR, 3, asker(1, 6)), "told already");
        audiences.show(DIR, asker(4, 5));
        audiences.show(DIR, asker(4, 6));
        assert!(audiences.changed(DIR, 5, asker(5, 6)));
        audiences.show(DIR, asker(6, 0));
        assert!(audiences.changed(DIR, 7, asker(7, 0)), "threads of another namespace are not known");
    }
}
