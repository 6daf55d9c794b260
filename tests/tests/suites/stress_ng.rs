//! stress-ng's stressors of the classes file system and I/O, with `--verify`.
//!
//! Left out are those that need another kind of file system than a mount of ours by its nature is (`verity`,
//! `fiemap`, `bind-mount`, `binderfs`), or that look at `/proc`, devices or the process instead of at files.

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context as _, Result, ensure};

use crate::place::{Place, suite};

/// How long each runs, of a bounded and of a full run, in seconds.
const SECONDS: (u32, u32) = (1, 60);
/// How many run at the same time.
const AT_ONCE: usize = 3;

/// Those of a bounded run.
const SOME: [&str; 14] =
    ["access", "chmod", "copy-file", "dentry", "dir", "fallocate", "flock", "getdent", "hdd", "iomix", "link", "rename", "utime", "xattr"];

/// The others of a full run.
const OTHERS: [&str; 33] = [
    "aio",
    "chattr",
    "chdir",
    "chown",
    "dirdeep",
    "dirmany",
    "dnotify",
    "dup",
    "fcntl",
    "file-ioctl",
    "filename",
    "fpunch",
    "fsize",
    "fstat",
    "handle",
    "inode-flags",
    "inotify",
    "io",
    "lease",
    "locka",
    "lockf",
    "lockofd",
    "mknod",
    "mmap",
    "msync",
    "open",
    "readahead",
    "seek",
    "sendfile",
    "splice",
    "symlink",
    "sync-file",
    "touch",
];

#[test]
fn stress_ng() -> Result<()> {
    suite("stress-ng", |place, scale| {
        let stressors: Vec<&str> = scale.pick(SOME.to_vec(), [&SOME[..], &OTHERS[..]].concat());
        let seconds = scale.pick(SECONDS.0, SECONDS.1);
        let mount = place.dir("stress-ng")?;
        let (pending, failures) = (Mutex::new(stressors.clone()), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    while let Some(stressor) = pending.lock().ok().and_then(|mut pending| pending.pop()) {
                        match run(place, &mount, stressor, seconds) {
                            Ok(()) => {}
                            Err(error) => failures.lock().map(|mut failures| failures.push(format!("{stressor}: {error:#}"))).unwrap_or(()),
                        }
                    }
                });
            }
        });
        let failures = failures.into_inner().ok().context("a thread panicked")?;
        println!("stress-ng: {} stressors for {seconds} s each, {} failed", stressors.len(), failures.len());
        ensure!(failures.is_empty(), "{}", failures.join("\n"));
        place.remount()?;
        let left: Vec<_> = fs::read_dir(place.path().join("stress-ng"))?.flatten().map(|entry| entry.file_name()).collect();
        ensure!(left.is_empty(), "stressors left {left:?}");
        Ok(())
    })
}

/// Runs one stressor in a directory of its own, which must be removable afterwards.
fn run(place: &Place<'_>, mount: &Path, stressor: &str, seconds: u32) -> Result<()> {
    let dir = mount.join(stressor);
    fs::create_dir(&dir)?;
    let (path, timeout, option) = (dir.display().to_string(), format!("{seconds}s"), format!("--{stressor}"));
    let arguments = ["--temp-path", &path, "--verify", "--timeout", &timeout, "--stdout", &option, "1"];
    let said = place.shell(place.local("logs")).run("stress-ng", &arguments)?;
    // It ends with 0 also when it has done nothing.
    ensure!(said.contains("successful run completed") && !said.contains("skipp"), "{said}");
    fs::remove_dir(&dir).with_context(|| format!("what {stressor} left"))
}
