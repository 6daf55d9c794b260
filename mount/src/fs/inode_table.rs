use std::collections::HashMap;
use std::path::PathBuf;

use artifacts_core::namespace::{Attr, FileKind, Ino, Name, Nanos};
use parking_lot::Mutex;

use super::access_times::{AccessTimes, Times};

/// For so many inodes the place in the tree is remembered, to name a file to people.
const PLACES_MAX: usize = 64 << 10;

/// What the kernel knows of each inode until it forgets it.
///
/// The kernel drops a file's cached pages by itself when it is shown another length or mtime than before. That
/// misses two cases, in which this table has them dropped ([`InodeTable::observe`]):
/// - somebody wrote and then set the mtime back: the ctime tells;
/// - the reply to a setattr shows new attributes without a comparison, so a write by another mount before it would
///   go unseen. Its pages are dropped behind the reply, and before the next attributes if these come sooner
///   ([`InodeTable::observe_set`]).
///
/// Whatever the kernel asked before pages are dropped it takes for older than that, and does not believe the answer; so they
/// are dropped as soon as may be, and not only when it asks.
#[derive(Debug, Default)]
pub(crate) struct InodeTable {
    /// Which times of last access are on their way to the node.
    pub(super) access_times: AccessTimes,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    known: HashMap<Ino, Known>,
    places: usize,
}

#[derive(Debug, Default)]
struct Known {
    /// How often the kernel was shown it, less how often it has forgotten it.
    lookups: u64,
    handles: u32,
    /// Whether pages of it may be cached.
    has_pages: bool,
    /// The lease under which all its pages were dropped last, if there was one.
    dropped_under: Option<u64>,
    is_dir: bool,
    /// Whether the pages may be older than the attributes that the kernel was shown.
    is_suspect: bool,
    shown: Shown,
    /// As the kernel was last shown them.
    times: Times,
    place: Option<Box<(Ino, Name)>>,
}

/// The attributes by which the kernel judges its pages, and the one by which this table does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Shown {
    size: u64,
    mtime: Nanos,
    ctime: Nanos,
}

impl From<&Attr> for Shown {
    fn from(attr: &Attr) -> Self {
        Self { size: attr.size, mtime: attr.mtime, ctime: attr.ctime }
    }
}

impl InodeTable {
    /// The kernel is about to be shown an inode as an entry of a directory.
    pub(super) fn entered(&self, attr: &Attr, parent: Ino, name: &Name) {
        let mut inner = self.inner.lock();
        let Inner { known, places } = &mut *inner;
        let known = known.entry(attr.ino).or_default();
        if known.lookups == 0 {
            known.shown = attr.into();
        }
        known.times = attr.into();
        known.lookups += 1;
        known.is_dir = attr.kind == FileKind::Directory;
        match &mut known.place {
            Some(place) if place.0 == parent && place.1 == *name => {}
            Some(place) => **place = (parent, name.clone()),
            None if *places < PLACES_MAX => {
                *places += 1;
                known.place = Some(Box::new((parent, name.clone())));
            }
            None => {}
        }
    }

    /// The kernel has forgotten what it was shown so often. Answers whether it has forgotten the inode, and with it its pages.
    pub(super) fn forgotten(&self, ino: Ino, lookups: u64) -> bool {
        let mut inner = self.inner.lock();
        let Some(known) = inner.known.get_mut(&ino) else { return true };
        known.lookups = known.lookups.saturating_sub(lookups);
        let is_gone = known.lookups == 0;
        if known.lookups == 0
            && let Some(known) = inner.known.remove(&ino)
        {
            inner.places -= usize::from(known.place.is_some());
        }
        is_gone
    }

    /// A program has opened a file.
    pub(super) fn opened(&self, ino: Ino) {
        if let Some(known) = self.inner.lock().known.get_mut(&ino) {
            known.handles += 1;
            known.has_pages = true;
        }
    }

    /// A program has closed a file.
    pub(super) fn released(&self, ino: Ino) {
        if let Some(known) = self.inner.lock().known.get_mut(&ino) {
            known.handles = known.handles.saturating_sub(1);
        }
    }

