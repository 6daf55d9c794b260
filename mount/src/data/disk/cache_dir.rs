use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use artifacts_core::name::WorkspaceAddress;
use bytes::Bytes;
use rustix::fs::{Timestamps, UTIME_NOW};
use rustix::time::Timespec;

use super::super::BlockId;
use super::files::{CacheFiles, FileName};

/// Below the directory that the user named: what is ours. The number changes with the layout.
const BLOCKS: &str = "blocks-2";
/// The longest file, in bytes: as long as a segment.
const FILE_MAX_BYTES: u32 = 8 << 20;
/// A file that is not complete, or a directory that is being removed.
const UNFINISHED: &str = "unfinished-";

/// The files in a directory: `blocks-2/{handle}/{workspace}/{2 hex digits}/{segment}-{offset}-{length}`, all of them
/// private to their owner.
#[derive(Debug)]
pub(super) struct CacheDir {
    root: PathBuf,
    workspace: Arc<str>,
    /// Whether the root has been there: a disk that went away is not written around.
    was_opened: AtomicBool,
    next_unfinished: AtomicU64,
}

impl CacheDir {
    /// Below `root`, for this workspace; `None` if its name is no name for a directory.
    pub(super) fn new(root: &Path, workspace: &str) -> Option<Self> {
        let address: WorkspaceAddress = workspace.parse().ok()?;
        (address.to_string() == workspace && workspace.split('/').count() == 2).then(|| Self {
            root: root.to_owned(),
            workspace: workspace.into(),
            was_opened: AtomicBool::new(false),
            next_unfinished: AtomicU64::new(0),
        })
    }

    fn blocks(&self) -> PathBuf {
        self.root.join(BLOCKS)
    }

    fn path(&self, file: &FileName) -> PathBuf {
        let BlockId { segment, offset, len, .. } = file.id;
        let mut path = self.blocks();
        path.push(&*file.workspace);
        path.push(format!("{:02x}", segment.bits() as u8));
        path.push(format!("{segment}-{offset}-{len}"));
        path
    }

    fn own(&self, id: &BlockId) -> PathBuf {
        self.path(&FileName { workspace: Arc::clone(&self.workspace), id: *id })
    }

    /// A name that no other process chooses.
    fn unfinished(&self) -> PathBuf {
        let number = self.next_unfinished.fetch_add(1, Ordering::Relaxed);
        self.blocks().join(format!("{UNFINISHED}{}-{number}", std::process::id()))
    }

    /// Moves a complete file to its place, for which directories may have to be made.
    fn put_in_place(&self, from: &Path, to: &Path) -> io::Result<()> {
        match fs::rename(from, to) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            outcome => return outcome,
        }
        let blocks = self.blocks();
        let missing: Vec<_> = to.ancestors().skip(1).take_while(|above| *above != blocks).collect();
        for directory in missing.into_iter().rev() {
            make_private(directory)?;
        }
        fs::rename(from, to)
    }
}

impl CacheFiles for CacheDir {
    fn open(&self) -> io::Result<Vec<FileName>> {
        if !self.was_opened.load(Ordering::Relaxed) {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.root)?;
        }
        let blocks = self.blocks();
        make_private(&blocks)?;
        let found = fs::symlink_metadata(&blocks)?;
        if !found.is_dir() || found.uid() != rustix::process::geteuid().as_raw() {
            return Err(io::Error::new(ErrorKind::PermissionDenied, format!("{} belongs to somebody else", blocks.display())));
        }
        if found.mode() & 0o077 != 0 {
            fs::set_permissions(&blocks, fs::Permissions::from_mode(0o700))?;
        }
        // Whether it can be written shows here rather than with the first block.
        let probe = self.unfinished();
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&probe)?;
        fs::remove_file(&probe)?;
        self.was_opened.store(true, Ordering::Relaxed);
        scan(&blocks)
    }

    fn workspace(&self) -> &Arc<str> {
        &self.workspace
    }

    fn read(&self, id: &BlockId, range: Range<u32>) -> io::Result<Option<Bytes>> {
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = match OpenOptions::new().read(true).custom_flags(flags).open(self.own(id)) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() != u64::from(id.len) {
            return Ok(Some(Bytes::new()));
        }
        let mut data = vec![0; range.len()];
        file.read_exact_at(&mut data, u64::from(range.start))?;
        mark_used(&file);
        Ok(Some(Bytes::from(data)))
    }

    fn write(&self, id: &BlockId, data: &[Bytes]) -> io::Result<()> {
        let unfinished = self.unfinished();
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        let written = data.iter().try_for_each(|piece| file.write_all(piece)).and_then(|()| self.put_in_place(&unfinished, &self.own(id)));
        if written.is_err() {
            // The error that matters is the first.
            let _ = fs::remove_file(&unfinished);
        }
        written
    }

    fn remove(&self, file: &FileName) -> io::Result<()> {
        gone(fs::remove_file(self.path(file)))
    }

    fn remove_all(&self) -> io::Result<()> {
        // Out of the way at once, then piece by piece. If this process does not come to it, the next scan does.
        let going = self.unfinished();
        match fs::rename(self.blocks().join(&*self.workspace), &going) {
            Ok(()) => fs::remove_dir_all(going),
            Err(error) => gone(Err(error)),
        }
    }
}

