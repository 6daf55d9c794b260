//! Questions to a namespace. None of them changes anything; each answers as the system call of the same name.

use std::ops::Bound;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::apply::Stop;
use super::{Attr, EXTENT_MAX_BYTES, Errno, Extent, FileKind, Ino, Inode, Key, Name, Record, Usage, View};

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirEntry {
    /// Its name.
    pub name: Name,
    /// What it names.
    pub ino: Ino,
    /// What that is.
    pub kind: FileKind,
}

/// A part of a file that holds data; what lies between two pieces reads as zeros.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Where in the file it begins.
    pub offset: u64,
    /// The data.
    pub extent: Extent,
}

fn inode(view: &impl View, ino: Ino) -> Result<Inode, Stop> {
    match view.get(&Key::Inode(ino))? {
        Some(Record::Inode(inode)) => Ok(inode),
        _ => Err(Errno::ENOENT.into()),
    }
}

/// The attributes of an inode.
///
/// # Errors
/// ENOENT.
pub fn attr(view: &impl View, ino: Ino) -> Result<Attr, Stop> {
    Ok(inode(view, ino)?.attr)
}

/// The inode that a directory has under this name. `.` and `..` are the kernel's business.
///
/// # Errors
/// ENOENT, ENOTDIR.
pub fn lookup(view: &impl View, dir: Ino, name: &Name) -> Result<Attr, Stop> {
    match view.get(&Key::Dentry(dir, name.clone()))? {
        Some(Record::Dentry(ino, _)) => attr(view, ino),
        _ if inode(view, dir)?.is_dir() => Err(Errno::ENOENT.into()),
        _ => Err(Errno::ENOTDIR.into()),
    }
}

/// The directory at a path of plain names below `from`. Symbolic links are not followed.
///
/// # Errors
/// ENOENT, ENOTDIR.
pub fn resolve<'a>(view: &impl View, from: Ino, path: impl Iterator<Item = &'a str>) -> Result<Ino, Stop> {
    let mut at = from;
    for component in path {
        let found = lookup(view, at, &Name::new(component.to_owned())?)?;
        if found.kind != FileKind::Directory {
            return Err(Errno::ENOTDIR.into());
        }
        at = found.ino;
    }
    Ok(at)
}

/// Up to `limit` entries of a directory in the order of their names, beginning behind `after`.
///
/// # Errors
/// ENOENT, ENOTDIR.
pub fn read_dir(view: &impl View, dir: Ino, after: Option<&Name>, limit: usize) -> Result<Vec<DirEntry>, Stop> {
    if !inode(view, dir)?.is_dir() {
        return Err(Errno::ENOTDIR.into());
    }
    let prefix = Key::dentries_of(dir);
    let mut bound = match after {
        Some(name) => Bound::Excluded(Key::Dentry(dir, name.clone())),
        None => Bound::Included(Key::Dentry(dir, Name::first())),
    };
    let mut entries = Vec::new();
    while entries.len() < limit
        && let Some((key, record)) = view.first_in(bound.as_ref(), &prefix)?
    {
        if let (Key::Dentry(_, name), Record::Dentry(ino, kind)) = (&key, record) {
            entries.push(DirEntry { name: name.clone(), ino, kind });
        }
        bound = Bound::Excluded(key);
    }
    Ok(entries)
}

/// The target of a symbolic link.
///
/// # Errors
/// ENOENT, EINVAL for anything else than a symbolic link.
pub fn read_link(view: &impl View, ino: Ino) -> Result<Bytes, Stop> {
    let inode = inode(view, ino)?;
    if inode.attr.kind == FileKind::Symlink { Ok(inode.target) } else { Err(Errno::EINVAL.into()) }
}

