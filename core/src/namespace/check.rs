//! What is always true of a namespace between two ops (see [the module](super)), checked over all of its records.
//!
//! A [`Check`] is fed every record once, in the order of their keys, and at the end names what is wrong. It holds
//! the inodes and sums, never data. [`check_invariants`] does that with a view; a shell that reads a store page by
//! page feeds its own.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use bytes::Bytes;

use super::acl::{Acl, is_acl_name};
use super::xattr::bytes_of;
use super::{
    ACL_ACCESS, ACL_DEFAULT, Extent, FILE_MAX_BYTES, FileKind, Ino, Inode, Key, Missing, Record, SYMLINK_MAX_BYTES, SegmentRecord, Source,
    Usage, View,
};
use crate::SegmentId;

/// Checks everything that a view holds; each text is one thing that is wrong.
///
/// # Errors
/// [`Missing`] if the view lacks a record: then nothing can be said yet.
pub fn check_invariants(view: &impl View) -> Result<Vec<String>, Missing> {
    let mut check = Check::default();
    let mut next = view.first_in(Bound::Unbounded, &[])?;
    while let Some((key, record)) = next {
        check.see(&key, &record);
        next = view.first_in(Bound::Excluded(&key), &[])?;
    }
    Ok(check.findings())
}

/// A check under way.
#[derive(Debug, Default)]
pub struct Check {
    inodes: BTreeMap<Ino, Inode>,
    /// By inode: how many dentries name it, by the directory they stand in.
    named_in: BTreeMap<Ino, BTreeMap<Ino, u32>>,
    /// By directory: what its dentries name.
    entries: BTreeMap<Ino, Entries>,
    extents: BTreeMap<Ino, Extents>,
    /// By inode: how many extended attributes it has.
    xattrs: BTreeMap<Ino, u32>,
    /// The bytes of all extended attributes.
    xattr_bytes: u64,
    parents: BTreeMap<Ino, BTreeMap<Ino, u32>>,
    orphans: BTreeSet<Ino>,
    segments: BTreeMap<SegmentId, SegmentRecord>,
    /// By segment: what extents use of it.
    used: BTreeMap<SegmentId, Used>,
    usage: Option<Usage>,
    findings: Vec<String>,
}

#[derive(Debug, Default)]
struct Entries {
    count: u64,
    directories: Vec<Ino>,
}

#[derive(Debug, Default)]
struct Extents {
    bytes: u64,
    end: u64,
}

#[derive(Debug, Default)]
struct Used {
    bytes: u64,
    end: u64,
}

impl Check {
    /// Takes in the next record.
    pub fn see(&mut self, key: &Key, record: &Record) {
        match (key, record) {
            (Key::Inode(ino), Record::Inode(inode)) => self.see_inode(*ino, inode),
            (Key::Dentry(dir, _), Record::Dentry(ino, kind)) => self.see_dentry(*dir, *ino, *kind),
            (Key::Extent(ino, at), Record::Extent(extent)) => self.see_extent(*ino, *at, extent),
            (Key::Xattr(ino, name), Record::Xattr(value)) => self.see_xattr(*ino, name, value),
            (Key::Parent(ino, dir), Record::Parent(count)) => {
                self.parents.entry(*ino).or_default().insert(*dir, *count);
            }
            (Key::Orphan(ino), Record::Orphan) => {
                self.orphans.insert(*ino);
            }
            (Key::Segment(id), Record::Segment(segment)) => {
                self.segments.insert(*id, *segment);
            }
            (Key::Usage, Record::Usage(usage)) => self.usage = Some(*usage),
            (key, _) => self.find(format!("{key:?}: holds a record of another kind")),
        }
    }

    /// Everything that is wrong; call it once all records were seen.
    pub fn findings(mut self) -> Vec<String> {
        let inodes = std::mem::take(&mut self.inodes);
        for (&ino, inode) in &inodes {
            self.check_links(ino, inode);
            self.check_parent_counts(ino, inode);
            let bytes = self.extents.get(&ino).map_or(0, |extents| extents.bytes);
            self.equal(ino, "allocated bytes", inode.attr.allocated_bytes, bytes);
            let xattrs = self.xattrs.get(&ino).copied().unwrap_or_default();
            self.equal(ino, "extended attributes", inode.xattrs, xattrs);
        }
        self.check_orphans(&inodes);
        self.check_absent(&inodes);
        self.check_reachable(&inodes);
        self.check_segments();
        let in_extents: u64 = self.extents.values().map(|extents| extents.bytes).sum();
        let in_targets: u64 = inodes.values().map(|inode| inode.target.len() as u64).sum();
        let bytes = in_extents + in_targets + self.xattr_bytes;
        let counted = Usage { bytes, inodes: inodes.len() as u64 };
        if self.usage != Some(counted) {
            self.find(format!("usage: recorded {:?}, counted {counted:?}", self.usage));
        }
        self.findings
    }

