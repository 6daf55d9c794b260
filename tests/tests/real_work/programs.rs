//! Programs that know nothing of where they run.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::{Scratch, Shell, SourceTree};

/// `git clone`, `git status`, `git fsck`, an edit and `git commit`, in `mount/clone`.
pub(crate) fn git(scratch: &Scratch, mount: &Path, sources: &SourceTree) -> Result<()> {
    let url = format!("file://{}", sources.path().display());
    Shell::new(scratch, mount).run("git", &["clone", "--quiet", &url, "clone"])?;
    let shell = Shell::new(scratch, mount.join("clone"));
    let files = shell.run("git", &["ls-files"])?.lines().count();
    ensure!(files == sources.files() && files >= 3_000, "cloned {files} files of {}", sources.files());
    ensure!(shell.run("git", &["status", "--porcelain"])?.is_empty(), "the clone is not clean");
    shell.run("git", &["fsck", "--full"])?;

    let listing = shell.run("git", &["ls-files"])?;
    let edited = listing.lines().find(|name| name.ends_with(".rs")).context("no source to edit")?;
    let path = shell.dir().join(edited);
    fs::write(&path, format!("// edited\n{}", fs::read_to_string(&path)?))?;
    ensure!(shell.run("git", &["status", "--porcelain"])? == format!(" M {edited}\n"), "the edit is not seen");
    shell.run("git", &["commit", "--quiet", "--all", "--message", "an edit"])?;
    ensure!(shell.run("git", &["status", "--porcelain"])?.is_empty(), "not clean after the commit");
    ensure!(shell.run("git", &["rev-list", "--count", "HEAD"])?.trim() == "2", "the commit is not there");
    shell.run("git", &["fsck", "--full"])?;
    Ok(())
}

/// `tar x` into `mount/unpacked`, and `diff -r` against the original.
pub(crate) fn tar(scratch: &Scratch, mount: &Path, sources: &SourceTree) -> Result<()> {
    let archive = scratch.join("sources.tar").display().to_string();
    Shell::new(scratch, sources.path()).run("tar", &["-c", "--exclude=.git", "-f", &archive, "."])?;
    let unpacked = mount.join("unpacked");
    fs::create_dir(&unpacked)?;
    Shell::new(scratch, &unpacked).run("tar", &["-x", "-f", &archive])?;
    let original = sources.path().display().to_string();
    let differences = Shell::new(scratch, mount).run("diff", &["-r", "--exclude=.git", &original, "unpacked"])?;
    ensure!(differences.is_empty(), "{differences}");
    Ok(())
}

/// `cargo build` of a crate of a few modules, sources and target directory in the mount, and a run of the result.
pub(crate) fn cargo(scratch: &Scratch, mount: &Path) -> Result<()> {
    let dir = mount.join("crate");
    fs::create_dir_all(dir.join("src/shapes"))?;
    let files = [
        ("Cargo.toml", "[package]\nname = \"built-in-place\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[workspace]\n"),
        ("src/main.rs", "mod shapes;\nmod sums;\n\nfn main() {\n    println!(\"{}\", sums::total(&shapes::all()));\n}\n"),
        ("src/sums.rs", "pub fn total(areas: &[u64]) -> u64 {\n    areas.iter().sum()\n}\n"),
        (
            "src/shapes/mod.rs",
            "mod square;\nmod triangle;\n\npub fn all() -> Vec<u64> {\n    vec![square::area(4), triangle::area(4, 3)]\n}\n",
        ),
        ("src/shapes/square.rs", "pub fn area(side: u64) -> u64 {\n    side * side\n}\n"),
        ("src/shapes/triangle.rs", "pub fn area(base: u64, height: u64) -> u64 {\n    base * height / 2\n}\n"),
    ];
    for (name, text) in files {
        fs::write(dir.join(name), text)?;
    }
    let shell = Shell::new(scratch, &dir);
    shell.run("cargo", &["build", "--offline", "--quiet"])?;
    ensure!(shell.run("target/debug/built-in-place", &[""; 0])? == "22\n", "the program that was built says something else");
    // A second build looks at what the first has left: it is up to date if all times and contents came back.
    fs::write(dir.join("src/sums.rs"), "pub fn total(areas: &[u64]) -> u64 {\n    areas.iter().product()\n}\n")?;
    shell.run("cargo", &["build", "--offline", "--quiet"])?;
    ensure!(shell.run("target/debug/built-in-place", &[""; 0])? == "96\n", "the rebuilt program is the old one");
    Ok(())
}
