use std::collections::BTreeSet;
use std::ops::Bound;

use super::{Ino, Key, Missing, Record, View};

/// Whether `ino` is `root` or lies below it, by at least one of its links. An inode that does not exist does not.
///
/// A session whose grant is confined to a subpath may name only such inodes. A directory that is renamed out of
/// the subtree is out of reach from that moment on. An orphan lies where its last link stood.
///
/// It climbs from `ino` towards the top and looks at each directory once, so it ends however deep or broken the
/// tree is.
///
/// # Errors
/// [`Missing`] as for any reading of the view.
pub fn within(view: &impl View, ino: Ino, root: Ino) -> Result<bool, Missing> {
    let mut seen = BTreeSet::new();
    let mut pending = vec![ino];
    while let Some(ino) = pending.pop() {
        if !seen.insert(ino) {
            continue;
        }
        let Some(Record::Inode(inode)) = view.get(&Key::Inode(ino))? else { continue };
        if ino == root {
            return Ok(true);
        }
        if inode.is_dir() || inode.attr.nlink < 2 {
            pending.push(inode.parent);
            continue;
        }
        let prefix = Key::parents_of(ino);
        let mut from = Key::Parent(ino, Ino(0));
        let mut bound = Bound::Included(&from);
        while let Some((key, _)) = view.first_in(bound, &prefix)? {
            if let Key::Parent(_, dir) = key {
                pending.push(dir);
            }
            from = key;
            bound = Bound::Excluded(&from);
        }
    }
    Ok(false)
}
