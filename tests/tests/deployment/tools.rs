use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, Result, anyhow, ensure};
use artifacts_tests::target_dir;

/// The root of the tree.
pub(crate) fn root() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the crate has no parent")
}

/// Where the programs are that check deployments, installed first if they are missing.
pub(crate) fn bin() -> Result<&'static Path> {
    static INSTALLED: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let installed = INSTALLED.get_or_init(|| install().map_err(|error| format!("{error:#}")));
    installed.as_deref().map_err(|error| anyhow!("the tools that check deployments: {error}"))
}

fn install() -> Result<PathBuf> {
    said(Command::new("sh").arg(root()?.join("tests/deploy-tools.sh")))?;
    Ok(target_dir()?.join("tools/deploy/bin"))
}

/// One of these programs.
pub(crate) fn tool(name: &str) -> Result<Command> {
    Ok(Command::new(bin()?.join(name)))
}

/// A program of Python, with the packages of these tools.
pub(crate) fn python(program: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<String> {
    said(tool("python")?.args(["-c", program]).args(arguments))
}

/// What a command prints when it succeeds.
pub(crate) fn said(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ensure!(output.status.success(), "{command:?}: {}\n{}{}", output.status, text(&output.stdout), text(&output.stderr));
    Ok(text(&output.stdout))
}

/// Reads YAML as JSON.
pub(crate) fn yaml(file: &Path) -> Result<serde_json::Value> {
    let program = "import sys, json, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
    Ok(serde_json::from_str(&python(program, [file])?)?)
}
