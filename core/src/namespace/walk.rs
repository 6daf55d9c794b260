//! Where a path leads, for callers without a kernel that would walk it.

use std::collections::VecDeque;

use bytes::Bytes;

use super::apply::Stop;
use super::{Attr, Errno, FileKind, Ino, Name, View, attr, lookup, read_link};

/// How many symbolic links one path may lead through, as on Linux.
const LINKS_MAX: u32 = 40;

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The directory in which the last name stands, or the last one that is there.
    pub dir: Ino,
    /// The directories that are missing on the way, from `dir` on.
    pub missing: Vec<Name>,
    /// The last name; none if the path leads to `dir` itself.
    pub name: Option<Name>,
    /// What is there.
    pub attr: Option<Attr>,
}

/// Walks a path from `root`, beyond which it does not lead. Symbolic links on the way are followed, the last one only if
/// `follows` says so. What is missing is no error: the place says where it would be.
///
/// # Errors
/// EXDEV when a link leads out of the root (absolute ones do: nobody knows where it is mounted), ELOOP, ENOTDIR; ENOENT if
/// the root is gone, or a path goes back up from what is missing.
pub fn walk(view: &impl View, root: Ino, path: &[Name], follows: bool) -> Result<Place, Stop> {
    let mut dirs = vec![root];
    let mut rest: VecDeque<Bytes> = path.iter().map(|name| name.as_shared().clone()).collect();
    let mut links = 0;
    while let Some(component) = rest.pop_front() {
        let at = dirs.last().copied().unwrap_or(root);
        match &*component {
            b"" | b"." => continue,
            b".." if dirs.len() == 1 => return Err(Errno::EXDEV.into()),
            b".." => {
                dirs.pop();
                continue;
            }
            _ => {}
        }
        let name = Name::new(component)?;
        let is_last = rest.iter().all(|component| matches!(&**component, b"" | b"."));
        let found = match lookup(view, at, &name) {
            Ok(found) => found,
            Err(Stop::Refused(Errno::ENOENT)) => return absent(at, name, rest),
            Err(stop) => return Err(stop),
        };
        match found.kind {
            FileKind::Symlink if follows || !is_last => {
                links += 1;
                if links > LINKS_MAX {
                    return Err(Errno::ELOOP.into());
                }
                let target = read_link(view, found.ino)?;
                if target.first() == Some(&b'/') {
                    return Err(Errno::EXDEV.into());
                }
                for part in target.split(|&byte| byte == b'/').rev() {
                    rest.push_front(target.slice_ref(part));
                }
            }
            _ if is_last => return Ok(Place { dir: at, missing: Vec::new(), name: Some(name), attr: Some(found) }),
            FileKind::Directory => dirs.push(found.ino),
            _ => return Err(Errno::ENOTDIR.into()),
        }
    }
    let dir = dirs.last().copied().unwrap_or(root);
    Ok(Place { dir, missing: Vec::new(), name: None, attr: Some(attr(view, dir)?) })
}

fn absent(dir: Ino, first: Name, rest: VecDeque<Bytes>) -> Result<Place, Stop> {
    let mut names = vec![first];
    for component in rest {
        match &*component {
            b"" | b"." => {}
            b".." => return Err(Errno::ENOENT.into()),
            _ => names.push(Name::new(component)?),
        }
    }
    let name = names.pop();
    Ok(Place { dir, missing: names, name, attr: None })
}
