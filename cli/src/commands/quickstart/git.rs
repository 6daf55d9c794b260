//! Git as a witness: it notices what a file system gets wrong.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

/// Whether there is a git to ask.
pub(super) fn is_installed() -> bool {
    Command::new("git").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Commits in one mount, clones in the other, checks the clone.
pub(super) fn commit_clone_and_check(first: &Path, second: &Path) -> anyhow::Result<String> {
    let repository = first.join("repository");
    git(first, &["init", "--quiet", "repository"])?;
    for directory in ["src", "docs", "tests"] {
        std::fs::create_dir(repository.join(directory))?;
        for index in 0..20 {
            std::fs::write(repository.join(directory).join(format!("{index}.txt")), format!("{directory} {index}\n").repeat(50))?;
        }
    }
    git(&repository, &["add", "."])?;
    git(&repository, &["commit", "--quiet", "--message", "First"])?;
    git(second, &["clone", "--quiet", "repository", "clone"])?;
    let clone = second.join("clone");
    git(&clone, &["fsck", "--strict", "--no-progress"])?;
    let changes = git(&clone, &["status", "--porcelain"])?;
    if !changes.is_empty() {
        bail!("the clone differs from its commit:\n{changes}");
    }
    Ok("60 files; the clone is sound".to_owned())
}

/// Runs git without anybody's configuration.
fn git(directory: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let settings = [("safe.directory", "*"), ("protocol.file.allow", "always"), ("gc.auto", "0"), ("init.defaultBranch", "main")];
    let mut command = Command::new("git");
    command.current_dir(directory).args(arguments).stdin(Stdio::null());
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_COUNT", settings.len().to_string());
    for (index, (name, value)) in settings.iter().enumerate() {
        command.env(format!("GIT_CONFIG_KEY_{index}"), name).env(format!("GIT_CONFIG_VALUE_{index}"), value);
    }
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "Quickstart").env(format!("GIT_{who}_EMAIL"), "quickstart@localhost");
    }
    for inherited in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"] {
        command.env_remove(inherited);
    }
    let done = command.output().context("cannot run git")?;
    if !done.status.success() {
        bail!("`git {}` failed: {}", arguments.join(" "), String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_directory_passes() {
        if is_installed() {
            let directory = tempfile::tempdir().unwrap();
            commit_clone_and_check(directory.path(), directory.path()).unwrap();
        }
    }
}