    fn find(&mut self, finding: String) {
        self.findings.push(finding);
    }

    fn equal<T: PartialEq + std::fmt::Debug>(&mut self, ino: Ino, what: &str, recorded: T, counted: T) {
        if recorded != counted {
            self.find(format!("{ino:?}: {what}: recorded {recorded:?}, counted {counted:?}"));
        }
    }

    fn see_inode(&mut self, ino: Ino, inode: &Inode) {
        let attr = &inode.attr;
        self.equal(ino, "number", attr.ino, ino);
        if attr.mode > 0o7777 {
            self.find(format!("{ino:?}: mode {:o} has bits of other things than permissions", attr.mode));
        }
        match attr.kind {
            FileKind::Symlink if inode.target.is_empty() || inode.target.len() > SYMLINK_MAX_BYTES => {
                self.find(format!("{ino:?}: a symbolic link to {} bytes", inode.target.len()));
            }
            FileKind::Symlink => {}
            _ if !inode.target.is_empty() => self.find(format!("{ino:?}: has a target but is no symbolic link")),
            _ => {}
        }
        match attr.kind {
            FileKind::Directory => {}
            FileKind::File if attr.size <= FILE_MAX_BYTES => {}
            FileKind::File => self.find(format!("{ino:?}: longer than a file may be")),
            _ => self.equal(ino, "size", attr.size, inode.target.len() as u64),
        }
        self.inodes.insert(ino, inode.clone());
    }

    fn see_dentry(&mut self, dir: Ino, ino: Ino, kind: FileKind) {
        *self.named_in.entry(ino).or_default().entry(dir).or_default() += 1;
        let entries = self.entries.entry(dir).or_default();
        entries.count += 1;
        if kind == FileKind::Directory {
            entries.directories.push(ino);
        }
        match self.inodes.get(&dir) {
            Some(holder) if holder.is_dir() => {}
            Some(_) => self.find(format!("{dir:?}: has an entry but is no directory")),
            None => self.find(format!("{dir:?}: has an entry but does not exist")),
        }
        match self.inodes.get(&ino) {
            Some(named) => self.equal(ino, "kind in a dentry", kind, named.attr.kind),
            None => self.find(format!("{dir:?}: an entry names {ino:?}, which does not exist")),
        }
    }

    fn see_extent(&mut self, ino: Ino, at: u64, extent: &Extent) {
        let extents = self.extents.entry(ino).or_default();
        let overlaps = at < extents.end;
        let end = at.saturating_add(u64::from(extent.len));
        extents.end = end;
        extents.bytes += u64::from(extent.len);
        if overlaps {
            self.find(format!("{ino:?}: the extent at {at} overlaps the one before it"));
        }
        if !extent.is_sound() {
            self.find(format!("{ino:?}: the extent at {at} is unsound"));
        }
        match self.inodes.get(&ino) {
            Some(inode) if inode.attr.kind != FileKind::File => self.find(format!("{ino:?}: has an extent but is no file")),
            Some(inode) if end > inode.attr.size => self.find(format!("{ino:?}: the extent at {at} lies past the size")),
            Some(_) => {}
            None => self.find(format!("{ino:?}: has an extent but does not exist")),
        }
        if let Source::Block { segment, block_offset, block_len, .. } = extent.source {
            let used = self.used.entry(segment).or_default();
            used.bytes += u64::from(extent.len);
            used.end = used.end.max(u64::from(block_offset) + u64::from(block_len));
        }
    }

    fn see_xattr(&mut self, ino: Ino, name: &Bytes, value: &[u8]) {
        *self.xattrs.entry(ino).or_default() += 1;
        self.xattr_bytes += bytes_of(name, value);
        let Some(attr) = self.inodes.get(&ino).map(|inode| inode.attr.clone()) else {
            return self.find(format!("{ino:?}: has an extended attribute but does not exist"));
        };
        if !is_acl_name(name) {
            return;
        }
        match Acl::parse(value) {
            Ok(Some(_)) if *name == ACL_DEFAULT && attr.kind == FileKind::Directory => {}
            Ok(Some(acl)) if *name == ACL_ACCESS && !acl.is_mode() && attr.kind != FileKind::Symlink => {
                self.equal(ino, "mode in the access control list", acl.mode(), attr.mode & 0o777);
            }
            found => self.find(format!("{ino:?}: has the access control list {found:?}")),
        }
    }

