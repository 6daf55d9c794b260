//! Runs pjdfstest, a suite of POSIX tests, on a mount: `posix-suite PJDFSTEST`, as root. Ends well only if no test
//! failed, as many passed as there are on Linux, and nothing was skipped that Linux has.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::Duration;
use artifacts_tests::{Lab, Scratch, mounted};
use serde_json::json;

/// Every feature that the suite knows and Linux has. The users are those that any distribution brings.
const CONFIGURATION: &str = r#"
[features]
posix_fallocate = {}
rename_ctime = {}
utime_now = {}
utimensat = {}

[dummy_auth]
entries = [["nobody", "nogroup"], ["daemon", "daemon"]]

[settings]
naptime = 0.01
"#;
/// Tests that need the mount remounted read-only run in a process each, afterwards: the suite keeps descriptors open,
/// and no file system can be remounted read-only while a file without a name is open.
const REMOUNTS: &str = "Remounts (allow_remount) are not allowed in the configuration file";
/// Why a test may be skipped. For `LINK_MAX` the kernel knows no limit of a FUSE file system; ours has a test of its own.
const MAY_BE_SKIPPED: [&str; 2] = ["Cannot get value for LINK_MAX: filesystem limit is unknown", REMOUNTS];
/// What Linux does not have.
const NOT_ON_LINUX: [&str; 4] = ["chflags", "chflags_sf_snapshot", "nfsv4_acls", "stat_st_birthtime"];
/// `mount` as the suite is to find it: where `mount.fuse` is installed, mount(8) hands it the remount too, and that takes
/// the file system's subtype for a program to start. `-i` keeps to the kernel.
const MOUNT: &str = "#!/bin/sh\nexec /usr/bin/mount -i \"$@\"\n";
/// So many pass in version 0.2.2; fewer would mean that some were not run.
const PASSED_MIN: usize = 397;

fn main() -> Result<()> {
    let program = PathBuf::from(std::env::args_os().nth(1).context("usage: posix-suite PJDFSTEST")?);
    ensure!(rustix::process::geteuid().is_root(), "the suite changes users and needs root for it");
    mounted("pjdfstest", Duration::from_secs(60 * 60), |scratch| {
        for dir in [scratch.path().to_owned(), scratch.join("mnt")] {
            fs::set_permissions(dir, Permissions::from_mode(0o755))?;
        }
        let lab = Lab::start(scratch, &json!({}))?;
        let mount = lab.mount("posix", &lab.workspace("posix")?)?;
        let suite = Suite::new(scratch, &program, mount.path())?;
        let whole = suite.run(false, &[])?;
        let mut passed = whole.passed;
        for name in whole.skipped.get(REMOUNTS).map_or(&[][..], Vec::as_slice) {
            let one = suite.run(true, &["--exact", &format!("pjdfstest::tests::{name}")])?;
            ensure!(one.passed == 1, "{name} was not run");
            passed += 1;
        }
        for (reason, names) in whole.skipped.iter().filter(|(reason, _)| *reason != REMOUNTS) {
            println!("skipped, {reason}: {}", names.join(", "));
        }
        println!("pjdfstest: 0 failed, {passed} passed");
        ensure!(passed >= PASSED_MIN, "{passed} tests passed; at least {PASSED_MIN} should");
        ensure!(fs::read_dir(mount.path())?.next().is_none(), "the suite left something behind");
        mount.unmount()
    })
}

/// The suite and where it is to run.
struct Suite<'a> {
    program: &'a Path,
    mount: &'a Path,
    other: PathBuf,
    /// `PATH` with [`MOUNT`] in front.
    path: OsString,
    scratch: &'a Scratch,
}

/// A run of the suite in which nothing failed.
struct Outcome {
    passed: usize,
    /// What was skipped, by reason.
    skipped: BTreeMap<String, Vec<String>>,
}

impl<'a> Suite<'a> {
    fn new(scratch: &'a Scratch, program: &'a Path, mount: &'a Path) -> Result<Self> {
        let other = scratch.join("other");
        fs::create_dir(&other)?;
        let bin = scratch.join("bin");
        fs::create_dir(&bin)?;
        fs::write(bin.join("mount"), MOUNT)?;
        fs::set_permissions(bin.join("mount"), Permissions::from_mode(0o755))?;
        let inherited = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(bin).chain(std::env::split_paths(&inherited)))?;
        Ok(Self { program, mount, other, path, scratch })
    }

    fn run(&self, allow_remount: bool, arguments: &[&str]) -> Result<Outcome> {
        let configuration = self.scratch.join("pjdfstest.toml");
        fs::write(&configuration, format!("{CONFIGURATION}allow_remount = {allow_remount}\n"))?;
        let mut command = Command::new(self.program);
        command.arg("-c").arg(&configuration).arg("-p").arg(self.mount).arg("-s").arg(&self.other).args(arguments);
        let output = command.env("NO_COLOR", "1").env("PATH", &self.path).stdin(Stdio::null()).output();
        let output = output.with_context(|| format!("{} (make test-posix installs it)", self.program.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let outcome = read(&text);
        if outcome.is_err() || !output.status.success() {
            println!("{text}{}", String::from_utf8_lossy(&output.stderr));
        }
        ensure!(output.status.success(), "pjdfstest: {}", output.status);
        outcome
    }
}

/// Reads what the suite says.
fn read(text: &str) -> Result<Outcome> {
    let mut skipped: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(name) = line.strip_suffix(" skipped").map(str::trim) else { continue };
        while let Some(reason) = lines.next_if(|line| line.starts_with('\t')).map(str::trim) {
            let lacks = reason.strip_prefix("requires features: ");
            let lacks = lacks.is_some_and(|features| features.split(", ").all(|feature| NOT_ON_LINUX.contains(&feature)));
            ensure!(lacks || MAY_BE_SKIPPED.contains(&reason), "{name} was skipped: {reason}");
            skipped.entry(reason.to_owned()).or_default().push(name.to_owned());
        }
    }
    let summary = text.lines().find_map(|line| line.strip_prefix("Summary: ")).context("no summary")?;
    let count = |what: &str| {
        let part = summary.split(", ").find_map(|part| part.strip_suffix(what));
        part.and_then(|number| number.trim().parse::<usize>().ok()).with_context(|| format!("no{what} in the summary: {summary}"))
    };
    let (failed, passed, left_out) = (count(" failed")?, count(" passed")?, count(" skipped")?);
    ensure!(failed == 0, "{failed} tests failed");
    let named: usize = skipped.values().map(Vec::len).sum();
    ensure!(named >= left_out, "{left_out} tests were skipped, {named} of them with a reason");
    Ok(Outcome { passed, skipped })
}
