use std::fs::OpenOptions;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

/// Makes sure that this machine can mount.
///
/// # Errors
/// Says what is missing and how to get it.
pub fn require_fuse() -> Result<()> {
    OpenOptions::new().read(true).write(true).open("/dev/fuse").context(
        "these tests need FUSE, and /dev/fuse cannot be opened here: load the kernel module (modprobe fuse); \
         in a container pass --device /dev/fuse --cap-add SYS_ADMIN",
    )?;
    let helper = ["/bin/fusermount3", "/usr/bin/fusermount3", "/usr/local/bin/fusermount3"].iter().any(|path| Path::new(path).exists());
    ensure!(
        rustix::process::geteuid().is_root() || helper,
        "these tests need to mount: run them as root, or install fusermount3 (Debian: apt-get install fuse3)"
    );
    Ok(())
}
