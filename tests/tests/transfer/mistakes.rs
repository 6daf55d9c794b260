//! What is wrong, and how it is said.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;

use anyhow::{Result, ensure};
use artifacts_tests::time::Duration;
use artifacts_tests::{Lab, mounted};
use serde_json::json;

use crate::command::Cli;

#[test]
fn wrong_places_and_files_in_the_way_are_told_by_the_exit_code() -> Result<()> {
    mounted("transfer-mistakes", Duration::from_secs(5 * 60), |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let address = lab.workspace("project")?;
        let cli = Cli { lab: &lab, scratch };
        let origin = scratch.join("origin");
        fs::create_dir_all(origin.join("dir"))?;
        fs::write(origin.join("dir/file"), "1")?;
        fs::write(origin.join("other"), "2")?;
        let mount = lab.mount("tenant", &address)?;
        symlink("/etc", mount.join("trap"))?;
        fs::write(mount.join("dir"), "in the way of a directory")?;

        let (here, elsewhere) = (origin.as_os_str(), scratch.join("elsewhere"));
        let place = |path: &str| format!("{address}:{path}");
        let code = |arguments: &[&OsStr]| Ok::<_, anyhow::Error>(cli.run(arguments)?.status.code());
        for (what, expected, arguments) in [
            ("no workspace", 4, ["import".as_ref(), here, "acme/missing".as_ref()]),
            ("no source", 4, ["import".as_ref(), elsewhere.as_ref(), address.as_ref()]),
            ("no such path", 4, ["export".as_ref(), place("no/thing").as_ref(), elsewhere.as_ref()]),
            ("no name for a workspace", 2, ["import".as_ref(), here, "a/b/c".as_ref()]),
            ("a path that leads out", 2, ["import".as_ref(), here, place("../x").as_ref()]),
            ("a link", 2, ["import".as_ref(), here, place("trap/x").as_ref()]),
            ("a link to read from", 2, ["export".as_ref(), place("trap").as_ref(), elsewhere.as_ref()]),
            ("a wrong number", 2, ["import".as_ref(), here, "--jobs=0".as_ref()]),
        ] as [(&str, i32, [&OsStr; 3]); 8]
        {
            let found = code(&arguments)?;
            ensure!(found == Some(expected), "{what}: exit code {found:?}");
        }
        ensure!(!elsewhere.exists(), "something was exported");

        let partly = cli.run(&["import".as_ref(), here, address.as_ref()])?;
        let said = String::from_utf8_lossy(&partly.stderr);
        ensure!(partly.status.code() == Some(1) && said.contains("incomplete") && said.contains("dir: "), "{}: {said}", partly.status);
        ensure!(fs::read(mount.join("other"))? == b"2", "the rest was not copied");
        ensure!(fs::read(mount.join("dir"))? == b"in the way of a directory", "what was in the way was removed");
        cli.expect_no_mounts()?;
        mount.unmount()
    })
}
