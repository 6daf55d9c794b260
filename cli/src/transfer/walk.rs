use std::collections::HashMap;
use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use super::attributes;
use super::copier::Run;
use super::entry::{Entry, is_partial};
use super::summary::one;

/// A directory whose attributes are set when everything is in it.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) from: PathBuf,
    pub(super) to: PathBuf,
    pub(super) metadata: Metadata,
}

/// What a walk leaves for the end.
#[derive(Debug, Default)]
pub(super) struct Rest {
    /// Directories, each before those in it.
    pub(super) directories: Vec<Directory>,
    /// Further names of files: the name, and the first name of the same file, in the destination.
    pub(super) links: Vec<(Entry, PathBuf)>,
    /// The first names of files that have several.
    first_names: HashMap<(u64, u64), PathBuf>,
}

/// Walks through a tree, makes its directories, and gives everything else to `found`, in whatever order.
pub(super) fn walk(run: &Run<'_>, found: &mut dyn FnMut(Entry)) -> Rest {
    let mut rest = Rest::default();
    let mut pending = vec![(run.transfer.from.clone(), run.transfer.to.clone())];
    while let Some((from, to)) = pending.pop() {
        if run.is_stopped() {
            break;
        }
        if let Err(error) = one_of(run, from.clone(), to, &mut pending, &mut rest, found) {
            run.fail(&from, &error);
        }
    }
    rest
}

fn one_of(
    run: &Run<'_>,
    from: PathBuf,
    to: PathBuf,
    pending: &mut Vec<(PathBuf, PathBuf)>,
    rest: &mut Rest,
    found: &mut dyn FnMut(Entry),
) -> io::Result<()> {
    let metadata = fs::symlink_metadata(&from)?;
    if metadata.is_dir() {
        if run.transfer.never_enter == Some(metadata.dev()) {
            return Ok(());
        }
        if !run.transfer.dry_run {
            make_directory(&to)?;
        }
        one(&run.tally.directories);
        for entry in fs::read_dir(&from)? {
            let entry = entry?;
            if !is_partial(&entry.file_name()) {
                pending.push((entry.path(), to.join(entry.file_name())));
            }
        }
        rest.directories.push(Directory { from, to, metadata });
        return Ok(());
    }
    let several = (metadata.nlink() > 1).then(|| (metadata.dev(), metadata.ino()));
    let entry = Entry { from, to, metadata };
    match several.map(|file| rest.first_names.entry(file)) {
        Some(std::collections::hash_map::Entry::Occupied(first)) => {
            let first = first.get().clone();
            rest.links.push((entry, first));
        }
        other => {
            if let Some(unnamed) = other {
                let _ = unnamed.or_insert_with(|| entry.to.clone());
            }
            found(entry);
        }
    }
    Ok(())
}

/// Makes a directory that can be written to, or makes one so that is there.
fn make_directory(to: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(to) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        outcome => return outcome,
    }
    let there = fs::symlink_metadata(to)?;
    if !there.is_dir() {
        return Err(io::Error::new(io::ErrorKind::NotADirectory, "something that is not a directory is in its place"));
    }
    if !attributes::is_root() && there.mode() & 0o300 != 0o300 {
        fs::set_permissions(to, Permissions::from_mode(there.mode() & 0o7777 | 0o700))?;
    }
    Ok(())
}

/// How many files there are, and how many bytes in them.
pub(super) fn count(run: &Run<'_>) -> (u64, u64) {
    let (mut files, mut bytes) = (0, 0);
    let mut pending = vec![run.transfer.from.clone()];
    while let Some(path) = pending.pop() {
        if run.is_stopped() || run.is_done.load(Ordering::Relaxed) {
            break;
        }
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        if metadata.is_dir() {
            if run.transfer.never_enter != Some(metadata.dev()) {
                pending.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
            }
        } else {
            files += 1;
            bytes += if metadata.is_file() { metadata.len() } else { 0 };
        }
    }
    (files, bytes)
}
