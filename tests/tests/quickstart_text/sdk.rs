use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::Scratch;

/// The TypeScript SDK of this tree, and the compiler that it is built with.
#[derive(Debug)]
pub(crate) struct Sdk {
    folder: PathBuf,
}

impl Sdk {
    /// Installs the compiler if it is missing.
    ///
    /// # Errors
    /// If it cannot be had.
    pub(crate) fn new() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the crate has no parent")?;
        run(Command::new("sh").arg(root.join("tests/sdk.sh")))?;
        Ok(Self { folder: root.join("sdk/typescript") })
    }

    /// The package as it is published.
    ///
    /// # Errors
    /// If it cannot be built.
    pub(crate) fn pack(&self, scratch: &Scratch) -> Result<PathBuf> {
        let mut npm = Command::new("npm");
        scratch.mark(&mut npm).current_dir(&self.folder);
        let printed = run(npm.args(["pack", "--silent", "--pack-destination"]).arg(scratch.path()))?;
        let name = printed.lines().last().context("npm pack names no file")?;
        Ok(scratch.join(name.trim()))
    }

    /// Checks a program of TypeScript strictly, and leaves one of JavaScript beside it.
    ///
    /// # Errors
    /// If it does not hold.
    pub(crate) fn compile(&self, program: &Path) -> Result<()> {
        let modules = self.folder.join("node_modules");
        let mut node = Command::new("node");
        node.arg(modules.join("typescript/bin/tsc")).args(["--strict", "--target", "ES2022", "--module", "NodeNext", "--types", "node"]);
        run(node.arg("--typeRoots").arg(modules.join("@types")).arg(program)).map(drop)
    }
}

fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?} (make deps installs what is missing)"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ensure!(output.status.success(), "{command:?}: {}\n{}{}", output.status, text(&output.stdout), text(&output.stderr));
    Ok(text(&output.stdout))
}
