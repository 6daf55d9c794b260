//! Hard quotas, as programs meet them.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;

use anyhow::{Result, ensure};
use artifacts_tests::time::{Duration, wait_until};
use artifacts_tests::{Lab, mounted};
use rustix::fs::{XattrFlags, setxattr, statvfs};
use rustix::io::Errno;
use serde_json::json;

const BYTES: u64 = 1 << 20;
const INODES: u64 = 10;

fn is_edquot(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EDQUOT)
}

#[test]
fn what_exceeds_a_quota_fails_and_statfs_shows_what_is_left() -> Result<()> {
    mounted("quotas", Duration::from_secs(5 * 60), |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        lab.api.post("/v1/workspaces", &json!({ "name": "small", "quota_bytes": BYTES, "quota_inodes": INODES }))?;
        let mount = lab.mount("one", "acme/small")?;
        let stat = statvfs(mount.path())?;
        ensure!(stat.f_blocks * stat.f_frsize == BYTES && stat.f_files == INODES, "{} blocks, {} files", stat.f_blocks, stat.f_files);
        ensure!((stat.f_bavail, stat.f_ffree) == (stat.f_blocks, INODES - 1), "{} blocks, {} files left", stat.f_bavail, stat.f_ffree);

        let file = File::options().write(true).create_new(true).open(mount.join("file"))?;
        file.write_all_at(&vec![7; BYTES as usize - 100], 0)?;
        let error = file.write_all_at(&[7; 101], BYTES).err();
        ensure!(error.as_ref().is_some_and(is_edquot), "{error:?}");
        ensure!(file.metadata()?.len() == BYTES - 100, "a write that failed changed something");
        file.write_all_at(&[8; 1000], 0)?;
        ensure!(setxattr(mount.join("file"), "user.a", &[1; 200], XattrFlags::empty()) == Err(Errno::DQUOT), "attributes count");
        setxattr(mount.join("file"), "user.a", &[1; 94], XattrFlags::empty())?;
        ensure!(file.write_all_at(&[7], BYTES).err().as_ref().is_some_and(is_edquot), "the quota is used up");
        ensure!(statvfs(mount.path())?.f_bavail == 0);

        for index in 0..INODES - 2 {
            fs::create_dir(mount.join(format!("dir{index}")))?;
        }
        let error = fs::write(mount.join("one-too-many"), "").err();
        ensure!(error.as_ref().is_some_and(is_edquot), "{error:?}");
        ensure!(statvfs(mount.path())?.f_ffree == 0);
        drop(file);
        fs::remove_file(mount.join("file"))?;
        wait_until("there is room again", Duration::from_secs(60), || Ok(fs::write(mount.join("fits"), "content").is_ok()))?;
        mount.unmount()
    })
}