/// The attributes of a file and its data within `[offset, offset + len)`, in order. Pieces are given whole, so the
/// first may begin before the range and the last end behind it. At most `limit` of them: when there are as many,
/// ask again from the end of the last.
///
/// # Errors
/// ENOENT, EISDIR, EINVAL for anything else than a file.
pub fn pieces(view: &impl View, ino: Ino, offset: u64, len: u64, limit: usize) -> Result<(Attr, Vec<Piece>), Stop> {
    // No extent that begins earlier can reach the range.
    pieces_from(view, ino, offset.saturating_sub(u64::from(EXTENT_MAX_BYTES) - 1), (offset, len), limit)
}

/// As [`pieces`], by whoever knows that no extent which begins before `first` reaches the range.
///
/// # Errors
/// As for [`pieces`].
pub fn pieces_from(view: &impl View, ino: Ino, first: u64, range: (u64, u64), limit: usize) -> Result<(Attr, Vec<Piece>), Stop> {
    let (offset, len) = range;
    let inode = inode(view, ino)?;
    match inode.attr.kind {
        FileKind::File => {}
        FileKind::Directory => return Err(Errno::EISDIR.into()),
        _ => return Err(Errno::EINVAL.into()),
    }
    let end = offset.saturating_add(len).min(inode.attr.size);
    let prefix = Key::extents_of(ino);
    let mut bound = Bound::Included(Key::Extent(ino, first));
    let mut found = Vec::new();
    while found.len() < limit
        && let Some((key, record)) = view.first_in(bound.as_ref(), &prefix)?
    {
        let (Key::Extent(_, at), Record::Extent(extent)) = (&key, record) else { break };
        if *at >= end {
            break;
        }
        if at + u64::from(extent.len) > offset {
            found.push(Piece { offset: *at, extent });
        }
        bound = Bound::Excluded(key);
    }
    Ok((inode.attr, found))
}

/// The value of an extended attribute.
///
/// # Errors
/// ENOENT, ENODATA.
pub fn xattr(view: &impl View, ino: Ino, name: &Bytes) -> Result<Bytes, Stop> {
    // Most inodes have none, and cost no second look.
    if inode(view, ino)?.xattrs == 0 {
        return Err(Errno::ENODATA.into());
    }
    match view.get(&Key::Xattr(ino, name.clone()))? {
        Some(Record::Xattr(value)) => Ok(value),
        _ => Err(Errno::ENODATA.into()),
    }
}

/// The names of all extended attributes, in order.
///
/// # Errors
/// ENOENT.
pub fn xattr_names(view: &impl View, ino: Ino) -> Result<Vec<Bytes>, Stop> {
    if inode(view, ino)?.xattrs == 0 {
        return Ok(Vec::new());
    }
    let prefix = Key::xattrs_of(ino);
    let mut bound = Bound::Included(Key::Xattr(ino, Bytes::new()));
    let mut names = Vec::new();
    while let Some((key, _)) = view.first_in(bound.as_ref(), &prefix)? {
        if let Key::Xattr(_, name) = &key {
            names.push(name.clone());
        }
        bound = Bound::Excluded(key);
    }
    Ok(names)
}

/// What the workspace holds.
///
/// # Errors
/// Only [`Stop::Missing`].
pub fn usage(view: &impl View) -> Result<Usage, Stop> {
    match view.get(&Key::Usage)? {
        Some(Record::Usage(usage)) => Ok(usage),
        _ => Ok(Usage::default()),
    }
}

/// Up to `limit` inodes without links that wait for their last close, beginning behind `after`.
///
/// # Errors
/// Only [`Stop::Missing`].
pub fn orphans(view: &impl View, after: Option<Ino>, limit: usize) -> Result<Vec<Ino>, Stop> {
    let prefix = Key::orphans();
    let mut bound = match after {
        Some(ino) => Bound::Excluded(Key::Orphan(ino)),
        None => Bound::Included(Key::Orphan(Ino(0))),
    };
    let mut orphans = Vec::new();
    while orphans.len() < limit
        && let Some((key, _)) = view.first_in(bound.as_ref(), &prefix)?
    {
        if let Key::Orphan(ino) = key {
            orphans.push(ino);
        }
        bound = Bound::Excluded(key);
    }
    Ok(orphans)
}
