use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use artifacts_core::ticket::Mode;
use artifacts_core::{SessionId, Timestamp};
use serde::{Deserialize, Serialize};

/// A log this long is set aside when the next mount begins, in bytes.
const LOG_MAX_BYTES: u64 = 4 << 20;

/// What is on record of a mount. Holds the session's secret, so that whoever follows a dead agent can end the session
/// it left behind; hence mode 0600.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MountRecord {
    pub(crate) mountpoint: PathBuf,
    pub(crate) workspace: String,
    pub(crate) mode: Mode,
    pub(crate) pid: u32,
    pub(crate) since: Timestamp,
    pub(crate) session: SessionId,
    pub(crate) secret: String,
    pub(crate) endpoints: Vec<String>,
}

/// The directory in which this host's mounts are on record. Nobody but its owner may enter.
#[derive(Debug, Clone)]
pub(crate) struct StateDir {
    root: PathBuf,
}

impl StateDir {
    /// The directory at `root`, which need not exist yet.
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    fn private(&self, name: &str) -> io::Result<PathBuf> {
        let dir = self.root.join(name);
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        Ok(dir)
    }

    fn mounts(&self) -> PathBuf {
        self.root.join("mounts")
    }

    /// The control socket of the mount on this canonical path.
    pub(crate) fn socket(&self, mountpoint: &Path) -> PathBuf {
        self.mounts().join(format!("{}.sock", key(mountpoint)))
    }

    fn record_file(&self, mountpoint: &Path) -> PathBuf {
        self.mounts().join(format!("{}.json", key(mountpoint)))
    }

    /// Makes what a mount needs.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        self.private("mounts").map(drop)
    }

    /// Puts a mount on record.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn write(&self, record: &MountRecord) -> io::Result<()> {
        let path = self.record_file(&record.mountpoint);
        let partial = path.with_extension("partial");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
        file.write_all(&serde_json::to_vec(record)?)?;
        fs::rename(partial, path)
    }

    /// What is on record of the mount on this canonical path.
    pub(crate) fn read(&self, mountpoint: &Path) -> Option<MountRecord> {
        serde_json::from_slice(&fs::read(self.record_file(mountpoint)).ok()?).ok()
    }

    /// All records, in the order of their directories.
    ///
    /// # Errors
    /// The file system's; a directory that does not exist has no records.
    pub(crate) fn records(&self) -> io::Result<Vec<MountRecord>> {
        let entries = match fs::read_dir(self.mounts()) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut records: Vec<MountRecord> = entries
            .flatten()
            .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "json"))
            .filter_map(|entry| serde_json::from_slice(&fs::read(entry.path()).ok()?).ok())
            .collect();
        records.sort_by(|one, other| one.mountpoint.cmp(&other.mountpoint));
        Ok(records)
    }

    /// Removes what is on record of a mount.
    pub(crate) fn forget(&self, mountpoint: &Path) {
        let _ = fs::remove_file(self.record_file(mountpoint));
        let _ = fs::remove_file(self.socket(mountpoint));
    }

    /// The log of the mount on this path, to append to.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn log(&self, mountpoint: &Path) -> io::Result<(PathBuf, File)> {
        let path = self.private("log")?.join(format!("{}.log", key(mountpoint)));
        if fs::metadata(&path).is_ok_and(|metadata| metadata.len() > LOG_MAX_BYTES) {
            fs::rename(&path, path.with_extension("log.old"))?;
        }
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
        Ok((path, file))
    }
}

/// A short name for a path that needs no escaping: 64-bit FNV-1a. It must stay the same across versions, since an
/// older agent may listen under it.
fn key(path: &Path) -> String {
    let hash = path
        .as_os_str()
        .as_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn records_are_private_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(&dir.path().join("state"));
        assert!(state.records().unwrap().is_empty());
        state.prepare().unwrap();
        let record = MountRecord {
            mountpoint: PathBuf::from("/mnt/b"),
            workspace: "acme/task".to_owned(),
            mode: Mode::Rw,
            pid: 7,
            since: Timestamp::from_unix_ms(1),
            session: SessionId::from_bits(1),
            secret: "sesame".to_owned(),
            endpoints: vec![],
        };
        state.write(&record).unwrap();
        state.write(&MountRecord { mountpoint: PathBuf::from("/mnt/a"), ..record }).unwrap();
        let found: Vec<_> = state.records().unwrap().into_iter().map(|record| record.mountpoint).collect();
        assert_eq!(found, [PathBuf::from("/mnt/a"), PathBuf::from("/mnt/b")]);
        assert_eq!(state.read(Path::new("/mnt/b")).unwrap().secret, "sesame");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&state.record_file(Path::new("/mnt/b"))), 0o600);
        assert_eq!(mode(&state.mounts()), 0o700);
        state.forget(Path::new("/mnt/b"));
        assert!(state.read(Path::new("/mnt/b")).is_none());
    }

    #[test]
    fn names_of_sockets_never_change() {
        assert_eq!(key(Path::new("")), "cbf29ce484222325");
        assert_eq!(key(Path::new("a")), "af63dc4c8601ec8c");
    }
}
