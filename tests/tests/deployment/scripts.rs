//! Scripts and the Dockerfile, by their linters.

use anyhow::{Result, ensure};

use crate::tools::{root, said, tool};

const SCRIPTS: [&str; 9] = [
    "deploy/install.sh",
    "deploy/local-cluster",
    "deploy/microvm/guest-init.sh",
    "deploy/microvm/launch.sh",
    "deploy/package.sh",
    "tests/deploy-tools.sh",
    "tests/deps.sh",
    "tests/s3-server.sh",
    "tests/sdk.sh",
];

#[test]
fn shellcheck_finds_nothing_in_the_scripts() -> Result<()> {
    let mut shellcheck = tool("shellcheck")?;
    said(shellcheck.current_dir(root()?).args(["--severity", "warning"]).args(SCRIPTS)).map(drop)
}

#[test]
fn hadolint_finds_nothing_in_the_dockerfile() -> Result<()> {
    said(tool("hadolint")?.arg(root()?.join("deploy/Dockerfile"))).map(drop)
}

/// The images of the other files are those that it makes.
#[test]
fn the_images_that_are_used_are_made() -> Result<()> {
    let file = std::fs::read_to_string(root()?.join("deploy/Dockerfile"))?;
    for target in ["node", "sandbox"] {
        ensure!(file.contains(&format!(" AS {target}\n")), "no target {target}");
        ensure!(file.contains(&format!("--target {target} -t artifacts:{target}")), "how to build {target} is not said");
    }
    Ok(())
}
