//! Crates with dependencies, built in a mount: their own sources, the vendored sources of what they depend on, and
//! everything that the compiler makes of it.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::{Shell, Tree};

use crate::place::suite;
use crate::scale::Scale;

const MANIFEST: &str = "[package]\nname = \"built-in-place\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[workspace]\n\n[dependencies]\n\
    serde = { version = \"1\", features = [\"derive\"] }\nserde_json = \"1\"\n";
/// Has cargo take everything from the folder `vendor`.
const VENDORED: &str = "[source.crates-io]\nreplace-with = \"vendored\"\n\n[source.vendored]\ndirectory = \"vendor\"\n";
const MAIN: &str = "#[derive(serde::Serialize, serde::Deserialize)]\nstruct Shape {\n    name: String,\n    corners: Vec<(u32, u32)>,\n}\n\n\
    fn main() {\n    let text = r#\"{\"name\": \"triangle\", \"corners\": [[0, 0], [4, 0], [0, 3]]}\"#;\n    \
    let mut shape: Shape = serde_json::from_str(text).unwrap();\n    shape.corners.push((1, 1));\n    \
    println!(\"{}\", serde_json::to_string(&shape).unwrap());\n}\n";
const SAYS: &str = "{\"name\":\"triangle\",\"corners\":[[0,0],[4,0],[0,3],[1,1]]}\n";

#[test]
fn cargo_build() -> Result<()> {
    suite("cargo-build", |place, scale| {
        let dir = place.dir("program")?;
        fs::create_dir(dir.join("src"))?;
        fs::write(dir.join("Cargo.toml"), MANIFEST)?;
        fs::write(dir.join("src/main.rs"), MAIN)?;
        let shell = place.shell(&dir);
        shell
            .run("cargo", &["generate-lockfile", "--offline", "--quiet"])
            .or_else(|_| shell.run("cargo", &["generate-lockfile", "--quiet"]))?;
        vendor(&shell)?;
        shell.run("cargo", &["build", "--offline", "--quiet"])?;
        ensure!(shell.run("target/debug/built-in-place", &[""; 0])? == SAYS, "the program that was built says something else");

        let written = Tree::of(&dir)?;
        place.remount()?;
        written.expect_same(&Tree::of(&dir)?).context("in another mount")?;
        // All times and contents are as they were: there is nothing to do, and it is found out without doing it.
        let said = shell.run("sh", &["-c", "cargo build --offline 2>&1"])?;
        ensure!(!said.contains("Compiling"), "built again in another mount: {said}");
        println!("cargo: a program and {} files around it", written.len());
        if scale == Scale::Full {
            let dir = place.dir("core")?;
            own_core(&place.shell(&dir))?;
        }
        Ok(())
    })
}

/// The crate `core` of this workspace, built with all that it depends on, and its tests run.
fn own_core(shell: &Shell<'_>) -> Result<()> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the crate has no parent")?;
    let source = workspace.join("core").display().to_string();
    shell.run("cp", &["-a", &source, "core"])?;
    fs::copy(workspace.join("Cargo.lock"), shell.dir().join("Cargo.lock"))?;
    let manifest = fs::read_to_string(workspace.join("Cargo.toml"))?;
    let alone = manifest.lines().filter(|line| !line.starts_with("default-members"));
    let alone = alone.map(|line| if line.starts_with("members") { "members = [\"core\"]" } else { line });
    fs::write(shell.dir().join("Cargo.toml"), alone.collect::<Vec<_>>().join("\n"))?;
    vendor(shell)?;
    let said = shell.run("cargo", &["test", "--offline", "--quiet", "--lib"])?;
    ensure!(said.contains("test result: ok"), "{said}");
    println!("cargo: core, {} files, with its tests", Tree::of(shell.dir())?.len());
    Ok(())
}

/// Puts the sources of all dependencies beside the crate, and has cargo use these alone.
fn vendor(shell: &Shell<'_>) -> Result<()> {
    // The registry on this machine has them, unless it has only what one platform needs.
    shell.run("cargo", &["vendor", "--offline", "--quiet"]).or_else(|_| shell.run("cargo", &["vendor", "--quiet"]))?;
    fs::create_dir(shell.dir().join(".cargo"))?;
    Ok(fs::write(shell.dir().join(".cargo/config.toml"), VENDORED)?)
}
