use std::collections::BTreeMap;
use std::ops::Bound;

use super::apply::Stop;
use super::{Errno, Ino, Inode, Key, Missing, Record, Usage, View};

/// Records to put (`Some`) and to delete (`None`), at most one for a key.
pub type Changes = BTreeMap<Key, Option<Record>>;

/// The changes of one op, in the making, over the view it began on. Dropped without a trace when the op fails.
pub(super) struct Transaction<'v, V> {
    view: &'v V,
    pub(super) changes: Changes,
}

impl<'v, V: View> Transaction<'v, V> {
    pub(super) fn new(view: &'v V) -> Self {
        Self { view, changes: Changes::new() }
    }

    pub(super) fn put(&mut self, key: Key, record: Record) {
        self.changes.insert(key, Some(record));
    }

    pub(super) fn delete(&mut self, key: Key) {
        self.changes.insert(key, None);
    }

    /// The inode, which an op names: its absence is the caller's mistake.
    pub(super) fn inode(&self, ino: Ino) -> Result<Inode, Stop> {
        match self.get(&Key::Inode(ino))? {
            Some(Record::Inode(inode)) => Ok(inode),
            _ => Err(Errno::ENOENT.into()),
        }
    }

    /// The directory, alive: one that was removed while open takes no new entries.
    pub(super) fn dir(&self, ino: Ino) -> Result<Inode, Stop> {
        let inode = self.inode(ino)?;
        if !inode.is_dir() {
            return Err(Errno::ENOTDIR.into());
        }
        if inode.attr.nlink == 0 {
            return Err(Errno::ENOENT.into());
        }
        Ok(inode)
    }

    pub(super) fn put_inode(&mut self, inode: Inode) {
        self.put(Key::Inode(inode.attr.ino), Record::Inode(inode));
    }

    pub(super) fn usage(&self) -> Result<Usage, Stop> {
        match self.get(&Key::Usage)? {
            Some(Record::Usage(usage)) => Ok(usage),
            _ => Ok(Usage::default()),
        }
    }
}

impl<V: View> View for Transaction<'_, V> {
    fn get(&self, key: &Key) -> Result<Option<Record>, Missing> {
        match self.changes.get(key) {
            Some(changed) => Ok(changed.clone()),
            None => self.view.get(key),
        }
    }

    fn first_in(&self, from: Bound<&Key>, prefix: &[u8]) -> Result<Option<(Key, Record)>, Missing> {
        let own = self.changes.range::<Key, _>((from, Bound::Unbounded)).find(|(_, record)| record.is_some());
        let own = own.filter(|(key, _)| key.encode().starts_with(prefix));
        let mut below = self.view.first_in(from, prefix)?;
        // What this op has deleted or replaced below is not there any more.
        while let Some((key, _)) = below.as_ref().filter(|(key, _)| self.changes.contains_key(key)) {
            below = self.view.first_in(Bound::Excluded(key), prefix)?;
        }
        Ok(match (own, below) {
            (Some((own_key, Some(own_record))), Some((key, _))) if *own_key < key => Some((own_key.clone(), own_record.clone())),
            (Some((own_key, Some(own_record))), None) => Some((own_key.clone(), own_record.clone())),
            (_, below) => below,
        })
    }
}
