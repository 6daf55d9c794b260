//! What `deploy/install.sh` puts where, and takes away again.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::Duration;
use artifacts_tests::{artifacts_binary, local};

use crate::tools::{root, said};

/// Only a guard against hanging.
const LIMIT: Duration = Duration::from_secs(60);

fn files(dir: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() { files(&path, found)? } else { found.push(path) }
    }
    Ok(())
}

#[test]
fn everything_is_installed_and_taken_away() -> Result<()> {
    local("install", LIMIT, |scratch| {
        let root_dir = scratch.join("root");
        let script = root()?.join("deploy/install.sh");
        let run =
            |arguments: &[&str]| said(Command::new(&script).args(arguments).arg("--destdir").arg(&root_dir).args(["--prefix", "/usr"]));
        run(&["--program", &artifacts_binary()?.to_string_lossy()])?;
        let at = |path: &str| root_dir.join(path);
        ensure!(said(Command::new(at("usr/bin/artifacts")).arg("--version"))?.starts_with("artifacts "), "the program does not run");
        for (file, holds) in [
            ("usr/share/man/man1/artifacts.1", ".TH artifacts 1"),
            ("usr/share/man/man1/artifacts-mount.1", "ticket"),
            ("usr/share/man/man1/artifacts-platform-ticket-create.1", "ttl"),
            ("usr/share/bash-completion/completions/artifacts", "complete -F"),
            ("usr/share/zsh/site-functions/_artifacts", "#compdef artifacts"),
            ("usr/share/fish/vendor_completions.d/artifacts.fish", "complete -c artifacts"),
            ("etc/systemd/system/artifacts-node.service", "ExecStart=/usr/bin/artifacts node"),
        ] {
            ensure!(fs::read_to_string(at(file))?.contains(holds), "{file} has no `{holds}`");
        }
        for page in ["artifacts.1", "artifacts-lock-run.1"] {
            let page = at("usr/share/man/man1").join(page);
            // What man(1) formats pages with complains about what it does not understand, if it is installed.
            if let Ok(output) = Command::new("man").args(["--warnings", "--local-file"]).arg(&page).env("MANROFFSEQ", "").output() {
                ensure!(output.status.success(), "{}: {}", page.display(), String::from_utf8_lossy(&output.stderr));
            }
        }
        run(&["--uninstall"])?;
        let mut left = Vec::new();
        files(&root_dir, &mut left)?;
        ensure!(left.is_empty(), "left: {left:?}");
        Ok(())
    })
}

#[test]
fn a_wrong_option_installs_nothing() -> Result<()> {
    let output = Command::new(root()?.join("deploy/install.sh")).args(["--perfix", "/nowhere"]).output()?;
    ensure!(output.status.code() == Some(1), "{}", output.status);
    ensure!(String::from_utf8_lossy(&output.stderr).contains("--help"), "it does not say what to do");
    Ok(())
}

/// A machine without a compiler unpacks a package and installs from it; the program for sandboxes brings pages that another one has written.
#[test]
fn a_package_installs_what_it_brings() -> Result<()> {
    local("package", LIMIT, |scratch| {
        // In place of a program of its own, which the test would have to build.
        let (full, sandbox) = (scratch.join("full"), scratch.join("sandbox"));
        let binary = artifacts_binary()?.display();
        fs::write(&full, format!("#!/bin/sh\nexec {binary} \"$@\"\n"))?;
        fs::write(&sandbox, format!("#!/bin/sh\n[ \"$1\" != manual ] || exit 2\nexec {binary} \"$@\"\n"))?;
        for program in [&full, &sandbox] {
            fs::set_permissions(program, fs::Permissions::from_mode(0o755))?;
        }
        let mut package = Command::new(root()?.join("deploy/package.sh"));
        let made = said(package.arg(&sandbox).arg("artifacts-sandbox").arg(scratch.join("out")).arg(&full))?;
        let version = env!("CARGO_PKG_VERSION");
        ensure!(made.contains(&format!("artifacts-sandbox-{version}-")), "{made}");
        said(Command::new("tar").arg("-C").arg(scratch.path()).arg("-xzf").arg(made.trim()))?;
        let unpacked = scratch.join(Path::new(made.trim()).file_name().context("name")?.to_string_lossy().replace(".tar.gz", ""));
        let installed = scratch.join("installed");
        said(Command::new(unpacked.join("install.sh")).args(["--no-units", "--prefix"]).arg(&installed))?;
        ensure!(said(Command::new(installed.join("bin/artifacts")).arg("--version"))?.contains(version), "another version");
        ensure!(installed.join("share/man/man1/artifacts-mount.1").is_file(), "no man pages");
        ensure!(unpacked.join("LICENSE").is_file() && unpacked.join("systemd/artifacts-node.service").is_file(), "not all of it");
        Ok(())
    })
}
