use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};

use parking_lot::Mutex;
use rustix::fs::{CWD, FileType, Mode};

use super::entry::Entry;
use super::summary::{Tally, one};
use super::walk::{Rest, count, walk};
use super::{Bar, Summary, attributes, file};
use crate::time;

/// So many files may have been found and wait to be copied.
const FOUND_MAX: usize = 1_000;

/// What to copy, where to, and how.
#[derive(Debug)]
pub(crate) struct Transfer {
    /// The tree, or the one file, to copy.
    pub(crate) from: PathBuf,
    /// What it becomes.
    pub(crate) to: PathBuf,
    /// How many files are copied at once.
    pub(crate) workers: usize,
    /// Only say what would be done.
    pub(crate) dry_run: bool,
    /// Whether each file must be on disk before it gets its name. A mount keeps the order by itself.
    pub(crate) sync_each: bool,
    /// A file system that is not gone into.
    pub(crate) never_enter: Option<u64>,
}

/// A transfer under way.
pub(super) struct Run<'a> {
    pub(super) transfer: &'a Transfer,
    pub(super) tally: Tally,
    bar: &'a Bar,
    /// Set from outside.
    stop: &'a AtomicBool,
    /// Set when it makes no sense to go on.
    is_hopeless: AtomicBool,
    pub(super) is_done: AtomicBool,
}

/// Copies. Blocks until it is done, or `stop` is set. What is copied is durable when it returns.
///
/// # Errors
/// What was copied could not be made durable. What else goes wrong is in the summary.
pub(crate) fn run(transfer: &Transfer, stop: &AtomicBool, bar: &Bar) -> io::Result<Summary> {
    let start = time::now();
    let run = Run { transfer, tally: Tally::default(), bar, stop, is_hopeless: AtomicBool::new(false), is_done: AtomicBool::new(false) };
    let (sender, receiver) = sync_channel(FOUND_MAX);
    let receiver = Mutex::new(receiver);
    let rest = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..transfer.workers.max(1)).map(|_| scope.spawn(|| run.work(&receiver))).collect();
        if bar.is_visible() {
            scope.spawn(|| {
                let (files, bytes) = count(&run);
                bar.expect(files, bytes);
            });
        }
        let rest = walk(&run, &mut |entry| {
            // The workers live as long as this end does.
            let _ = sender.send(entry);
        });
        drop(sender);
        for worker in workers {
            // A panic goes on when the scope ends.
            let _ = worker.join();
        }
        run.is_done.store(true, Ordering::Relaxed);
        rest
    });
    if !run.is_stopped() {
        run.finish(&rest);
    }
    if !transfer.dry_run {
        sync(&transfer.to)?;
    }
    let duration_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let interrupted = stop.load(Ordering::Relaxed);
    Ok(Summary { interrupted, dry_run: transfer.dry_run, duration_ms, ..run.tally.sum() })
}

impl Run<'_> {
    /// Whether to leave everything as it is.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.is_hopeless.load(Ordering::Relaxed)
    }

    /// Counts a failure.
    pub(super) fn fail(&self, from: &Path, error: &io::Error) {
        if error.kind() == io::ErrorKind::Interrupted && self.is_stopped() {
            return;
        }
        // A full disk, a quota, a mount that is gone: the next file will not do better.
        let fails_all = [libc::ENOSPC, libc::EDQUOT, libc::ENOTCONN, libc::EROFS];
        if error.raw_os_error().is_some_and(|errno| fails_all.contains(&errno)) {
            self.is_hopeless.store(true, Ordering::Relaxed);
        }
        self.tally.fail(from.strip_prefix(&self.transfer.from).unwrap_or(from), error.to_string());
    }

    fn work(&self, found: &Mutex<Receiver<Entry>>) {
        loop {
            let next = found.lock().recv();
            let Ok(entry) = next else { return };
            // What is left is taken and dropped, so that the walk does not wait.
            if self.is_stopped() {
                continue;
            }
            if let Err(error) = self.copy(&entry) {
                self.fail(&entry.from, &error);
            }
            self.bar.file();
        }
    }

    fn copy(&self, entry: &Entry) -> io::Result<()> {
        if entry.is_there() {
            one(&self.tally.unchanged);
            self.bar.bytes(if entry.metadata.is_file() { entry.metadata.len() } else { 0 });
            return if self.transfer.dry_run { Ok(()) } else { attributes::copy_ownership(&entry.metadata, &entry.to) };
        }
        if entry.is_device() && !attributes::is_root() {
            one(&self.tally.left_out);
            return Ok(());
        }
        if !self.transfer.dry_run {
            entry.place(|partial| self.make(entry, partial))?;
        }
        if entry.metadata.is_file() {
            one(&self.tally.files);
            self.tally.bytes.fetch_add(entry.metadata.len(), Ordering::Relaxed);
        } else {
            one(&self.tally.others);
        }
        Ok(())
    }

    fn make(&self, entry: &Entry, partial: &Path) -> io::Result<()> {
        let Entry { from, metadata, .. } = entry;
        if metadata.is_file() {
            return file::copy(from, partial, self.transfer.sync_each, self.stop, |bytes| self.bar.bytes(bytes));
        }
        if metadata.is_symlink() {
            symlink(fs::read_link(from)?, partial)?;
        } else {
            let kind = metadata.file_type();
            let kind = if kind.is_fifo() {
                FileType::Fifo
            } else if kind.is_socket() {
                FileType::Socket
            } else if kind.is_block_device() {
                FileType::BlockDevice
            } else {
                FileType::CharacterDevice
            };
            rustix::fs::mknodat(CWD, partial, kind, Mode::RUSR | Mode::WUSR, metadata.rdev())?;
        }
        attributes::copy_all(from, metadata, partial)
    }

    /// What can only be done when every file is in its place.
    fn finish(&self, rest: &Rest) {
        for (entry, first) in &rest.links {
            if let Err(error) = self.link(entry, first) {
                self.fail(&entry.from, &error);
            }
            self.bar.file();
        }
        if self.transfer.dry_run {
            return;
        }
        // The innermost first, because each changes the mtime of the one around it.
        for directory in rest.directories.iter().rev() {
            if let Err(error) = attributes::copy_all(&directory.from, &directory.metadata, &directory.to) {
                self.fail(&directory.from, &error);
            }
        }
    }

    fn link(&self, entry: &Entry, first: &Path) -> io::Result<()> {
        self.bar.bytes(if entry.metadata.is_file() { entry.metadata.len() } else { 0 });
        let is_link = |first: &fs::Metadata| fs::symlink_metadata(&entry.to).is_ok_and(|there| same_file(first, &there));
        if fs::symlink_metadata(first).is_ok_and(|first| is_link(&first)) {
            one(&self.tally.unchanged);
            return Ok(());
        }
        if !self.transfer.dry_run {
            entry.place(|partial| fs::hard_link(first, partial))?;
        }
        one(&self.tally.links);
        Ok(())
    }
}

fn same_file(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Everything that was written there before is durable when this returns.
fn sync(to: &Path) -> io::Result<()> {
    // The directory above holds the name of a single file.
    let directory = match fs::symlink_metadata(to) {
        Ok(there) if there.is_dir() => to,
        Ok(_) => to.parent().unwrap_or(to),
        // Nothing has come to it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let directory = File::open(directory)?;
    // A mount makes everything durable that came before.
    directory.sync_all()?;
    Ok(rustix::fs::syncfs(&directory)?)
}

#[cfg(test)]
#[path = "copier_tests.rs"]
mod tests;
