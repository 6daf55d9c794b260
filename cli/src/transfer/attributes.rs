use std::ffi::CStr;
use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Timestamps, XattrFlags};
use rustix::time::Timespec;

/// The largest value of an extended attribute (xattr(7)), and the longest list of names, in bytes.
const XATTR_MAX_BYTES: usize = 64 << 10;

/// Whether this process may give files away and make devices.
pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Gives `to` the extended attributes, owner, mode and times that `from` had. Nothing is followed if it is a link.
///
/// # Errors
/// The file system's, naming what it refused.
pub(super) fn copy_all(from: &Path, had: &Metadata, to: &Path) -> io::Result<()> {
    copy_xattrs(from, to)?;
    copy_ownership(had, to)?;
    copy_times(had, to)
}

/// Owner, if this process may, and mode.
pub(super) fn copy_ownership(had: &Metadata, to: &Path) -> io::Result<()> {
    let named = |what: &'static str| move |error: io::Error| io::Error::new(error.kind(), format!("cannot set the {what}: {error}"));
    let has = fs::symlink_metadata(to)?;
    if is_root() && (has.uid(), has.gid()) != (had.uid(), had.gid()) {
        std::os::unix::fs::lchown(to, Some(had.uid()), Some(had.gid())).map_err(named("owner"))?;
    }
    // A change of the owner takes setuid and setgid away, so the mode comes after it.
    if !had.is_symlink() && fs::symlink_metadata(to)?.mode() & 0o7777 != had.mode() & 0o7777 {
        fs::set_permissions(to, Permissions::from_mode(had.mode() & 0o7777)).map_err(named("mode"))?;
    }
    Ok(())
}

fn copy_times(had: &Metadata, to: &Path) -> io::Result<()> {
    let times = Timestamps {
        last_access: Timespec { tv_sec: had.atime(), tv_nsec: had.atime_nsec() as _ },
        last_modification: Timespec { tv_sec: had.mtime(), tv_nsec: had.mtime_nsec() as _ },
    };
    Ok(rustix::fs::utimensat(CWD.as_fd(), to, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

fn copy_xattrs(from: &Path, to: &Path) -> io::Result<()> {
    let mut names = vec![0; XATTR_MAX_BYTES];
    let len = match rustix::fs::llistxattr(from, &mut names) {
        Ok(len) => len,
        Err(rustix::io::Errno::NOTSUP) => 0,
        Err(error) => return Err(error.into()),
    };
    let mut value = Vec::new();
    for name in names[..len].split_inclusive(|&byte| byte == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else { continue };
        if !is_ours_to_copy(name.to_bytes()) {
            continue;
        }
        value.resize(XATTR_MAX_BYTES, 0);
        let len = match rustix::fs::lgetxattr(from, name, &mut value) {
            Ok(len) => len,
            // It has just been removed.
            Err(rustix::io::Errno::NODATA) => continue,
            Err(error) => return Err(error.into()),
        };
        rustix::fs::lsetxattr(to, name, &value[..len], XattrFlags::empty()).map_err(|error| {
            let (error, name) = (io::Error::from(error), std::ffi::OsStr::from_bytes(name.to_bytes()).display().to_string());
            io::Error::new(error.kind(), format!("cannot set the extended attribute {name}: {error}"))
        })?;
    }
    Ok(())
}

/// Some attributes belong to the machine, and some only root may set.
fn is_ours_to_copy(name: &[u8]) -> bool {
    let begins = |prefix: &str| name.starts_with(prefix.as_bytes());
    begins("user.") || begins("system.posix_acl_") || (is_root() && (begins("trusted.") || name == b"security.capability"))
}
