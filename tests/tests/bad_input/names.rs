//! File names and paths at the limits, on a mount and seen from a second one.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::Duration;
use artifacts_tests::{Lab, mounted};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde_json::json;

#[test]
fn names_at_the_limit_work_and_names_beyond_it_say_so() -> Result<()> {
    mounted("names", Duration::from_secs(5 * 60), |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let workspace = lab.workspace("names")?;
        let (one, other) = (lab.mount("one", &workspace)?, lab.mount("other", &workspace)?);
        let too_long = |result: std::io::Result<()>| result.err().and_then(|error| error.raw_os_error()) == Some(libc::ENAMETOOLONG);

        let good: Vec<OsString> = vec![
            OsString::from("n".repeat(255)),
            OsString::from("ü".repeat(127)),
            OsString::from("🦀".repeat(63)),
            OsString::from_vec(vec![0xff; 255]),
            OsString::from_vec(b"half \xc3 a character".to_vec()),
            OsString::from_vec((1..=255).filter(|&byte| byte != b'/').collect()),
            OsString::from("new\nline"),
            OsString::from("..."),
            OsString::from(" "),
            OsString::from("-rf"),
        ];
        for name in &good {
            let shown = name.to_string_lossy().chars().take(20).collect::<String>();
            fs::write(one.join(name), name.as_bytes()).with_context(|| shown.clone())?;
            ensure!(fs::read(other.join(name)).with_context(|| shown.clone())? == name.as_bytes(), "{shown}: other content");
        }
        ensure!(sorted(other.path())? == sorted_names(good.clone()), "the listing has other names");
        for name in [OsString::from("n".repeat(256)), OsString::from_vec(vec![0xff; 256]), OsString::from("n".repeat(1000))] {
            let (path, there) = (one.join(&name), one.join(&good[0]));
            ensure!(too_long(fs::write(&path, "x")), "create");
            ensure!(too_long(fs::create_dir(&path)), "mkdir");
            ensure!(too_long(fs::rename(&there, &path)), "rename");
            ensure!(too_long(fs::hard_link(&there, &path)), "link");
            ensure!(too_long(symlink("target", &path)), "symlink");
            ensure!(too_long(fs::metadata(&path).map(drop)), "stat");
        }
        ensure!(sorted(other.path())? == sorted_names(good.clone()), "a refused call left something");
        links(one.path(), other.path())?;
        paths(one.path(), other.path())?;
        sizes(one.path())?;
        one.unmount()?;
        ensure!(fs::read(other.join(&good[3]))? == good[3].as_bytes(), "lost after the first mount has gone");
        other.unmount()
    })
}

fn sorted(dir: &Path) -> Result<Vec<OsString>> {
    Ok(sorted_names(fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name())).collect::<Result<Vec<_>>>()?))
}

fn sorted_names(mut names: Vec<OsString>) -> Vec<OsString> {
    names.sort();
    names
}

/// Symbolic links up to the longest path, which is 4,095 bytes and a NUL.
fn links(one: &Path, other: &Path) -> Result<()> {
    let target = |length: usize| OsString::from_vec((0..length).map(|index| if index % 2 == 0 { 0xfe } else { b'/' }).collect());
    symlink(target(4095), one.join("longest-link"))?;
    ensure!(fs::read_link(other.join("longest-link"))?.as_os_str() == target(4095), "the longest link has another target");
    let error = symlink(target(4096), one.join("longer-link")).err().and_then(|error| error.raw_os_error());
    ensure!(error == Some(libc::ENAMETOOLONG), "a target of 4,096 bytes: {error:?}");
    Ok(fs::remove_file(one.join("longest-link"))?)
}

/// A path of 4,096 bytes is refused by name, and the directories are reached one by one all the same.
fn paths(one: &Path, other: &Path) -> Result<()> {
    let deep = |root: &Path, levels: usize| (0..levels).fold(PathBuf::from(root), |path, _| path.join("d".repeat(200)));
    let mut dir = rustix::fs::open(one, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
    for _ in 0..30 {
        rustix::fs::mkdirat(&dir, "d".repeat(200), Mode::RWXU)?;
        dir = rustix::fs::openat(&dir, "d".repeat(200), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
    }
    let file = rustix::fs::openat(&dir, "deepest", OFlags::CREATE | OFlags::WRONLY, Mode::RWXU)?;
    rustix::io::write(&file, b"deep")?;
    drop(file);
    let reachable = deep(other, 4000 / 201 - 1);
    ensure!(fs::metadata(&reachable)?.is_dir(), "a long path cannot be reached");
    for levels in [21, 30] {
        let error = rustix::fs::stat(deep(other, levels)).err();
        ensure!(error == Some(Errno::NAMETOOLONG), "a path of {} bytes: {error:?}", deep(other, levels).as_os_str().len());
    }
    let mut dir = rustix::fs::open(other, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
    for _ in 0..30 {
        dir = rustix::fs::openat(&dir, "d".repeat(200), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
    }
    let mut bytes = [0; 10];
    let file = rustix::fs::openat(&dir, "deepest", OFlags::RDONLY, Mode::empty())?;
    ensure!(rustix::io::read(&file, &mut bytes)? == 4, "the deepest file has another length");
    Ok(())
}

/// Offsets and attributes beyond what a file can have.
fn sizes(one: &Path) -> Result<()> {
    let file = File::options().read(true).write(true).create(true).truncate(true).open(one.join("sizes"))?;
    let errno = |result: std::io::Result<()>| result.err().and_then(|error| error.raw_os_error());
    let refused = [Some(libc::EFBIG), Some(libc::EINVAL)];
    for (what, result) in [
        ("truncate to 2^63 - 1", file.set_len(i64::MAX as u64)),
        ("truncate past the largest file", file.set_len((16 << 40) + 1)),
        ("write past the largest file", file.write_all_at(b"x", 16 << 40)),
        ("write at 2^63 - 1", file.write_all_at(b"x", i64::MAX as u64)),
    ] {
        let error = errno(result);
        ensure!(refused.contains(&error), "{what}: {error:?}");
        ensure!(file.metadata()?.len() == 0, "{what} changed the length");
    }
    file.set_len(1 << 40).context("a sparse file of 1 TiB")?;
    let mut byte = [1];
    file.read_exact_at(&mut byte, (1 << 40) - 1)?;
    ensure!(byte == [0], "a hole holds {byte:?}");

    let path = one.join("sizes");
    let set = |name: &str, bytes: usize| rustix::fs::setxattr(&path, name, &vec![b'v'; bytes], rustix::fs::XattrFlags::empty());
    set("user.large", 60_000).context("an attribute of 60,000 bytes")?;
    ensure!(set("user.larger", 65_537).is_err(), "an attribute of 65,537 bytes was accepted");
    let long_name = format!("user.{}", "n".repeat(250));
    set(&long_name, 10).context("an attribute with a name of 255 bytes")?;
    ensure!(set(&format!("{long_name}n"), 10).is_err(), "an attribute with a name of 256 bytes was accepted");
    let mut value = vec![0; 65_536];
    ensure!(rustix::fs::getxattr(&path, OsStr::new("user.large"), &mut value)? == 60_000, "the attribute has another length");
    Ok(())
}
