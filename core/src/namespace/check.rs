//! What is always true of a namespace between two ops (see [the module](super)), checked over all of its records.
//!
//! A [`Check`] is fed every record once, in the order of their keys, and at the end names what is wrong. It holds about
//! 80 bytes an inode and as many a segment, never names or data, so that a workspace of a million files is checked in
//! some 100 MB. [`check_invariants`] does that with a view; a shell that reads a store page by page feeds its own.
//!
//! Of a finding that is a mere count, the [`Amendment`] says how far it is off.

mod node;
mod tree;

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use super::acl::{Acl, is_acl_name};
use super::repoint::Amendment;
use super::xattr::bytes_of;
use super::{
    ACL_ACCESS, ACL_DEFAULT, Extent, FILE_MAX_BYTES, FileKind, Ino, Inode, Key, Missing, Record, SYMLINK_MAX_BYTES, SegmentRecord, Source,
    Usage, View,
};
use crate::SegmentId;
use node::{Node, Nodes};

/// The most findings that are told one by one; the rest is counted.
pub const FINDINGS_MAX: usize = 1000;

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
    Ok(check.finish().findings.into_iter().map(|finding| finding.text).collect())
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What, for people.
    pub text: String,
    /// What puts it right, where that can lose nothing.
    pub amendment: Option<Amendment>,
}

/// What a check has found.
#[derive(Debug, Default)]
pub struct Findings {
    /// The first [`FINDINGS_MAX`], and every one that can be amended.
    pub findings: Vec<Finding>,
    /// How many more there are.
    pub untold: u64,
    /// What the workspace holds, counted.
    pub counted: Usage,
}

impl Findings {
    fn find(&mut self, text: String) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { text, amendment: None });
        } else {
            self.untold += 1;
        }
    }

    fn amend(&mut self, text: String, amendment: Amendment) {
        self.findings.push(Finding { text, amendment: Some(amendment) });
    }

    fn equal<T: PartialEq + std::fmt::Debug>(&mut self, ino: Ino, what: &str, recorded: T, counted: T) {
        if recorded != counted {
            self.find(format!("{ino:?}: {what}: recorded {recorded:?}, counted {counted:?}"));
        }
    }
}

