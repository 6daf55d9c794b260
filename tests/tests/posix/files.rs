//! Sparse and preallocated files, extended attributes, times, files that are being executed.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::process::Command;

use anyhow::{Result, ensure};
use artifacts_tests::time::Duration;
use artifacts_tests::{Lab, mounted};
use rustix::fs::{AtFlags, CWD, FallocateFlags, Mode, OFlags, SeekFrom, Timespec, Timestamps, XattrFlags};
use rustix::fs::{fallocate, getxattr, listxattr, removexattr, seek, setxattr, utimensat};
use rustix::io::Errno;
use serde_json::json;

use crate::user::{User, let_others_in, run};

const LIMIT: Duration = Duration::from_secs(5 * 60);
const TIB: u64 = 1 << 40;

#[test]
fn a_file_of_one_tebibyte_is_as_large_as_what_is_written_to_it() -> Result<()> {
    mounted("sparse", LIMIT, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let mount = lab.mount("one", &lab.workspace("sparse")?)?;
        let path = mount.join("sparse");
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        file.set_len(TIB)?;
        ensure!(seek(&file, SeekFrom::Data(0)) == Err(Errno::NXIO), "there is no data");
        file.write_all_at(b"middle", TIB / 2)?;
        file.write_all_at(b"end", TIB - 3)?;
        file.write_all_at(b"beyond", TIB + 5)?;
        ensure!((file.metadata()?.len(), file.metadata()?.blocks()) == (TIB + 11, 1), "{:?}", file.metadata()?);
        for (from, expected) in [
            (SeekFrom::Data(0), TIB / 2),
            (SeekFrom::Hole(0), 0),
            (SeekFrom::Hole(TIB / 2), TIB / 2 + 6),
            (SeekFrom::Data(TIB / 2 + 6), TIB - 3),
            (SeekFrom::Hole(TIB - 3), TIB),
            (SeekFrom::Data(TIB), TIB + 5),
            (SeekFrom::Hole(TIB + 5), TIB + 11),
        ] {
            ensure!(seek(&file, from)? == expected, "{from:?}: not {expected}");
        }
        let mut bytes = [1; 8];
        File::open(&path)?.read_exact_at(&mut bytes, TIB - 5)?;
        ensure!(bytes == *b"\0\0end\0\0\0");
        file.set_len(TIB / 2 + 3)?;
        file.set_len(TIB)?;
        file.read_exact_at(&mut bytes, TIB / 2 - 1)?;
        ensure!(bytes == *b"\0mid\0\0\0\0", "what was cut off came back");
        drop(file);
        mount.unmount()
    })
}

#[test]
fn fallocate_grows_punches_and_zeroes() -> Result<()> {
    mounted("fallocate", LIMIT, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let mount = lab.mount("one", &lab.workspace("fallocate")?)?;
        let file = File::options().read(true).write(true).create_new(true).open(mount.join("file"))?;
        let (keep, punch, zero) = (FallocateFlags::KEEP_SIZE, FallocateFlags::PUNCH_HOLE, FallocateFlags::ZERO_RANGE);
        for (flags, offset, len, expected) in [
            (FallocateFlags::empty(), 0, 4, &b"0123456789"[..]),
            (keep, 5, 20, b"0123456789"),
            (FallocateFlags::empty(), 8, 4, b"0123456789\0\0"),
            (punch | keep, 2, 3, b"01\0\0\x0056789"),
            (punch | keep, 8, 30, b"01234567\0\0"),
            (zero | keep, 4, 30, b"0123\0\0\0\0\0\0"),
            (zero, 7, 6, b"0123456\0\0\0\0\0\0"),
        ] {
            file.set_len(0)?;
            file.write_all_at(b"0123456789", 0)?;
            let before = file.metadata()?;
            fallocate(&file, flags, offset, len)?;
            ensure!(fs::read(mount.join("file"))? == expected, "{flags:?} {offset} {len}: {:?}", fs::read(mount.join("file"))?);
            let grew = file.metadata()?.len() > before.len();
            ensure!(grew == (expected.len() > 10), "{flags:?}: {} bytes", file.metadata()?.len());
        }
        ensure!(fallocate(&file, FallocateFlags::COLLAPSE_RANGE, 0, 4096) == Err(Errno::OPNOTSUPP));
        drop(file);
        mount.unmount()
    })
}

