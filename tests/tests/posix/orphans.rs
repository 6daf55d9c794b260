//! Files without a name that programs have open.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use anyhow::{Result, ensure};
use artifacts_tests::time::{Duration, wait_until};
use artifacts_tests::{Credential, Lab, Mount, mounted};
use rustix::fs::{CWD, FileType, Mode, mknodat, statvfs};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(5 * 60);

#[test]
fn a_file_unlinked_on_another_mount_lives_until_it_is_closed() -> Result<()> {
    mounted("orphans", LIMIT, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let workspace = lab.workspace("orphans")?;
        let (mount, other) = (lab.mount("one", &workspace)?, lab.mount("other", &workspace)?);
        let used = || -> Result<u64> { statvfs(mount.path()).map(|stat| stat.f_files - stat.f_ffree).map_err(Into::into) };
        let before = used()?;
        fs::write(mount.join("file"), "content")?;
        let file = File::options().read(true).write(true).open(mount.join("file"))?;
        fs::remove_file(other.join("file"))?;
        ensure!(fs::metadata(mount.join("file")).is_err(), "the name is gone");
        file.write_all_at(b"C", 0)?;
        let mut bytes = [0; 7];
        file.read_exact_at(&mut bytes, 0)?;
        ensure!(bytes == *b"Content" && file.metadata()?.nlink() == 0);
        ensure!(used()? == before + 1, "it counts while it is open");
        drop(file);
        wait_until("the file is gone", Duration::from_secs(60), || Ok(used()? == before))?;

        // What mknod(2) makes nobody has open, so it ends soon after its last link: another mount may be about to open it.
        mknodat(CWD, mount.join("node"), FileType::RegularFile, Mode::RUSR, 0)?;
        fs::remove_file(other.join("node"))?;
        wait_until("what nobody has open is gone", Duration::from_secs(60), || Ok(used()? == before))?;
        mount.unmount()?;
        other.unmount()
    })
}

/// The session is confined to a subpath, so the node has to tell where each inode lies, also when the directory in
/// which it stood has no name any more.
#[test]
fn below_a_subpath_an_open_file_outlives_its_directory() -> Result<()> {
    mounted("subpath-orphans", LIMIT, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let workspace = lab.workspace("orphans")?;
        let body = json!({ "workspace": workspace, "mode": "rw", "ttl_seconds": 600, "subpath": "a/b" });
        let guest = Mount::new(scratch, "guest", &Credential::Ticket(lab.ticket_with("guest", "r", &body)?))?;
        let owner = lab.mount("owner", &workspace)?;
        fs::create_dir_all(guest.join("x/y"))?;
        fs::write(guest.join("x/y/file"), "content")?;
        let file = File::options().read(true).write(true).open(guest.join("x/y/file"))?;
        fs::remove_file(guest.join("x/y/file"))?;
        fs::remove_dir(guest.join("x/y"))?;
        fs::remove_dir(owner.join("a/b/x"))?;
        file.write_all_at(b"C", 0)?;
        let mut bytes = [0; 7];
        file.read_exact_at(&mut bytes, 0)?;
        ensure!(bytes == *b"Content" && file.metadata()?.nlink() == 0);
        drop(file);
        let used = || -> Result<u64> { statvfs(owner.path()).map(|stat| stat.f_files - stat.f_ffree).map_err(Into::into) };
        wait_until("file and directories are gone", Duration::from_secs(60), || Ok(used()? == 3))?;
        guest.unmount()?;
        owner.unmount()
    })
}
