use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{Scratch, Shell};

/// How many files the tree has at least.
const FILES: usize = 3_000;
/// Larger crates are passed over, so that many different ones make up the tree.
const CRATE_FILES_MAX: usize = 300;
const CRATE_BYTES_MAX: u64 = 4 << 20;

/// A real source tree on the local disk: crates from cargo's registry in the order of their names, in a git
/// repository.
#[derive(Debug)]
pub struct SourceTree {
    dir: PathBuf,
    files: usize,
}

impl SourceTree {
    /// Makes the tree at `NAME` in the scratch directory.
    ///
    /// # Errors
    /// If the registry has too few sources even after `cargo fetch`, or git fails.
    pub fn make(scratch: &Scratch, name: &str) -> Result<Self> {
        let dir = scratch.join(name);
        fs::create_dir(&dir)?;
        let mut crates = registry_crates()?;
        if count(&crates) < FILES {
            let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the crate has no parent")?;
            let status = Command::new("cargo").arg("fetch").current_dir(workspace).status()?;
            ensure!(status.success(), "cargo fetch failed");
            crates = registry_crates()?;
        }
        let mut files = 0;
        for source in crates {
            if files >= FILES {
                break;
            }
            let target = dir.join(source.dir.file_name().context("a crate without a name")?);
            copy(&source.dir, &target)?;
            files += source.files;
        }
        ensure!(files >= FILES, "the local cargo registry has sources of only {files} files, and {FILES} are needed");
        let shell = Shell::new(scratch, &dir);
        shell.run("git", &["init", "--quiet", "--initial-branch=main"])?;
        // Crates bring ignore rules of their own; here every file counts.
        shell.run("git", &["add", "--all", "--force"])?;
        shell.run("git", &["commit", "--quiet", "--message", "sources"])?;
        Ok(Self { dir, files })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// How many files it has.
    pub fn files(&self) -> usize {
        self.files
    }
}

struct Source {
    dir: PathBuf,
    files: usize,
    bytes: u64,
}

fn count(crates: &[Source]) -> usize {
    crates.iter().map(|source| source.files).sum()
}

fn registry_crates() -> Result<Vec<Source>> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo"))).context("no CARGO_HOME")?;
    let mut crates = Vec::new();
    for registry in fs::read_dir(home.join("registry/src")).into_iter().flatten().flatten() {
        for entry in fs::read_dir(registry.path())?.flatten() {
            let mut source = Source { dir: entry.path(), files: 0, bytes: 0 };
            measure(&entry.path(), &mut source)?;
            if source.files > 0 && source.files <= CRATE_FILES_MAX && source.bytes <= CRATE_BYTES_MAX {
                crates.push(source);
            }
        }
    }
    crates.sort_by(|a, b| a.dir.file_name().cmp(&b.dir.file_name()));
    crates.dedup_by(|a, b| a.dir.file_name() == b.dir.file_name());
    Ok(crates)
}

fn measure(dir: &Path, into: &mut Source) -> Result<()> {
    for entry in fs::read_dir(dir)?.flatten() {
        let meta = entry.metadata()?;
        if meta.is_dir() {
            measure(&entry.path(), into)?;
        } else if meta.is_file() {
            into.files += 1;
            into.bytes += meta.len();
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)?.flatten() {
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            // A crate never holds a repository, and git would not take one in.
            if entry.file_name() != ".git" {
                copy(&entry.path(), &target)?;
            }
        } else if kind.is_file() {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
