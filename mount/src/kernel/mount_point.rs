use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use super::mounting::{Unmounting, unmount};
use super::{MountEntry, MountTable};
use crate::errno;
use crate::error::MountError;

/// How long a mounted directory may take to answer before its agent counts as stuck.
const PROBE: Duration = Duration::from_secs(2);

/// A directory to mount on, by its canonical path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MountPoint {
    path: PathBuf,
}

impl MountPoint {
    /// Finds the canonical path without looking into what may be mounted there.
    ///
    /// # Errors
    /// When a directory on the way does not exist or does not answer.
    pub(crate) fn resolve(path: &Path) -> io::Result<Self> {
        let table = MountTable::read()?;
        let mut path = std::path::absolute(path)?;
        // A link may lead to a link; the kernel's own limit.
        for _ in 0..40 {
            let (Some(parent), Some(Component::Normal(name))) = (path.parent(), path.components().next_back()) else {
                return Ok(Self { path: path.canonicalize()? });
            };
            let candidate = parent.canonicalize()?.join(name);
            if table.at(&candidate).is_some() {
                return Ok(Self { path: candidate });
            }
            match fs::read_link(&candidate) {
                Ok(target) => path = candidate.parent().unwrap_or(Path::new("/")).join(target),
                Err(_) => return Ok(Self { path: candidate }),
            }
        }
        Err(io::Error::from_raw_os_error(libc::ELOOP))
    }

    /// The canonical path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What of ours is mounted there, if anything.
    ///
    /// # Errors
    /// When the table of mounts cannot be read.
    pub(crate) fn mounted(&self) -> Result<Option<MountEntry>, MountError> {
        let table = MountTable::read().map_err(MountError::io("cannot read the table of mounts"))?;
        Ok(table.at(&self.path).filter(|entry| entry.is_ours()).cloned())
    }

    /// Makes sure that it can be mounted on: a directory that exists, or is made, and no live mount of ours. The
    /// mount that a dead agent left behind is taken away.
    ///
    /// # Errors
    /// What is in the way.
    pub(crate) fn prepare(&self) -> Result<(), MountError> {
        while self.mounted()?.is_some() {
            match self.probe() {
                Some(Err(error)) if errno::is_dead_mount(&error) => {
                    tracing::warn!(path = %self.path.display(), "taking away the mount of an agent that has died");
                    match unmount(&self.path, Unmounting::Detach) {
                        Ok(()) => {}
                        Err(error) => {
                            return Err(MountError::mount_point(&self.path, format!("its dead mount cannot be taken away: {error}")));
                        }
                    }
                }
                _ => return Err(MountError::AlreadyMounted { path: self.path.clone(), pid: None }),
            }
        }
        match fs::metadata(&self.path) {
            Ok(metadata) if metadata.is_dir() => Ok(()),
            Ok(_) => Err(MountError::mount_point(&self.path, "it is not a directory")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir(&self.path).map_err(|error| MountError::mount_point(&self.path, error))
            }
            Err(error) => Err(MountError::mount_point(&self.path, error)),
        }
    }

    /// What a look at the directory answers; `None` when nothing comes back in time. The look is another thread's,
    /// which stays behind if it is never answered.
    fn probe(&self) -> Option<io::Result<()>> {
        let (sent, seen) = mpsc::channel();
        let path = self.path.clone();
        let look = move || {
            // Nobody waits any more if this takes too long.
            let _ = sent.send(fs::metadata(path).map(drop));
        };
        std::thread::Builder::new().name("probe".to_owned()).spawn(look).ok()?;
        seen.recv_timeout(PROBE).ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_and_dots_lead_to_one_path() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("a/b")).unwrap();
        symlink("a", root.join("link")).unwrap();
        symlink("link/b", root.join("far")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        for path in ["a/b", "a/b/", "link/b", "far", "a/./b", "a/b/../b", "a/b/."] {
            assert_eq!(MountPoint::resolve(&root.join(path)).unwrap().path(), root.join("a/b"), "{path}");
        }
        assert_eq!(MountPoint::resolve(&root.join("a/new")).unwrap().path(), root.join("a/new"));
        assert!(MountPoint::resolve(&root.join("loop")).is_err());
        assert!(MountPoint::resolve(&root.join("no/such")).is_err());
    }

    #[test]
    fn a_missing_directory_is_made_and_a_file_refused() {
        let dir = tempfile::tempdir().unwrap();
        let new = MountPoint::resolve(&dir.path().join("new")).unwrap();
        new.prepare().unwrap();
        assert!(new.path().is_dir());
        fs::write(dir.path().join("file"), "").unwrap();
        let file = MountPoint::resolve(&dir.path().join("file")).unwrap();
        assert!(matches!(file.prepare(), Err(MountError::MountPoint { .. })));
    }
}
