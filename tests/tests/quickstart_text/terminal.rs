use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// Said when a text is done.
const DONE: &str = "done, and nothing failed";

/// A shell into which texts are typed one after the other, so that what one exports is there for the next. It ends with the first
/// command that fails.
#[derive(Debug)]
pub(crate) struct Terminal {
    dir: PathBuf,
    log: PathBuf,
    texts: usize,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Terminal {
    /// Opens one in `dir`. `command` runs what it is given as arguments; what goes wrong is in `log`.
    ///
    /// # Errors
    /// If there is no shell.
    pub(crate) fn open(mut command: Command, dir: &Path, log: &Path) -> Result<Self> {
        fs::create_dir_all(dir)?;
        // Names of files come in, so that the standard input of commands is nobody's.
        let read = format!("exec 3<&0 0</dev/null; while read -r file <&3; do . \"$file\"; echo; echo '{DONE}'; done");
        command.args(["sh", "-e", "-c", &read]).current_dir(dir);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::options().create(true).append(true).open(log)?);
        let mut child = command.spawn().with_context(|| format!("{command:?}"))?;
        let input = child.stdin.take().context("no standard input")?;
        let output = BufReader::new(child.stdout.take().context("no standard output")?);
        Ok(Self { dir: dir.to_owned(), log: log.to_owned(), texts: 0, child, input, output })
    }

    /// Where its commands run.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Types a text, and gives what it printed once it is done.
    ///
    /// # Errors
    /// If a command fails; says what was written to the log.
    pub(crate) fn run(&mut self, text: &str) -> Result<String> {
        self.texts += 1;
        let file = self.dir.join(format!(".text-{}", self.texts));
        fs::write(&file, text)?;
        writeln!(self.input, "{}", file.display())?;
        let mut printed = String::new();
        loop {
            let mut line = String::new();
            let read = self.output.read_line(&mut line)?;
            ensure!(read > 0, "it failed:\n{text}\n{printed}{}", fs::read_to_string(&self.log).unwrap_or_default());
            if line.trim_end() == DONE {
                return Ok(printed);
            }
            printed.push_str(&line);
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