fn make_private(directory: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        outcome => outcome,
    }
}

/// A file or directory that does not exist needs not be removed.
fn gone(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// The mtime says when a file was used last; without it the order is a little worse.
fn mark_used(file: &File) {
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW as _ };
    let _ = rustix::fs::futimens(file, &Timestamps { last_access: now, last_modification: now });
}

/// All files, the least recently used first. What dead processes left unfinished is removed; what is strange is let be.
fn scan(blocks: &Path) -> io::Result<Vec<FileName>> {
    let mut found = Vec::new();
    for handle in fs::read_dir(blocks)? {
        let handle = handle?;
        let Ok(handle_name) = handle.file_name().into_string() else { continue };
        if let Some(unfinished) = handle_name.strip_prefix(UNFINISHED) {
            clear_unfinished(&handle.path(), unfinished);
            continue;
        }
        for workspace in entries(&handle.path()) {
            let Ok(name) = workspace.file_name().into_string() else { continue };
            let workspace_name: Arc<str> = format!("{handle_name}/{name}").into();
            for file in entries(&workspace.path()).flat_map(|part| entries(&part.path())) {
                let id = file.file_name().to_str().and_then(parse);
                if let (Some(id), Ok(metadata)) = (id, file.metadata()) {
                    found.push(((metadata.mtime(), metadata.mtime_nsec()), FileName { workspace: Arc::clone(&workspace_name), id }));
                }
            }
        }
    }
    found.sort_by_key(|(used, _)| *used);
    Ok(found.into_iter().map(|(_, file)| file).collect())
}

/// Others may remove what is being listed.
fn entries(directory: &Path) -> impl Iterator<Item = fs::DirEntry> + use<> {
    fs::read_dir(directory).into_iter().flatten().flatten()
}

fn clear_unfinished(path: &Path, rest_of_name: &str) {
    let pid = rest_of_name.split('-').next().and_then(|pid| pid.parse().ok()).and_then(rustix::process::Pid::from_raw);
    let is_alive = pid.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH));
    if !is_alive {
        // Whatever fails here fails again at the next scan.
        let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    }
}

