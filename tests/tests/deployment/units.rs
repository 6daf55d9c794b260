//! systemd's units, by systemd.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::Duration;
use artifacts_tests::{artifacts_binary, local};

use crate::tools::{root, said};

/// Only a guard against hanging.
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn systemd_takes_the_units() -> Result<()> {
    local("units", LIMIT, |scratch| {
        let program = artifacts_binary()?.to_str().context("path")?;
        let folder = scratch.join("units");
        fs::create_dir(&folder)?;
        let mut verify = Command::new("systemd-analyze");
        verify.args(["verify", "--man=no", "--recursive-errors=no"]);
        let mut count = 0;
        for entry in fs::read_dir(root()?.join("deploy/systemd"))? {
            let path = entry?.path();
            let text = fs::read_to_string(&path)?;
            ensure!(text.contains("/usr/local/bin/artifacts "), "{}: where install.sh puts the program", path.display());
            // A template is verified as one of its instances.
            let name = path.file_name().and_then(|name| name.to_str()).context("name")?.replace("@.", "@run-1.");
            fs::write(folder.join(&name), text.replace("/usr/local/bin/artifacts", program))?;
            verify.arg(folder.join(&name));
            count += 1;
        }
        ensure!(count == 3, "{count} units");
        said(&mut verify).map(drop)
    })
}
