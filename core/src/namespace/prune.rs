use super::apply::Stop;
use super::{FileKind, Ino, Mutation, Name, View, read_dir};

/// How many entries of a directory are read at a time.
const PAGE: usize = 64;

/// What removes a directory with all that is in it, in the order in which it can be done: up to `limit` removals, to be done
/// before asking again. The last of all removes the directory itself.
///
/// # Errors
/// ENOENT, ENOTDIR.
pub fn prune(view: &impl View, parent: Ino, name: &Name, dir: Ino, limit: usize) -> Result<Vec<Mutation>, Stop> {
    // Directories, each inside the one before: where it stands, itself, and up to where it was read.
    let mut open = vec![(parent, name.clone(), dir, None)];
    let mut removals = Vec::new();
    'down: while removals.len() < limit
        && let Some((_, _, at, last)) = open.last_mut()
    {
        let at = *at;
        let page = read_dir(view, at, last.as_ref(), PAGE.min(limit - removals.len()))?;
        if page.is_empty() {
            if let Some((parent, name, ..)) = open.pop() {
                removals.push(Mutation::RemoveDir { parent, name });
            }
            continue;
        }
        for entry in page {
            *last = Some(entry.name.clone());
            if entry.kind == FileKind::Directory {
                open.push((at, entry.name, entry.ino, None));
                continue 'down;
            }
            removals.push(Mutation::Unlink { parent: at, name: entry.name });
        }
    }
    Ok(removals)
}