fn parse(name: &str) -> Option<BlockId> {
    let mut parts = name.split('-');
    let (segment, offset, len) = (parts.next()?, parts.next()?, parts.next()?);
    let id = BlockId::stretch(segment.parse().ok()?, offset.parse().ok()?, len.parse().ok()?);
    let is_sound = id.len > 0 && id.len <= FILE_MAX_BYTES && id.offset.checked_add(id.len).is_some();
    (parts.next().is_none() && is_sound).then_some(id)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use artifacts_core::SegmentId;

    fn id(offset: u32, data: &[u8]) -> BlockId {
        BlockId::unchecked(77, offset, data.len() as u32)
    }

    fn write(dir: &CacheDir, id: &BlockId, data: &'static [u8]) -> io::Result<()> {
        dir.write(id, &[Bytes::from_static(data)])
    }

    #[test]
    fn files_are_private_found_again_and_read_back() {
        let root = tempfile::tempdir().unwrap();
        let dir = CacheDir::new(&root.path().join("new/cache"), "acme/task").unwrap();
        assert!(dir.open().unwrap().is_empty());
        let (one, other) = (id(0, b"first"), id(5, b"second"));
        dir.write(&one, &[Bytes::from_static(b"fir"), Bytes::from_static(b"st")]).unwrap();
        write(&dir, &other, b"second").unwrap();
        write(&dir, &other, b"second").unwrap();
        // The clock of files may stand for some milliseconds.
        let written = Timespec { tv_sec: 1, tv_nsec: 0 };
        let written = Timestamps { last_access: written, last_modification: written };
        for id in [&one, &other] {
            rustix::fs::futimens(File::open(dir.own(id)).unwrap(), &written).unwrap();
        }
        assert_eq!(dir.read(&one, 0..one.len).unwrap().unwrap(), "first");
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&dir.own(&one)), 0o600);
        assert!(dir.own(&one).ancestors().skip(1).take_while(|above| *above != root.path()).all(|above| mode(above) == 0o700));

        let again = CacheDir::new(&root.path().join("new/cache"), "acme/task").unwrap();
        let found: Vec<_> = again.open().unwrap().into_iter().map(|file| file.id).collect();
        assert_eq!(found, [other, one], "the one that was read is the younger one");
        again.remove(&FileName { workspace: Arc::clone(again.workspace()), id: one }).unwrap();
        again.remove(&FileName { workspace: Arc::clone(again.workspace()), id: one }).unwrap();
        assert!(dir.read(&one, 0..one.len).unwrap().is_none());
    }

    #[test]
    fn a_workspace_goes_as_a_whole_and_alone() {
        let root = tempfile::tempdir().unwrap();
        let (ours, theirs) = (CacheDir::new(root.path(), "acme/a").unwrap(), CacheDir::new(root.path(), "acme/b").unwrap());
        ours.open().unwrap();
        let block = id(0, b"block");
        write(&ours, &block, b"block").unwrap();
        write(&theirs, &block, b"block").unwrap();
        ours.remove_all().unwrap();
        ours.remove_all().unwrap();
        assert!(ours.read(&block, 0..block.len).unwrap().is_none());
        assert_eq!(theirs.open().unwrap(), [FileName { workspace: "acme/b".into(), id: block }]);
        write(&ours, &block, b"block").unwrap();
        assert!(ours.read(&block, 0..block.len).unwrap().is_some(), "another mount of it goes on");
    }

    #[test]
    fn what_a_dead_process_left_goes_and_what_is_strange_stays() {
        let root = tempfile::tempdir().unwrap();
        let dir = CacheDir::new(root.path(), "acme/task").unwrap();
        dir.open().unwrap();
        let blocks = dir.blocks();
        // Larger than any process id.
        fs::write(blocks.join("unfinished-1999999999-0"), "x").unwrap();
        fs::create_dir(blocks.join("unfinished-1999999999-1")).unwrap();
        let living = blocks.join(format!("unfinished-{}-77", std::process::id()));
        fs::write(&living, "x").unwrap();
        fs::create_dir_all(blocks.join("acme/task/00")).unwrap();
        fs::write(blocks.join("acme/task/00/strange"), "x").unwrap();
        assert!(dir.open().unwrap().is_empty());
        assert_eq!(fs::read_dir(&blocks).unwrap().count(), 2);
        assert!(living.exists());
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_no_workspace() {
        for name in ["", "acme", "../x", "acme/..", "acme/a/b", "/acme/a", "artifacts://acme/a"] {
            assert!(CacheDir::new(Path::new("/nowhere"), name).is_none(), "{name}");
        }
    }

    #[test]
    fn a_link_in_place_of_the_directory_is_refused_and_a_lost_root_is_not_made_again() {
        let root = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), root.path().join(BLOCKS)).unwrap();
        assert!(CacheDir::new(root.path(), "acme/task").unwrap().open().is_err());

        let lost = root.path().join("lost");
        let dir = CacheDir::new(&lost, "acme/task").unwrap();
        dir.open().unwrap();
        fs::remove_dir_all(&lost).unwrap();
        assert!(write(&dir, &id(0, b"block"), b"block").is_err());
        assert!(dir.open().is_err());
        assert!(!lost.exists());
    }

    #[test]
    fn names_are_read_strictly() {
        let good = format!("{}-0-5", SegmentId::from_bits(7));
        assert!(parse(&good).is_some());
        for bad in ["", "a-b-c", &format!("{good}-1"), &good.replace("-5", "-0"), &good.replace("-5", "-9000000")] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}
