//! One file of the journal: preallocated, filled from its start, used again once all its records are freed.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const PREFIX: &str = "segment-";

pub(super) struct Segment {
    file: File,
    path: PathBuf,
    pub(super) capacity_bytes: u64,
    pub(super) used_bytes: u64,
    /// The last record in it; zero when there is none.
    pub(super) last_sequence: u64,
}

impl Segment {
    /// Makes a new file and takes its room on the disk. The caller syncs the directory. A file that could not be made
    /// whole is removed.
    pub(super) fn create(directory: &Path, number: u64, capacity_bytes: u64) -> io::Result<Self> {
        let path = directory.join(format!("{PREFIX}{number:06}"));
        let file = OpenOptions::new().create_new(true).read(true).write(true).open(&path)?;
        if let Err(error) = allocate(&file, capacity_bytes).and_then(|()| file.sync_all()) {
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        Ok(Self { file, path, capacity_bytes, used_bytes: 0, last_sequence: 0 })
    }

    /// Opens a file whose contents are not needed any more.
    pub(super) fn reuse(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        let capacity_bytes = file.metadata()?.len();
        Ok(Self { file, path, capacity_bytes, used_bytes: 0, last_sequence: 0 })
    }

    /// The files of a directory with their numbers, in any order.
    pub(super) fn list(directory: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let number = entry.file_name().to_str().and_then(|name| name.strip_prefix(PREFIX)?.parse().ok());
            if let Some(number) = number {
                found.push((number, entry.path()));
            }
        }
        Ok(found)
    }

    pub(super) const fn room_bytes(&self) -> u64 {
        self.capacity_bytes - self.used_bytes
    }

    /// Writes records behind those that are there. There must be room.
    pub(super) fn append(&mut self, records: &[u8], last_sequence: u64) -> io::Result<()> {
        self.file.write_all_at(records, self.used_bytes)?;
        self.used_bytes += records.len() as u64;
        self.last_sequence = last_sequence;
        Ok(())
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Forgets what is in it.
    pub(super) const fn clear(&mut self) {
        self.used_bytes = 0;
        self.last_sequence = 0;
    }

    /// Gives its room back to the disk.
    pub(super) fn remove(self) -> io::Result<()> {
        std::fs::remove_file(self.path)
    }
}

/// Takes the room at once, so that a write into it cannot fail for want of it. Some file systems do not know how.
fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    match fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::OPNOTSUPP) => file.set_len(bytes),
        Err(errno) => Err(errno.into()),
    }
}
