//! POSIX access control lists, set with setfacl(1) and enforced by the kernel on every mount.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;

use anyhow::{Result, ensure};
use artifacts_tests::time::Duration;
use artifacts_tests::{Lab, mounted};
use serde_json::json;

use crate::user::{User, let_others_in, run};

const LIMIT: Duration = Duration::from_secs(5 * 60);
const GUEST: User<'_> = User { uid: 4321, gid: 4321, groups: "" };

/// What getfacl(1) says, without the comments on it.
fn getfacl(dir: &Path, name: &str) -> Result<String> {
    let text = run(dir, "getfacl", &["--omit-header", "--numeric", "--no-effective", name])?;
    Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn setfacl(dir: &Path, arguments: &[&str]) -> Result<()> {
    run(dir, "setfacl", arguments).map(drop)
}

fn mode(path: &Path) -> Result<u32> {
    Ok(fs::metadata(path)?.mode() & 0o7777)
}

#[test]
fn the_kernel_enforces_an_access_list_on_every_mount() -> Result<()> {
    mounted("acls", LIMIT, |scratch| {
        let_others_in(scratch)?;
        let lab = Lab::start(scratch, &json!({}))?;
        let workspace = lab.workspace("acls")?;
        let (one, other) = (lab.mount("one", &workspace)?, lab.mount("other", &workspace)?);
        fs::write(one.join("file"), "secret")?;
        fs::set_permissions(one.join("file"), Permissions::from_mode(0o600))?;
        let reads = || GUEST.can(other.path(), "cat \"$1\"", "file");
        let writes = || GUEST.can(other.path(), "echo more >> \"$1\"", "file");
        ensure!(!reads()?, "a stranger reads the file");

        setfacl(one.path(), &["-m", "u:4321:r", "file"])?;
        ensure!(getfacl(other.path(), "file")? == "user::rw- user:4321:r-- group::--- mask::r-- other::---");
        ensure!(mode(&other.join("file"))? == 0o640, "the group bits are those of the mask");
        ensure!(reads()?, "whom the list names does not read");
        ensure!(!writes()?, "whom the list lets read writes");

        fs::set_permissions(one.join("file"), Permissions::from_mode(0o600))?;
        ensure!(getfacl(other.path(), "file")? == "user::rw- user:4321:r-- group::--- mask::--- other::---");
        ensure!(!reads()?, "the mask does not count");

        setfacl(one.path(), &["-m", "u:4321:rw", "file"])?;
        ensure!(reads()? && writes()?, "the list was widened");
        one.unmount()?;
        other.unmount()?;

        let again = lab.mount("again", &workspace)?;
        ensure!(getfacl(again.path(), "file")? == "user::rw- user:4321:rw- group::--- mask::rw- other::---");
        setfacl(again.path(), &["-b", "file"])?;
        ensure!(getfacl(again.path(), "file")? == "user::rw- group::--- other::---");
        ensure!(!GUEST.can(again.path(), "cat \"$1\"", "file")?, "the list is gone and still counts");
        ensure!(!run(again.path(), "getfattr", &["-m", "-", "file"]).unwrap_or_default().contains("posix_acl"), "a mode is kept as a list");
        again.unmount()
    })
}

#[test]
fn a_default_list_is_handed_down_and_takes_the_place_of_the_umask() -> Result<()> {
    mounted("default-acls", LIMIT, |scratch| {
        let_others_in(scratch)?;
        let lab = Lab::start(scratch, &json!({}))?;
        let workspace = lab.workspace("acls")?;
        let mount = lab.mount("one", &workspace)?;
        fs::create_dir(mount.join("dir"))?;
        setfacl(mount.path(), &["-m", "u:4321:rwx", "-m", "d:u:4321:rwx", "dir"])?;
        run(&mount.join("dir"), "sh", &["-c", "umask 077; echo hello > file; mkdir sub; mkfifo pipe; echo again > sub/file"])?;
        let default = "default:user::rwx default:user:4321:rwx default:group::r-x default:mask::rwx default:other::r-x";
        for (path, access) in [("file", "rw-"), ("pipe", "rw-"), ("sub/file", "rw-")] {
            let expected = format!("user::rw- user:4321:rwx group::r-x mask::{access} other::r--");
            ensure!(getfacl(&mount.join("dir"), path)? == expected, "{path}: {}", getfacl(&mount.join("dir"), path)?);
        }
        let sub = getfacl(&mount.join("dir"), "sub")?;
        ensure!(sub == format!("user::rwx user:4321:rwx group::r-x mask::rwx other::r-x {default}"), "sub: {sub}");
        ensure!(
            GUEST.can(&mount.join("dir/sub"), "cat ../file && echo more >> file && echo new > mine", "")?,
            "what is handed down lets in"
        );
        run(mount.path(), "sh", &["-c", "umask 077; echo hello > private; mkdir hidden"])?;
        ensure!((mode(&mount.join("private"))?, mode(&mount.join("hidden"))?) == (0o600, 0o700), "the umask does not count elsewhere");
        mount.unmount()
    })
}

/// As `posix_acl_update_mode` of the kernel's own file systems.
#[test]
fn an_owner_outside_the_group_loses_set_group_id() -> Result<()> {
    mounted("acl-setgid", LIMIT, |scratch| {
        let_others_in(scratch)?;
        let lab = Lab::start(scratch, &json!({}))?;
        let mount = lab.mount("one", &lab.workspace("acls")?)?;
        let file = mount.join("file");
        fs::write(&file, "")?;
        chown(&file, Some(4321), Some(99))?;
        let member = User { groups: "7,99", ..GUEST };
        for (user, list, expected) in [(member, "u:5:r", 0o2755), (GUEST, "u:7:r", 0o755)] {
            fs::set_permissions(&file, Permissions::from_mode(0o2755))?;
            ensure!(user.can(mount.path(), &format!("setfacl -m {list} \"$1\""), "file")?, "the owner may set a list");
            ensure!(mode(&file)? == expected, "{user:?}: {:o}", mode(&file)?);
        }
        fs::set_permissions(&file, Permissions::from_mode(0o2755))?;
        setfacl(mount.path(), &["-m", "u:6:r", "file"])?;
        ensure!(mode(&file)? == 0o2755, "root keeps it");
        ensure!(!User { uid: 1, ..GUEST }.can(mount.path(), "setfacl -m u:8:r \"$1\"", "file")?, "only the owner sets a list");
        mount.unmount()
    })
}