    /// Whether no page of a file is cached that is older than what this mount was told of it: there are none, or all were
    /// dropped under the lease that this mount holds, and nobody else has changed the file since.
    pub(super) fn has_fresh_pages(&self, ino: Ino, lease: Option<u64>) -> bool {
        self.inner.lock().known.get(&ino).is_none_or(|known| !known.has_pages || (lease.is_some() && known.dropped_under == lease))
    }

    /// The pages of a file have been dropped under this lease, or under none.
    pub(super) fn pages_dropped(&self, ino: Ino, lease: Option<u64>) {
        if let Some(known) = self.inner.lock().known.get_mut(&ino) {
            known.dropped_under = lease;
        }
    }

    /// The kernel is about to be shown these attributes. Answers whether the file's pages must be dropped first.
    pub(super) fn observe(&self, attr: &Attr) -> bool {
        let mut inner = self.inner.lock();
        let Some(known) = inner.known.get_mut(&attr.ino) else { return false };
        known.times = attr.into();
        if attr.kind != FileKind::File {
            return false;
        }
        let before = std::mem::replace(&mut known.shown, attr.into());
        let kernel_sees_no_change = before.size == attr.size && before.mtime == attr.mtime;
        let hidden = std::mem::take(&mut known.is_suspect) || (kernel_sees_no_change && before.ctime != attr.ctime);
        known.has_pages && hidden
    }

    /// The kernel is about to be shown these attributes as the outcome of a setattr. Answers whether the file's pages must be
    /// dropped behind that.
    pub(super) fn observe_set(&self, attr: &Attr) -> bool {
        let mut inner = self.inner.lock();
        let Some(known) = inner.known.get_mut(&attr.ino) else { return false };
        known.shown = attr.into();
        known.times = attr.into();
        known.is_suspect = known.has_pages;
        known.is_suspect
    }

    /// The pages that these attributes, the outcome of a setattr, made suspect are dropped.
    pub(super) fn dropped(&self, attr: &Attr) {
        if let Some(known) = self.inner.lock().known.get_mut(&attr.ino)
            && known.shown == attr.into()
        {
            known.is_suspect = false;
        }
    }

    /// The times that the kernel was last shown of an inode, unless it does not know it.
    pub(super) fn times(&self, ino: Ino) -> Option<Times> {
        self.inner.lock().known.get(&ino).map(|known| known.times)
    }

    /// An inode has a new time of last access.
    pub(super) fn accessed(&self, ino: Ino, atime: Nanos) {
        if let Some(known) = self.inner.lock().known.get_mut(&ino) {
            known.times.atime = atime;
        }
    }

    /// Whether pages of an inode may be cached, if the kernel knows it.
    pub(crate) fn get(&self, ino: Ino) -> Option<bool> {
        self.inner.lock().known.get(&ino).map(|known| known.has_pages)
    }

    /// All inodes that the kernel knows, and whether pages of them may be cached: those first that are open, then
    /// directories, which programs may stand in.
    pub(crate) fn all(&self) -> Vec<(Ino, bool)> {
        let inner = self.inner.lock();
        let mut all: Vec<_> = inner.known.iter().map(|(&ino, known)| (known.handles == 0, !known.is_dir, ino, known.has_pages)).collect();
        all.sort_unstable();
        all.into_iter().map(|(_, _, ino, has_pages)| (ino, has_pages)).collect()
    }

