use std::ffi::CString;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fuser::{Config, Filesystem, MountOption, Notifier, Session, SessionACL};
use rustix::mount::{MountFlags, UnmountFlags};

use super::FILE_SYSTEM_TYPE;
use crate::error::MountError;

/// The setuid helper of libfuse, which mounts for users other than root.
const HELPER: &str = "fusermount3";

/// How a mount reaches the kernel by itself.
#[derive(Debug)]
pub(crate) struct KernelSide {
    /// Drops caches of single files.
    pub(crate) notifier: Notifier,
    /// The FUSE descriptor, for what the library does not know.
    pub(crate) device: Option<OwnedFd>,
}

/// Mounts, and serves from threads of its own until the kernel lets go of the mount; then `gone` runs. `source` is what
/// the table of mounts shows.
///
/// # Errors
/// Why the kernel, or the helper, does not mount.
pub(crate) fn mount<F: Filesystem>(
    file_system: F,
    path: &Path,
    source: &str,
    read_only: bool,
    threads: usize,
    gone: impl FnOnce() + Send + 'static,
) -> Result<KernelSide, MountError> {
    let mut config = Config::default();
    config.n_threads = Some(threads.max(1));
    config.clone_fd = true;
    let session = match direct_mount(path, source, read_only) {
        Ok(device) => {
            let session = Session::from_fd(file_system, device, SessionACL::All, config);
            session.inspect_err(|_| drop(unmount(path, Unmounting::Detach)))
        }
        Err(rustix::io::Errno::PERM) => {
            config.acl = SessionACL::Owner;
            config.mount_options = vec![
                MountOption::FSName(source.to_owned()),
                MountOption::Subtype("artifacts".to_owned()),
                MountOption::DefaultPermissions,
                if read_only { MountOption::RO } else { MountOption::RW },
            ];
            Session::new(file_system, path, &config)
        }
        Err(error) => Err(error.into()),
    };
    let session = session.map_err(|error| MountError::mount_point(path, explain(&error)))?;
    let side = KernelSide { notifier: session.notifier(), device: session.as_fd().try_clone_to_owned().ok() };
    let serve = move || {
        if let Err(error) = session.run() {
            tracing::error!(%error, "serving the kernel ended with an error");
        }
        gone();
    };
    std::thread::Builder::new().name("fuse".to_owned()).spawn(serve).map_err(MountError::io("cannot start a thread"))?;
    Ok(side)
}

fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            format!("{error}; FUSE is needed: load the kernel module (modprobe fuse), and unless root install {HELPER} (package fuse3)")
        }
        io::ErrorKind::PermissionDenied => format!("{error}; the user needs access to /dev/fuse and to the directory"),
        _ => error.to_string(),
    }
}

/// mount(2) by our own right, with device nodes and set-user-id programs as on any file system of root's.
fn direct_mount(path: &Path, source: &str, read_only: bool) -> Result<OwnedFd, rustix::io::Errno> {
    let device = OpenOptions::new().read(true).write(true).open("/dev/fuse").map_err(|error| {
        let number = error.raw_os_error().unwrap_or(libc::EIO);
        // A user who may not open the device may still have the helper.
        if number == libc::EACCES { rustix::io::Errno::PERM } else { rustix::io::Errno::from_raw_os_error(number) }
    })?;
    let data = format!(
        "fd={},rootmode=40000,user_id={},group_id={},default_permissions,allow_other",
        device.as_raw_fd(),
        rustix::process::getuid().as_raw(),
        rustix::process::getgid().as_raw(),
    );
    let data = CString::new(data).map_err(|_| rustix::io::Errno::INVAL)?;
    let flags = if read_only { MountFlags::RDONLY } else { MountFlags::empty() };
    rustix::mount::mount(source, path, FILE_SYSTEM_TYPE, flags, data.as_c_str())?;
    Ok(device.into())
}

/// How to unmount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unmounting {
    /// Only if nothing is open.
    IfUnused,
    /// From sight at once, in fact when the last program lets go.
    Detach,
}

/// Unmounts what is on top at this path.
///
/// # Errors
/// `ResourceBusy` if it is in use, `InvalidInput` if nothing is mounted.
pub(crate) fn unmount(path: &Path, how: Unmounting) -> io::Result<()> {
    let flags = match how {
        Unmounting::IfUnused => UnmountFlags::NOFOLLOW,
        Unmounting::Detach => UnmountFlags::NOFOLLOW | UnmountFlags::DETACH,
    };
    match rustix::mount::unmount(path, flags) {
        Err(rustix::io::Errno::PERM) => helper_unmount(path.to_owned(), how),
        result => result.map_err(Into::into),
    }
}

fn helper_unmount(path: PathBuf, how: Unmounting) -> io::Result<()> {
    let mut command = Command::new(HELPER);
    command.arg("-u");
    if how == Unmounting::Detach {
        command.arg("-z");
    }
    let output = command.arg("--").arg(path).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let kind = if message.contains("busy") { io::ErrorKind::ResourceBusy } else { io::ErrorKind::Other };
    Err(io::Error::new(kind, message))
}
