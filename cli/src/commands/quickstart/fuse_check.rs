//! Whether this machine lets this user mount with FUSE, and what to do if not.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

const DEVICE: &str = "/dev/fuse";
/// capabilities(7)
const CAP_SYS_ADMIN: u32 = 21;
const IN_A_CONTAINER: &str = "in a container, start it with --device /dev/fuse --cap-add SYS_ADMIN";

/// Goes on if FUSE can be used; answers how.
///
/// # Errors
/// What is missing, and how to get it.
pub(super) fn check() -> anyhow::Result<String> {
    match File::options().read(true).write(true).open(DEVICE) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Failure::failed(format!("there is no {DEVICE}: this machine has no FUSE"))
                .hint(format!("run `modprobe fuse` as root; {IN_A_CONTAINER}"))
                .into());
        }
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) || error.raw_os_error() == Some(libc::ENXIO) => {
            return Err(Failure::failed(format!("{DEVICE} has no driver behind it")).hint("run `modprobe fuse` as root").into());
        }
        Err(error) => {
            let hint = if is_root() {
                IN_A_CONTAINER.to_owned()
            } else {
                format!("let this user open {DEVICE} (`chmod 0666 {DEVICE}` as root); {IN_A_CONTAINER}")
            };
            return Err(Failure::failed(format!("{DEVICE} cannot be opened: {error}")).hint(hint).into());
        }
    }
    if is_root() {
        if !may_mount() {
            return Err(Failure::failed("this process may not mount: it is root without CAP_SYS_ADMIN").hint(IN_A_CONTAINER).into());
        }
        return Ok("as root".to_owned());
    }
    match fusermount() {
        Some(path) => Ok(format!("through {}", path.display())),
        None => Err(Failure::failed("an ordinary user needs fusermount3 to mount, and it is not there")
            .hint("run `apt-get install fuse3` as root, or run this as root")
            .into()),
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether the effective capabilities hold CAP_SYS_ADMIN; where the kernel does not say, the mount itself will.
fn may_mount() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    effective.is_none_or(|capabilities| capabilities >> CAP_SYS_ADMIN & 1 == 1)
}

fn fusermount() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/bin", "/bin", "/usr/local/bin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(usual).map(|directory| directory.join("fusermount3")).find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok() && file.is_file()
}