#[test]
fn extended_attributes_of_each_kind() -> Result<()> {
    mounted("xattrs", LIMIT, |scratch| {
        let_others_in(scratch)?;
        let lab = Lab::start(scratch, &json!({}))?;
        let workspace = lab.workspace("xattrs")?;
        let (mount, other) = (lab.mount("one", &workspace)?, lab.mount("other", &workspace)?);
        let (path, there) = (mount.join("file"), other.join("file"));
        fs::write(&path, "")?;
        let names = ["security.note", "trusted.note", "user.note"];
        for name in names {
            setxattr(&path, name, name.as_bytes(), XattrFlags::CREATE)?;
            ensure!(setxattr(&path, name, b"x", XattrFlags::CREATE) == Err(Errno::EXIST), "{name}");
            let mut value = [0; 64];
            let len = getxattr(&there, name, &mut value[..])?;
            ensure!(value[..len] == *name.as_bytes(), "{name}");
            ensure!(getxattr(&there, name, &mut value[..3]) == Err(Errno::RANGE), "{name}");
        }
        let mut list = [0; 256];
        let len = listxattr(&there, &mut list[..])?;
        ensure!(list[..len] == *b"security.note\0trusted.note\0user.note\0", "{:?}", String::from_utf8_lossy(&list[..len]));
        let guest = User { uid: 4321, gid: 4321, groups: "" };
        let seen = guest.run(mount.path(), "getfattr -m - \"$1\"", "file")?;
        let seen = String::from_utf8_lossy(&seen.stdout).into_owned();
        ensure!(seen.contains("user.note") && !seen.contains("trusted.note"), "a stranger sees {seen}");
        ensure!(setxattr(&path, "other.note", b"x", XattrFlags::empty()) == Err(Errno::OPNOTSUPP), "a name of no kind");
        for name in names {
            removexattr(&path, name)?;
            ensure!(removexattr(&there, name) == Err(Errno::NODATA), "{name}");
        }
        // capabilities(7): a change of content takes them away, also root's.
        run(mount.path(), "sh", &["-c", "setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 file"])?;
        fs::write(&path, "changed")?;
        ensure!(listxattr(&there, &mut list[..])? == 0, "capabilities outlive a change of content");
        mount.unmount()?;
        other.unmount()
    })
}

#[test]
fn times_have_nanoseconds_and_may_lie_before_1970() -> Result<()> {
    mounted("times", LIMIT, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let workspace = lab.workspace("times")?;
        let (mount, other) = (lab.mount("one", &workspace)?, lab.mount("other", &workspace)?);
        fs::write(mount.join("file"), "")?;
        for (seconds, nanos) in [(1_700_000_000, 123_456_789), (0, 1), (-1, 999_999_999), (-1_000_000_000, 5), (8_000_000_000, 0)] {
            let time = |seconds, nanos| Timespec { tv_sec: seconds, tv_nsec: nanos };
            let times = Timestamps { last_access: time(seconds, nanos), last_modification: time(seconds + 1, nanos) };
            utimensat(CWD, mount.join("file"), &times, AtFlags::empty())?;
            let found = fs::metadata(other.join("file"))?;
            let found = [(found.atime(), found.atime_nsec()), (found.mtime(), found.mtime_nsec())];
            ensure!(found == [(seconds, nanos), (seconds + 1, nanos)], "{found:?}");
        }
        mount.unmount()?;
        other.unmount()
    })
}

/// Opening to truncate is two steps, and the kernel refuses the second for a program that is being executed.
#[test]
fn a_program_that_runs_is_not_cut_by_an_open_that_is_refused() -> Result<()> {
    mounted("running", LIMIT, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let mount = lab.mount("one", &lab.workspace("running")?)?;
        let path = mount.join("sleep");
        fs::copy("/bin/sleep", &path)?;
        let whole = fs::read(&path)?;
        let mut running = Command::new(&path).arg("3600").spawn()?;
        let refused = rustix::fs::open(&path, OFlags::RDONLY | OFlags::TRUNC | OFlags::CLOEXEC, Mode::empty());
        let ended = running.try_wait();
        running.kill()?;
        running.wait()?;
        ensure!(refused.err() == Some(Errno::TXTBSY), "the open was not refused");
        ensure!(ended?.is_none(), "the program ended: its text was gone");
        ensure!(fs::read(&path)? == whole, "the program's file was cut");
        mount.unmount()
    })
}
