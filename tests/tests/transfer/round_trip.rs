//! Everything that goes in comes out.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

use anyhow::{Result, ensure};
use artifacts_tests::time::Duration;
use artifacts_tests::{Lab, mounted};
use serde_json::json;

use crate::command::Cli;
use crate::portrait::{expect_same, paint};

#[test]
fn a_tree_with_every_kind_of_file_comes_back_as_it_was() -> Result<()> {
    mounted("transfer", Duration::from_secs(5 * 60), |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let address = lab.workspace("project")?;
        let cli = Cli { lab: &lab, scratch };
        let (origin, copy) = (scratch.join("origin"), scratch.join("copy"));
        fs::create_dir(&origin)?;
        paint(&origin)?;

        let below = format!("{address}:in/side");
        let dry = cli.succeed(&["import".as_ref(), origin.as_ref(), below.as_ref(), "--dry-run".as_ref()])?;
        let imported = cli.succeed(&["import".as_ref(), origin.as_ref(), below.as_ref()])?;
        for figure in ["files", "bytes", "directories", "hard_links", "others"] {
            ensure!(dry[figure] == imported[figure] && imported[figure] != 0, "{figure}: {dry} and {imported}");
        }
        ensure!(imported["failed"] == 0 && imported["unchanged"] == 0, "{imported}");
        let exported = cli.succeed(&["export".as_ref(), below.as_ref(), copy.as_ref()])?;
        ensure!(exported["files"] == imported["files"], "{exported}");
        expect_same(&origin, &copy)?;
        ensure!(fs::metadata(copy.join("sparse"))?.blocks() * 512 < 5 << 20, "the holes are filled");

        let again = cli.succeed(&["import".as_ref(), origin.as_ref(), below.as_ref()])?;
        ensure!(again["files"] == 0 && again["hard_links"] == 0 && again["others"] == 0, "copied twice: {again}");
        let again = cli.succeed(&["export".as_ref(), below.as_ref(), copy.as_ref()])?;
        ensure!(again["files"] == 0 && again["hard_links"] == 0 && again["others"] == 0, "copied twice: {again}");

        // One file: into a directory, and under a name.
        let place = format!("{address}:in");
        cli.succeed(&["import".as_ref(), origin.join("deep/small").as_ref(), place.as_ref()])?;
        let named = format!("{address}:in/small");
        cli.succeed(&["export".as_ref(), named.as_ref(), scratch.join("named").as_ref()])?;
        ensure!(fs::read(scratch.join("named"))? == b"small", "one file came out wrong");
        cli.expect_no_mounts()?;
        ensure!(cli.run(&[OsStr::new("export"), OsStr::new(&address)])?.status.code() == Some(2), "no destination");
        Ok(())
    })
}
