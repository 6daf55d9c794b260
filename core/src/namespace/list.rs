use super::apply::Stop;
use super::{Attr, Errno, FileKind, Ino, Name, View, attr, lookup, read_dir};

/// What a listing has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// From the directory that was listed.
    pub path: Vec<Name>,
    /// What is there.
    pub attr: Attr,
}

/// Up to `limit` entries of a directory, or of all below it: each directory before what is in it, names in the order of
/// their bytes. Begins behind the path `after`, whether or not that is still there.
///
/// # Errors
/// ENOENT, ENOTDIR.
pub fn list(view: &impl View, dir: Ino, after: &[Name], recursive: bool, limit: usize) -> Result<Vec<Listed>, Stop> {
    // The directories that are being read, each inside the one before, with the name that was read last.
    let mut open: Vec<(Ino, Option<Name>)> = vec![(dir, None)];
    for name in after {
        let Some((at, last)) = open.last_mut() else { break };
        *last = Some(name.clone());
        if !recursive {
            break;
        }
        match lookup(view, *at, name) {
            Ok(found) if found.kind == FileKind::Directory => open.push((found.ino, None)),
            Ok(_) | Err(Stop::Refused(Errno::ENOENT)) => break,
            Err(stop) => return Err(stop),
        }
    }
    let mut listed = Vec::new();
    while listed.len() < limit
        && let Some((at, last)) = open.last_mut()
    {
        let Some(entry) = read_dir(view, *at, last.as_ref(), 1)?.pop() else {
            open.pop();
            continue;
        };
        *last = Some(entry.name);
        let attr = attr(view, entry.ino)?;
        let is_dir = attr.kind == FileKind::Directory;
        listed.push(Listed { path: open.iter().filter_map(|(_, name)| name.clone()).collect(), attr });
        if recursive && is_dir {
            open.push((entry.ino, None));
        }
    }
    Ok(listed)
}