    /// Where a file is, from `root` downwards, as far as that is remembered.
    pub(crate) fn path_of(&self, ino: Ino, root: Ino) -> PathBuf {
        use std::os::unix::ffi::OsStrExt as _;
        let inner = self.inner.lock();
        let mut names = Vec::new();
        let mut at = ino;
        // A tree this deep is no tree; places of several moments may form a circle.
        while at != root && names.len() < 4096 {
            match inner.known.get(&at).and_then(|known| known.place.as_deref()) {
                Some((parent, name)) => {
                    names.push(std::ffi::OsStr::from_bytes(name.as_bytes()).to_owned());
                    at = *parent;
                }
                None => {
                    names.push(format!("(inode {})", at.0).into());
                    break;
                }
            }
        }
        if names.is_empty() { PathBuf::from(".") } else { names.iter().rev().collect() }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn attr(ino: u64, mtime: Nanos, ctime: Nanos) -> Attr {
        Attr {
            ino: Ino(ino),
            kind: FileKind::File,
            mode: 0o644,
            uid: 0,
            gid: 0,
            nlink: 1,
            size: 10,
            allocated_bytes: 10,
            rdev: 0,
            atime: 0,
            mtime,
            ctime,
        }
    }

    fn name(text: &'static str) -> Name {
        Name::new(text.as_bytes()).unwrap()
    }

    fn table() -> InodeTable {
        let table = InodeTable::default();
        table.entered(&attr(5, 100, 100), Ino(2), &name("f"));
        table.opened(Ino(5));
        table
    }

    #[test]
    fn pages_are_fresh_under_the_lease_under_which_they_were_dropped() {
        let table = table();
        assert!(!table.has_fresh_pages(Ino(5), None) && !table.has_fresh_pages(Ino(5), Some(1)));
        table.pages_dropped(Ino(5), Some(1));
        assert!(table.has_fresh_pages(Ino(5), Some(1)) && !table.has_fresh_pages(Ino(5), Some(2)) && !table.has_fresh_pages(Ino(5), None));
        table.pages_dropped(Ino(5), None);
        assert!(!table.has_fresh_pages(Ino(5), None), "others may have written since");
        assert!(table.has_fresh_pages(Ino(6), None), "it has no pages");
    }

    #[test]
    fn a_change_the_kernel_sees_is_left_to_it() {
        let table = table();
        assert!(!table.observe(&attr(5, 100, 100)));
        assert!(!table.observe(&attr(5, 200, 200)));
    }

    #[test]
    fn a_write_whose_mtime_was_set_back_drops_the_pages() {
        let table = table();
        assert!(table.observe(&attr(5, 100, 300)));
        assert!(!table.observe(&attr(5, 100, 300)), "once");
    }

    #[test]
    fn a_setattr_makes_the_pages_suspect_until_the_next_look() {
        let table = table();
        assert!(table.observe_set(&attr(5, 700, 300)));
        assert!(table.observe(&attr(5, 700, 300)));
        assert!(!table.observe(&attr(5, 700, 300)));
    }

    #[test]
    fn a_setattr_whose_pages_are_dropped_is_forgotten_unless_another_came_behind_it() {
        let table = table();
        table.observe_set(&attr(5, 700, 300));
        table.dropped(&attr(5, 700, 300));
        assert!(!table.observe(&attr(5, 700, 300)));
        table.observe_set(&attr(5, 700, 400));
        table.observe_set(&attr(5, 700, 500));
        table.dropped(&attr(5, 700, 400));
        assert!(table.observe(&attr(5, 700, 500)));
    }

    #[test]
    fn files_that_were_never_opened_have_no_pages() {
        let table = InodeTable::default();
        table.entered(&attr(5, 100, 100), Ino(2), &name("f"));
        assert!(!table.observe(&attr(5, 100, 300)));
        assert_eq!(table.all(), [(Ino(5), false)]);
    }

    #[test]
    fn pages_outlive_handles_and_end_when_the_kernel_forgets_all_it_was_shown() {
        let table = table();
        table.entered(&attr(5, 100, 100), Ino(2), &name("f"));
        table.entered(&attr(6, 100, 100), Ino(2), &name("g"));
        table.opened(Ino(6));
        table.released(Ino(5));
        assert_eq!(table.all(), [(Ino(6), true), (Ino(5), true)], "open files first");
        table.forgotten(Ino(5), 1);
        assert_eq!(table.all().len(), 2, "shown twice, forgotten once: a newer reply is on its way");
        table.forgotten(Ino(5), 1);
        assert_eq!(table.all(), [(Ino(6), true)]);
    }

    #[test]
    fn paths_are_told_as_far_as_they_are_known() {
        let table = table();
        table.entered(&attr(2, 0, 0), Ino(1), &name("dir"));
        assert_eq!(table.path_of(Ino(5), Ino(1)), PathBuf::from("dir/f"));
        assert_eq!(table.path_of(Ino(1), Ino(1)), PathBuf::from("."));
        assert_eq!(table.path_of(Ino(9), Ino(1)), PathBuf::from("(inode 9)"));
        table.entered(&attr(1, 0, 0), Ino(2), &name("loop"));
        assert!(table.path_of(Ino(5), Ino(77)).components().count() <= 4096);
    }
}
