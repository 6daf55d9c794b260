//! What a mount answers once its right has ended.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::Mount;
use artifacts_tests::time::{Duration, wait_until};
use rustix::fs::{AtFlags, CWD, Dir, FallocateFlags, Mode, OFlags, Timestamps, XattrFlags};
use rustix::io::Errno;

/// Things that were opened while the right stood: descriptors of a file and of a directory, and a mapping in a
/// process of its own.
pub(crate) struct Witness {
    file: File,
    dir: File,
    mapping: Child,
}

impl Witness {
    /// Opens them on the mount.
    pub(crate) fn new(mount: &Mount) -> Result<Self> {
        let path = mount.join("witness");
        fs::write(&path, vec![b'w'; 8192])?;
        fs::write(mount.join("witness-2"), "2")?;
        let mut mapping = Command::new(env!("CARGO_BIN_EXE_map-reader")).arg(&path).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(mapping.stdout.take().context("no output")?).read_line(&mut line)?;
        ensure!(line.starts_with("ready"), "the mapping cannot be read: {line:?}");
        Ok(Self { file: File::options().read(true).write(true).open(path)?, dir: File::open(mount.path())?, mapping })
    }

    /// Every call on them fails with EACCES, and the mapped page is gone.
    pub(crate) fn expect_refused(mut self) -> Result<()> {
        let (file, mut byte) = (&self.file, [0]);
        let no_times = Timestamps { last_access: now(), last_modification: now() };
        expect_access_denied(vec![
            ("pread", rustix::io::pread(file, &mut byte, 0).map(drop)),
            ("pwrite", rustix::io::pwrite(file, b"x", 0).map(drop)),
            ("fstat", rustix::fs::fstat(file).map(drop)),
            ("ftruncate", rustix::fs::ftruncate(file, 1)),
            ("fsync", rustix::fs::fsync(file)),
            ("fdatasync", rustix::fs::fdatasync(file)),
            ("fchmod", rustix::fs::fchmod(file, Mode::RUSR)),
            ("futimens", rustix::fs::futimens(file, &no_times)),
            ("fallocate", rustix::fs::fallocate(file, FallocateFlags::empty(), 0, 10_000)),
            ("fgetxattr", rustix::fs::fgetxattr(file, "user.a", &mut [0u8; 10]).map(drop)),
            ("fsetxattr", rustix::fs::fsetxattr(file, "user.a", b"1", XattrFlags::empty())),
            ("fstatfs", rustix::fs::fstatfs(file).map(drop)),
            ("getdents", Dir::read_from(&self.dir).and_then(|mut dir| dir.next().map_or(Ok(()), |entry| entry.map(drop)))),
            ("openat", rustix::fs::openat(&self.dir, "witness", OFlags::RDONLY, Mode::empty()).map(drop)),
        ])?;
        let mut status = None;
        wait_until("the mapped page is taken away", Duration::from_secs(10), || {
            status = self.mapping.try_wait()?;
            Ok(status.is_some())
        })?;
        let signal = status.and_then(|status| status.signal());
        ensure!(signal == Some(libc::SIGBUS), "the mapping ended with {status:?} instead of SIGBUS");
        Ok(())
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        // It has ended already if all is well.
        let _ = self.mapping.kill();
        let _ = self.mapping.wait();
    }
}

/// Every call by name fails with EACCES: on what is there, on what is not, and on the mount point itself.
pub(crate) fn expect_every_call_refused(mount: &Path) -> Result<()> {
    let (there, absent, linked) = (mount.join("witness"), mount.join("never-made"), mount.join("witness-2"));
    let open = |path: &Path, flags| rustix::fs::open(path, flags, Mode::RWXU).map(drop);
    expect_access_denied(vec![
        ("stat of the mount point", rustix::fs::stat(mount).map(drop)),
        ("statfs", rustix::fs::statfs(mount).map(drop)),
        ("opendir", open(mount, OFlags::RDONLY | OFlags::DIRECTORY)),
        ("stat", rustix::fs::stat(&there).map(drop)),
        ("lstat", rustix::fs::lstat(&there).map(drop)),
        ("stat of what is not there", rustix::fs::stat(&absent).map(drop)),
        ("access", rustix::fs::access(&there, rustix::fs::Access::READ_OK)),
        ("open to read", open(&there, OFlags::RDONLY)),
        ("open to write", open(&there, OFlags::WRONLY)),
        ("open to truncate", open(&there, OFlags::WRONLY | OFlags::TRUNC)),
        ("create", open(&absent, OFlags::WRONLY | OFlags::CREATE)),
        ("create exclusively", open(&absent, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)),
        ("mkdir", rustix::fs::mkdir(&absent, Mode::RWXU)),
        ("rmdir", rustix::fs::rmdir(mount.join("hammer/entries"))),
        ("unlink", rustix::fs::unlink(&there)),
        ("rename", rustix::fs::rename(&there, &absent)),
        ("link", rustix::fs::link(&linked, &absent)),
        ("symlink", rustix::fs::symlink("target", &absent)),
        ("readlink", rustix::fs::readlink(&there, Vec::new()).map(drop)),
        ("mkfifo", rustix::fs::mknodat(CWD, &absent, rustix::fs::FileType::Fifo, Mode::RWXU, 0)),
        ("chmod", rustix::fs::chmod(&there, Mode::RWXU)),
        ("chown", rustix::fs::chownat(CWD, &there, None, None, AtFlags::empty())),
        ("getxattr", rustix::fs::getxattr(&there, "user.a", &mut [0u8; 10]).map(drop)),
        ("setxattr", rustix::fs::setxattr(&there, "user.a", b"1", XattrFlags::empty())),
        ("listxattr", rustix::fs::listxattr(&there, &mut [0u8; 10]).map(drop)),
        ("removexattr", rustix::fs::removexattr(&there, "user.a")),
    ])
}

fn expect_access_denied(calls: Vec<(&str, Result<(), Errno>)>) -> Result<()> {
    let wrong: Vec<_> = calls.iter().filter(|(_, result)| *result != Err(Errno::ACCESS)).collect();
    ensure!(wrong.is_empty(), "these do not fail with EACCES: {wrong:?}");
    Ok(())
}

fn now() -> rustix::time::Timespec {
    rustix::time::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW }
}
