use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::SeekFrom;
use rustix::io::Errno;

use super::attributes;

/// How much is copied in one go, in bytes: what the mount stores in one go.
const CHUNK_BYTES: u64 = 1 << 20;

/// Copies a regular file to a name that does not exist yet, with all its attributes. Holes stay holes.
///
/// # Errors
/// The file systems'; [`io::ErrorKind::Interrupted`] when `stop` is set; another when the source changes meanwhile.
pub(super) fn copy(from: &Path, to: &Path, durably: bool, stop: &AtomicBool, done: impl Fn(u64)) -> io::Result<()> {
    let source = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(from)?;
    let before = source.metadata()?;
    if !before.is_file() {
        return Err(changed());
    }
    let target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    let mut buffer = vec![0; CHUNK_BYTES.min(before.len()) as usize];
    let mut at = 0;
    while let Some((start, end)) = next_data(&source, at, before.len())? {
        done(start - at);
        at = start;
        while at < end {
            if stop.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            // Chunks end at the same places in every file, wherever data begins.
            let len = (CHUNK_BYTES - at % CHUNK_BYTES).min(end - at) as usize;
            source.read_exact_at(&mut buffer[..len], at).map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => changed(),
                _ => error,
            })?;
            target.write_all_at(&buffer[..len], at)?;
            at += len as u64;
            done(len as u64);
        }
    }
    done(before.len() - at);
    // A hole at the end.
    if target.metadata()?.len() != before.len() {
        target.set_len(before.len())?;
    }
    let after = source.metadata()?;
    if (after.len(), after.mtime(), after.mtime_nsec()) != (before.len(), before.mtime(), before.mtime_nsec()) {
        return Err(changed());
    }
    attributes::copy_all(from, &before, to)?;
    if durably { target.sync_all() } else { Ok(()) }
}

fn changed() -> io::Error {
    io::Error::other("it changed while it was copied")
}

/// The next stretch of data from `at` on; `None` if only a hole is left.
fn next_data(file: &File, at: u64, len: u64) -> io::Result<Option<(u64, u64)>> {
    if at >= len {
        return Ok(None);
    }
    let start = match rustix::fs::seek(file, SeekFrom::Data(at)) {
        Ok(start) => start,
        Err(Errno::NXIO) => return Ok(None),
        // A file system that knows of no holes.
        Err(Errno::INVAL) => return Ok(Some((at, len))),
        Err(error) => return Err(error.into()),
    };
    let end = rustix::fs::seek(file, SeekFrom::Hole(start))?;
    Ok((start < len).then_some((start, end.min(len))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn data_holes_times_and_mode_come_along() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        let file = File::create(&from).unwrap();
        file.write_all_at(&[7; 100_000], 3 << 20).unwrap();
        file.set_len(100 << 20).unwrap();
        let done = std::cell::Cell::new(0);
        copy(&from, &to, true, &AtomicBool::new(false), |bytes| done.set(done.get() + bytes)).unwrap();
        assert_eq!(done.get(), 100 << 20);
        let (one, other) = (fs::metadata(&from).unwrap(), fs::metadata(&to).unwrap());
        assert_eq!((one.len(), one.mtime(), one.mtime_nsec(), one.mode()), (other.len(), other.mtime(), other.mtime_nsec(), other.mode()));
        assert!(other.blocks() * 512 < 10 << 20, "the holes are filled");
        assert!(fs::read(&from).unwrap() == fs::read(&to).unwrap());
    }

    #[test]
    fn it_stops_when_told_and_never_overwrites() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::write(&from, vec![1; 10]).unwrap();
        let stopped = copy(&from, &to, false, &AtomicBool::new(true), |_| {}).unwrap_err();
        assert_eq!(stopped.kind(), io::ErrorKind::Interrupted);
        assert_eq!(copy(&from, &to, false, &AtomicBool::new(false), |_| {}).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }
}
