//! Times of last access, as on a file system mounted with `relatime`.

use std::fs::{self, File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, symlink};
use std::path::Path;

use anyhow::{Result, ensure};
use artifacts_tests::time::{Duration, wait_until};
use artifacts_tests::{Credential, Lab, Mount, mounted};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use serde_json::json;

/// atime, mtime and ctime in nanoseconds.
fn times(path: &Path) -> Result<[i128; 3]> {
    let metadata = fs::symlink_metadata(path)?;
    let nanos = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    Ok([
        nanos(metadata.atime(), metadata.atime_nsec()),
        nanos(metadata.mtime(), metadata.mtime_nsec()),
        nanos(metadata.ctime(), metadata.ctime_nsec()),
    ])
}

/// Whether `access` moves atime past everything, and then not again; mtime and ctime stay.
fn moves_once(path: &Path, access: impl Fn() -> Result<()>) -> Result<()> {
    let before = times(path)?;
    access()?;
    // The first access is on its way before the call returns; nothing promises that it has arrived.
    wait_until(&format!("the access to {} is seen", path.display()), Duration::from_secs(30), || {
        Ok(times(path)?[0] > before[2].max(before[1]))
    })?;
    let after = times(path)?;
    ensure!(after[1..] == before[1..], "{}: {before:?} became {after:?}", path.display());
    access()?;
    ensure!(times(path)? == after, "{}: a second access counts", path.display());
    Ok(())
}

fn read(path: &Path, flags: i32) -> Result<()> {
    let mut text = String::new();
    OpenOptions::new().read(true).custom_flags(flags).open(path)?.read_to_string(&mut text)?;
    Ok(())
}

#[test]
fn the_first_access_after_a_change_counts() -> Result<()> {
    mounted("atime", Duration::from_secs(5 * 60), |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let workspace = lab.workspace("atime")?;
        let mount = lab.mount("one", &workspace)?;
        let (file, dir, link) = (mount.join("file"), mount.join("dir"), mount.join("link"));
        fs::write(&file, "content")?;
        fs::create_dir(&dir)?;
        fs::write(dir.join("entry"), "")?;
        symlink("file", &link)?;
        for _ in 0..2 {
            moves_once(&file, || read(&file, 0))?;
            fs::write(&file, "other content")?;
        }
        let before = times(&file)?;
        read(&file, libc::O_NOATIME)?;
        ensure!(times(&file)? == before, "O_NOATIME");
        fs::write(&file, "content once more")?;
        moves_once(&file, || read(&file, 0))?;
        moves_once(&dir, || {
            ensure!(fs::read_dir(&dir)?.count() == 1);
            Ok(())
        })?;
        moves_once(&link, || {
            ensure!(fs::read_link(&link)?.as_os_str() == "file");
            Ok(())
        })?;
        moves_once(mount.path(), || {
            ensure!(fs::read_dir(mount.path())?.count() == 3);
            Ok(())
        })?;

        // Once a day, even if nothing changes.
        let of = |seconds| Timespec { tv_sec: seconds, tv_nsec: 0 };
        let now = fs::metadata(&file)?.ctime();
        let stale = Timestamps { last_access: of(now - 25 * 60 * 60), last_modification: of(now - 90 * 60 * 60) };
        utimensat(CWD, &file, &stale, AtFlags::empty())?;
        // What the kernel has cached it answers without telling anybody.
        mount.unmount()?;
        let mount = lab.mount("again", &workspace)?;
        let file = mount.join("file");
        moves_once(&file, || read(&file, 0))?;
        mount.unmount()
    })
}

#[test]
fn a_read_only_mount_leaves_times_alone() -> Result<()> {
    mounted("atime-ro", Duration::from_secs(5 * 60), |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let workspace = lab.workspace("atime")?;
        let (mount, ticket) = (lab.mount("one", &workspace)?, lab.ticket("two", "r", &workspace, "ro")?);
        fs::write(mount.join("file"), "content")?;
        let before = times(&mount.join("file"))?;
        let reader = Mount::new(scratch, "reader", &Credential::Ticket(ticket))?;
        read(&reader.join("file"), 0)?;
        ensure!(fs::read_dir(reader.path())?.count() == 1);
        // The reader's last word is behind whatever it may have said of the file.
        reader.unmount()?;
        ensure!(times(&mount.join("file"))? == before);
        drop(File::open(mount.join("file"))?);
        mount.unmount()
    })
}
