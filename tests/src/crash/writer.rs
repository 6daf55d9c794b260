//! Does operations on a mount and keeps the record.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{Generator, Op, Outcome, Random, Record};
use crate::time::{Duration, monotonic_ns, sleep};

/// The answers of a file system that lives. Any other error means that the mount is lost.
const REFUSALS: [i32; 7] = [libc::ENOENT, libc::EEXIST, libc::ENOTDIR, libc::EISDIR, libc::ENOTEMPTY, libc::EINVAL, libc::EPERM];
/// So long, in microseconds, a writer pauses at most between two operations, so that a crash can fall between them.
const MAX_PAUSE_US: u64 = 4_000;

/// A thread's work: operations, one at a time, until it is told to stop or the mount is lost.
#[derive(Debug)]
pub struct Writer {
    root: PathBuf,
    generator: Generator,
    pauses: Random,
    files: HashMap<u8, File>,
    /// The error that ended it.
    lost: Option<io::Error>,
}

impl Writer {
    /// A writer on the mount at `root`.
    pub fn new(root: &Path, generator: Generator, seed: u64) -> Self {
        Self { root: root.to_owned(), generator, pauses: Random::new(seed), files: HashMap::new(), lost: None }
    }

    /// Works until `stop`, or until it has done `limit` operations, and gives back the records. `done` counts them meanwhile.
    pub fn run(mut self, limit: usize, stop: &AtomicBool, done: &AtomicUsize) -> (Vec<Record>, Option<io::Error>) {
        let mut records = Vec::new();
        while records.len() < limit && !stop.load(Ordering::Acquire) && self.lost.is_none() {
            let op = self.generator.next_op();
            let start_ns = monotonic_ns();
            let outcome = self.perform(&op);
            let end_ns = (outcome != Outcome::Unknown).then(monotonic_ns);
            self.generator.note(&op, &outcome);
            records.push(Record { op, start_ns, end_ns, outcome });
            done.fetch_add(1, Ordering::Release);
            if self.pauses.below(2) == 0 {
                sleep(Duration::from_micros(self.pauses.below(MAX_PAUSE_US)));
            }
        }
        (records, self.lost)
    }

    fn perform(&mut self, op: &Op) -> Outcome {
        match self.try_perform(op) {
            Ok(outcome) => outcome,
            Err(error) => match error.raw_os_error().filter(|errno| REFUSALS.contains(errno)) {
                Some(errno) => Outcome::Failed(errno),
                None => {
                    self.lost = Some(error);
                    Outcome::Unknown
                }
            },
        }
    }

    fn try_perform(&mut self, op: &Op) -> io::Result<Outcome> {
        let at = |path: &str| self.root.join(path);
        match op {
            Op::Create { path, handle, append } => {
                let file = options(*append).create_new(true).open(at(path))?;
                self.files.insert(*handle, file);
            }
            Op::Open { path, handle, append } => {
                let file = options(*append).open(at(path))?;
                self.files.insert(*handle, file);
            }
            Op::Write { handle, offset, data } => {
                let bytes = data.bytes();
                let written = self.file(*handle)?.write_at(bytes, *offset)?;
                if written != bytes.len() {
                    return Err(io::Error::other(format!("{written} of {} bytes were written", bytes.len())));
                }
            }
            Op::Truncate { handle, len } => self.file(*handle)?.set_len(*len)?,
            Op::Read { handle } => {
                let mut bytes = vec![0; 1 << 20];
                let read = self.file(*handle)?.read_at(&mut bytes, 0)?;
                bytes.truncate(read);
                return Ok(Outcome::Bytes(bytes));
            }
            Op::Mkdir(path) => fs::create_dir(at(path))?,
            Op::Rmdir(path) => fs::remove_dir(at(path))?,
            Op::Unlink(path) => fs::remove_file(at(path))?,
            Op::Rename { from, to } => fs::rename(at(from), at(to))?,
            Op::Link { from, to } => fs::hard_link(at(from), at(to))?,
            Op::SyncFile { handle } => self.file(*handle)?.sync_all()?,
            Op::SyncDirectory(path) => File::open(at(path))?.sync_all()?,
        }
        Ok(Outcome::Done)
    }

    fn file(&self, handle: u8) -> io::Result<&File> {
        self.files.get(&handle).ok_or_else(|| io::Error::other("the generator chose a file that is not open"))
    }
}

fn options(append: bool) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(if append { libc::O_APPEND } else { 0 });
    options
}
