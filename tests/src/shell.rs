use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::Scratch;

/// Runs ordinary programs in a directory, with nothing of the user's configuration.
#[derive(Debug, Clone)]
pub struct Shell<'a> {
    scratch: &'a Scratch,
    dir: PathBuf,
}

impl<'a> Shell<'a> {
    /// Runs in `dir`.
    pub fn new(scratch: &'a Scratch, dir: impl Into<PathBuf>) -> Self {
        Self { scratch, dir: dir.into() }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Runs a program to its end and gives what it printed.
    ///
    /// # Errors
    /// If it cannot be run or ends with anything but 0; holds what it printed.
    pub fn run<S: AsRef<OsStr>>(&self, program: &str, arguments: &[S]) -> Result<String> {
        self.run_with_input(program, arguments, "")
    }

    /// As [`Shell::run`], with text on its standard input.
    ///
    /// # Errors
    /// As [`Shell::run`].
    pub fn run_with_input<S: AsRef<OsStr>>(&self, program: &str, arguments: &[S], input: &str) -> Result<String> {
        let mut command = self.command(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("{program} is needed (make deps installs it)"))?;
        let mut stdin = child.stdin.take().context("no standard input")?;
        let input = input.to_owned();
        // From a thread of its own, or two full pipes would wait for each other. A program may end before it has
        // read everything; its status tells whether that was right.
        let feeder = std::thread::spawn(move || std::io::Write::write_all(&mut stdin, input.as_bytes()));
        let output = child.wait_with_output()?;
        let _ = feeder.join();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            let words: Vec<_> = arguments.iter().map(|argument| argument.as_ref().to_string_lossy()).collect();
            let error = String::from_utf8_lossy(&output.stderr);
            bail!("{program} {} in {}: {}\n{text}{error}", words.join(" "), self.dir.display(), output.status);
        }
        Ok(text)
    }

    /// A program of this test's in the directory, not yet started.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        // Cargo finds its toolchain and registry through the home directory, which the mark moves away.
        let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
        for (name, below) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
            if std::env::var_os(name).is_none() {
                command.env(name, home.join(below));
            }
        }
        self.scratch.mark(&mut command);
        command.current_dir(&self.dir).env("LC_ALL", "C").env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_TERMINAL_PROMPT", "0");
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "Test").env(format!("GIT_{role}_EMAIL"), "test@example.org");
        }
        for inherited in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "CARGO_TARGET_DIR", "RUSTFLAGS"] {
            command.env_remove(inherited);
        }
        command
    }
}
