use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::Scratch;

/// A user without privileges, whom the machine need not know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct User<'a> {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Further groups, with commas.
    pub(crate) groups: &'a str,
}

impl User<'_> {
    /// Runs a shell script in `dir` with `$1` as given.
    pub(crate) fn run(self, dir: &Path, script: &str, argument: &str) -> Result<Output> {
        let mut command = Command::new("setpriv");
        command.args([format!("--reuid={}", self.uid), format!("--regid={}", self.gid)]);
        match self.groups {
            "" => command.arg("--clear-groups"),
            groups => command.arg(format!("--groups={groups}")),
        };
        command.args(["sh", "-c", script, "sh", argument]).current_dir(dir).env("LC_ALL", "C");
        command.output().context("setpriv is needed (make deps installs it)")
    }

    /// Whether the script ends well.
    pub(crate) fn can(self, dir: &Path, script: &str, argument: &str) -> Result<bool> {
        Ok(self.run(dir, script, argument)?.status.success())
    }
}

/// Runs a program as the tests' own user and gives what it printed.
pub(crate) fn run(dir: &Path, program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).current_dir(dir).env("LC_ALL", "C").output();
    let output = output.with_context(|| format!("{program} is needed (make deps installs it)"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{program} {arguments:?}: {}{text}{}", output.status, String::from_utf8_lossy(&output.stderr));
    Ok(text)
}

/// Lets other users reach the mounts of a test.
pub(crate) fn let_others_in(scratch: &Scratch) -> Result<()> {
    for dir in [scratch.path().to_owned(), scratch.join("mnt")] {
        fs::set_permissions(dir, Permissions::from_mode(0o755))?;
    }
    Ok(())
}