/// A check under way.
#[derive(Debug, Default)]
pub struct Check {
    nodes: Nodes,
    /// Inodes that several dentries name: how many, by the directory they stand in.
    named_in: BTreeMap<Ino, BTreeMap<Ino, u32>>,
    parents: BTreeMap<Ino, BTreeMap<Ino, u32>>,
    /// The inode of the extent before, and where that ends.
    extent_before: Option<(Ino, u64)>,
    segments: BTreeMap<SegmentId, SegmentRecord>,
    /// By segment: what extents use of it.
    used: BTreeMap<SegmentId, Used>,
    bytes: u64,
    usage: Option<Usage>,
    found: Findings,
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
            (Key::Orphan(ino), Record::Orphan) => match self.nodes.get_mut(*ino) {
                Some(node) => node.is_orphan = true,
                None => {
                    let text = format!("{ino:?}: recorded as an orphan but does not exist");
                    self.found.amend(text, Amendment::OrphanMark(*ino));
                }
            },
            (Key::Segment(id), Record::Segment(segment)) => {
                self.segments.insert(*id, *segment);
            }
            (Key::Usage, Record::Usage(usage)) => self.usage = Some(*usage),
            (key, _) => self.found.find(format!("{key:?}: holds a record of another kind")),
        }
    }

    /// Everything that is wrong; call it once all records were seen.
    pub fn finish(mut self) -> Findings {
        self.check_tree();
        self.check_segments();
        let counted = Usage { bytes: self.bytes, inodes: self.nodes.len() };
        self.found.counted = counted;
        if self.usage != Some(counted) {
            let recorded = self.usage.unwrap_or_default();
            let amendment =
                Amendment::Usage { bytes: difference(counted.bytes, recorded.bytes), inodes: difference(counted.inodes, recorded.inodes) };
            self.found.amend(format!("usage: recorded {:?}, counted {counted:?}", self.usage), amendment);
        }
        self.found
    }

    fn see_inode(&mut self, ino: Ino, inode: &Inode) {
        let attr = &inode.attr;
        let found = &mut self.found;
        found.equal(ino, "number", attr.ino, ino);
        if attr.mode > 0o7777 {
            found.find(format!("{ino:?}: mode {:o} has bits of other things than permissions", attr.mode));
        }
        match attr.kind {
            FileKind::Symlink if inode.target.is_empty() || inode.target.len() > SYMLINK_MAX_BYTES => {
                found.find(format!("{ino:?}: a symbolic link to {} bytes", inode.target.len()));
            }
            FileKind::Symlink => {}
            _ if !inode.target.is_empty() => found.find(format!("{ino:?}: has a target but is no symbolic link")),
            _ => {}
        }
        match attr.kind {
            FileKind::Directory => {}
            FileKind::File if attr.size <= FILE_MAX_BYTES => {}
            FileKind::File => found.find(format!("{ino:?}: longer than a file may be")),
            _ => found.equal(ino, "size", attr.size, inode.target.len() as u64),
        }
        self.bytes += inode.target.len() as u64;
        self.nodes.push(Node::new(ino, inode));
    }

    fn see_dentry(&mut self, dir: Ino, ino: Ino, kind: FileKind) {
        match self.nodes.get_mut(dir) {
            Some(holder) => {
                holder.entries += 1;
                holder.directories += u32::from(kind == FileKind::Directory);
                if !holder.is_dir() {
                    self.found.find(format!("{dir:?}: has an entry but is no directory"));
                }
            }
            None => self.found.find(format!("{dir:?}: has an entry but does not exist")),
        }
        let Some(named) = self.nodes.get_mut(ino) else {
            self.found.find(format!("{dir:?}: an entry names {ino:?}, which does not exist"));
            return;
        };
        self.found.equal(ino, "kind in a dentry", kind, named.kind);
        named.names += 1;
        if named.names == 1 {
            named.named_in = dir;
        } else {
            let first = named.named_in;
            let counts = self.named_in.entry(ino).or_insert_with(|| BTreeMap::from([(first, 1)]));
            *counts.entry(dir).or_default() += 1;
        }
    }

    fn see_extent(&mut self, ino: Ino, at: u64, extent: &Extent) {
        let end = at.saturating_add(u64::from(extent.len));
        if self.extent_before.is_some_and(|(before, ended)| before == ino && at < ended) {
            self.found.find(format!("{ino:?}: the extent at {at} overlaps the one before it"));
        }
        self.extent_before = Some((ino, end));
        self.bytes += u64::from(extent.len);
        if !extent.is_sound() {
            self.found.find(format!("{ino:?}: the extent at {at} is unsound"));
        }
        match self.nodes.get_mut(ino) {
            Some(node) => {
                node.bytes += u64::from(extent.len);
                if node.kind != FileKind::File {
                    self.found.find(format!("{ino:?}: has an extent but is no file"));
                } else if end > node.size {
                    self.found.find(format!("{ino:?}: the extent at {at} lies past the size"));
                }
            }
            None => self.found.find(format!("{ino:?}: has an extent but does not exist")),
        }
        if let Source::Block { segment, block_offset, block_len, .. } = extent.source {
            let used = self.used.entry(segment).or_default();
            used.bytes += u64::from(extent.len);
            used.end = used.end.max(u64::from(block_offset) + u64::from(block_len));
        }
    }

    fn see_xattr(&mut self, ino: Ino, name: &Bytes, value: &[u8]) {
        self.bytes += bytes_of(name, value);
        let Some(node) = self.nodes.get_mut(ino) else {
            return self.found.find(format!("{ino:?}: has an extended attribute but does not exist"));
        };
        node.xattrs += 1;
        node.xattr_bytes += bytes_of(name, value);
        if !is_acl_name(name) {
            return;
        }
        match Acl::parse(value) {
            Ok(Some(_)) if *name == ACL_DEFAULT && node.kind == FileKind::Directory => {}
            Ok(Some(acl)) if *name == ACL_ACCESS && !acl.is_mode() && node.kind != FileKind::Symlink => {
                self.found.equal(ino, "mode in the access control list", acl.mode(), node.mode & 0o777);
            }
            found => self.found.find(format!("{ino:?}: has the access control list {found:?}")),
        }
    }

    fn check_segments(&mut self) {
        for (id, used) in std::mem::take(&mut self.used) {
            let recorded = self.segments.remove(&id);
            if recorded.is_some_and(|segment| used.end > segment.len) {
                self.found.find(format!("{id}: a block ends past its end"));
            }
            let live = recorded.map_or(0, |segment| segment.live_bytes);
            let amendment = Amendment::LiveBytes { segment: id, bytes: difference(used.bytes, live) };
            if recorded.is_none() {
                self.found.amend(format!("{id}: extents lie in it but it is not known"), amendment);
            } else if live != used.bytes {
                self.found.amend(format!("{id}: live bytes: recorded {live}, counted {}", used.bytes), amendment);
            }
        }
        for (id, segment) in std::mem::take(&mut self.segments) {
            if segment.live_bytes != 0 {
                let amendment = Amendment::LiveBytes { segment: id, bytes: difference(0, segment.live_bytes) };
                self.found.amend(format!("{id}: live bytes: recorded {}, counted 0", segment.live_bytes), amendment);
            }
        }
    }
}

fn difference(counted: u64, recorded: u64) -> i64 {
    counted.wrapping_sub(recorded) as i64
}
