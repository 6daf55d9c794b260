//! A tree with every kind of file, and all that can be told of one.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timestamps, XattrFlags};
use rustix::time::Timespec;

/// All that must arrive of one file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Portrait {
    mode: u32,
    owner: (u32, u32),
    mtime: (i64, i64),
    len: u64,
    rdev: u64,
    /// The first name of the same file.
    first_name: Option<PathBuf>,
    target: Option<PathBuf>,
    xattr: Option<Vec<u8>>,
    content: Option<blake3::Hash>,
}

/// What is below a directory, itself included.
pub(crate) fn portraits(root: &Path) -> Result<BTreeMap<PathBuf, Portrait>> {
    let (mut found, mut first_names) = (BTreeMap::new(), BTreeMap::new());
    let mut pending = vec![root.to_owned()];
    let mut all = Vec::new();
    while let Some(path) = pending.pop() {
        if fs::symlink_metadata(&path)?.is_dir() {
            for entry in fs::read_dir(&path)? {
                pending.push(entry?.path());
            }
        }
        all.push(path);
    }
    all.sort();
    for path in all {
        let metadata = fs::symlink_metadata(&path)?;
        let name = path.strip_prefix(root)?.to_owned();
        let several = metadata.is_file() && metadata.nlink() > 1;
        let mut value = vec![0; 1000];
        let xattr = rustix::fs::lgetxattr(&path, "user.note", &mut value).ok().map(|len| value[..len].to_vec());
        let portrait = Portrait {
            mode: metadata.mode(),
            owner: (metadata.uid(), metadata.gid()),
            mtime: (metadata.mtime(), metadata.mtime_nsec()),
            len: if metadata.is_file() { metadata.len() } else { 0 },
            rdev: metadata.rdev(),
            first_name: several.then(|| first_names.entry(metadata.ino()).or_insert_with(|| name.clone()).clone()),
            target: fs::read_link(&path).ok(),
            xattr,
            content: if metadata.is_file() { Some(blake3::hash(&fs::read(&path)?)) } else { None },
        };
        found.insert(name, portrait);
    }
    Ok(found)
}

/// Makes the tree. Needs root.
pub(crate) fn paint(root: &Path) -> Result<()> {
    fs::create_dir_all(root.join("deep/er/est"))?;
    fs::create_dir(root.join("empty"))?;
    fs::write(root.join("nothing"), "")?;
    fs::write(root.join("deep/small"), "small")?;
    fs::write(root.join("deep/er/large"), (0..5_000_000u32).map(|at| (at / 999) as u8).collect::<Vec<_>>())?;
    fs::write(root.join(OsStr::from_bytes(b"not \xff utf-8 \n name")), "odd")?;
    fs::write(root.join("n".repeat(255)), "long")?;
    fs::hard_link(root.join("deep/small"), root.join("empty/same"))?;
    fs::hard_link(root.join("deep/small"), root.join("same"))?;
    symlink("deep/er/large", root.join("link"))?;
    symlink("/no/where", root.join("deep/dangling"))?;
    let sparse = File::create(root.join("sparse"))?;
    sparse.write_all_at(b"island", 20 << 20)?;
    sparse.set_len(50 << 20)?;
    for (kind, name, device) in [
        (FileType::Fifo, "pipe", 0),
        (FileType::Socket, "socket", 0),
        (FileType::CharacterDevice, "null", rustix::fs::makedev(1, 3)),
        (FileType::BlockDevice, "block", rustix::fs::makedev(7, 200)),
    ] {
        rustix::fs::mknodat(CWD, root.join(name), kind, Mode::from_bits_retain(0o640), device)?;
    }
    rustix::fs::lsetxattr(root.join("deep/small"), "user.note", b"a note", XattrFlags::empty())?;
    rustix::fs::lsetxattr(root.join("deep"), "user.note", b"on a directory", XattrFlags::empty())?;
    chown(root.join("nothing"), Some(1234), Some(4321))?;
    fs::set_permissions(root.join("nothing"), Permissions::from_mode(0o6755))?;
    fs::set_permissions(root.join("deep/er"), Permissions::from_mode(0o555))?;
    fs::set_permissions(root.join("empty"), Permissions::from_mode(0o1777))?;
    for (name, at) in [("deep/er/large", 1), ("link", -1), ("deep", 999_999_999), ("pipe", 4_000_000_000), ("", 5)] {
        let time = Timespec { tv_sec: at, tv_nsec: 123_456_789 };
        rustix::fs::utimensat(CWD, root.join(name), &Timestamps { last_access: time, last_modification: time }, AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}

/// Fails with the first that differs.
pub(crate) fn expect_same(one: &Path, other: &Path) -> Result<()> {
    let (mut one, mut other) = (portraits(one)?, portraits(other)?);
    for (name, portrait) in &mut one {
        let there = other.remove(name).with_context(|| format!("{} is missing", name.display()))?;
        anyhow::ensure!(*portrait == there, "{}: {portrait:?} became {there:?}", name.display());
    }
    anyhow::ensure!(other.is_empty(), "there is more: {:?}", other.keys());
    Ok(())
}