    /// Link count, size of directories, the parent, and whether it is an orphan.
    fn check_links(&mut self, ino: Ino, inode: &Inode) {
        let named_in = self.named_in.get(&ino).cloned().unwrap_or_default();
        let names: u32 = named_in.values().sum();
        let alive = names > 0 || ino == Ino::ROOT;
        if inode.is_dir() {
            if names > 1 || (ino == Ino::ROOT && names > 0) {
                self.find(format!("{ino:?}: a directory that {names} dentries name"));
            }
            let (count, directories) = self.entries.get(&ino).map_or((0, 0), |entries| (entries.count, entries.directories.len()));
            self.equal(ino, "entries", inode.attr.size, count);
            self.equal(ino, "links", inode.attr.nlink, if alive { 2 + directories as u32 } else { 0 });
        } else {
            self.equal(ino, "links", inode.attr.nlink, names);
        }
        if self.orphans.contains(&ino) != (inode.attr.nlink == 0) {
            self.find(format!("{ino:?}: has {} links, recorded as an orphan: {}", inode.attr.nlink, self.orphans.contains(&ino)));
        }
        if ino == Ino::ROOT {
            self.equal(ino, "parent", inode.parent, Ino::ROOT);
        } else if names == 1 {
            self.equal(ino, "parent", Some(&inode.parent), named_in.keys().next());
        }
    }

    /// The directories of a file with several links.
    fn check_parent_counts(&mut self, ino: Ino, inode: &Inode) {
        let recorded = self.parents.remove(&ino).unwrap_or_default();
        let counted = self.named_in.get(&ino).cloned().unwrap_or_default();
        let several = !inode.is_dir() && counted.values().sum::<u32>() > 1;
        self.equal(ino, "parent counts", recorded, if several { counted } else { BTreeMap::new() });
    }

    /// Where orphans stood, and that what they stood in is kept.
    fn check_orphans(&mut self, inodes: &BTreeMap<Ino, Inode>) {
        let mut counted: BTreeMap<Ino, u32> = BTreeMap::new();
        for inode in self.orphans.iter().filter_map(|ino| inodes.get(ino)) {
            *counted.entry(inode.parent).or_default() += 1;
        }
        for (&ino, inode) in inodes {
            self.equal(ino, "orphans that stood in it", inode.orphans, counted.remove(&ino).unwrap_or_default());
        }
        for ino in counted.into_keys() {
            self.find(format!("{ino:?}: orphans stood in it but it does not exist"));
        }
    }

    /// What is recorded about inodes that do not exist.
    fn check_absent(&mut self, inodes: &BTreeMap<Ino, Inode>) {
        // The counts of those that do exist were taken out one by one.
        for ino in std::mem::take(&mut self.parents).into_keys() {
            self.find(format!("{ino:?}: has parent counts but does not exist"));
        }
        for ino in std::mem::take(&mut self.orphans) {
            if !inodes.contains_key(&ino) {
                self.find(format!("{ino:?}: recorded as an orphan but does not exist"));
            }
        }
    }

    /// Every directory that a dentry names hangs below the root; those that do not form a cycle.
    fn check_reachable(&mut self, inodes: &BTreeMap<Ino, Inode>) {
        if !inodes.get(&Ino::ROOT).is_some_and(Inode::is_dir) {
            self.find("there is no root directory".to_owned());
        }
        let mut reached = BTreeSet::from([Ino::ROOT]);
        let mut pending = vec![Ino::ROOT];
        while let Some(dir) = pending.pop() {
            let below = self.entries.get(&dir).map_or(&[][..], |entries| &entries.directories);
            pending.extend(below.iter().copied().filter(|&child| reached.insert(child)));
        }
        for (ino, inode) in inodes {
            if inode.is_dir() && self.named_in.contains_key(ino) && !reached.contains(ino) {
                self.find(format!("{ino:?}: cannot be reached from the root"));
            }
        }
    }

    fn check_segments(&mut self) {
        for (id, used) in std::mem::take(&mut self.used) {
            match self.segments.remove(&id) {
                None => self.find(format!("{id}: extents lie in it but it is not known")),
                Some(segment) if used.end > segment.len => self.find(format!("{id}: a block ends past its end")),
                Some(segment) if segment.live_bytes != used.bytes => {
                    self.find(format!("{id}: live bytes: recorded {}, counted {}", segment.live_bytes, used.bytes));
                }
                Some(_) => {}
            }
        }
        for (id, segment) in std::mem::take(&mut self.segments) {
            if segment.live_bytes != 0 {
                self.find(format!("{id}: live bytes: recorded {}, counted 0", segment.live_bytes));
            }
        }
    }
}
