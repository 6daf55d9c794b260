use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use artifacts_tests::time::{Duration, wait_until};

use crate::sdk::Sdk;
use crate::terminal::Terminal;

/// Only a guard against hanging.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the program needs beside the text's own lines.
const TURNS: &str = "
import { existsSync as turnsExist, writeFileSync as turnsWrite } from 'node:fs';
async function turn(number: number): Promise<void> {
  turnsWrite(`reached-${number}`, '');
  while (!turnsExist(`go-${number}`)) await new Promise((resolve) => setTimeout(resolve, 5));
}
";

/// The program of a platform's backend, of blocks of the text. Between them it waits for its turn, as a backend waits for its runtimes.
#[derive(Debug)]
pub(crate) struct Backend {
    dir: PathBuf,
    turns: usize,
}

impl Backend {
    /// Compiles a program of these parts and starts it from the terminal, with what is exported there.
    ///
    /// # Errors
    /// If it does not compile.
    pub(crate) fn start(sdk: &Sdk, terminal: &mut Terminal, parts: &[&str]) -> Result<Self> {
        let dir = terminal.dir().to_owned();
        let mut text = TURNS.to_owned();
        for (number, part) in parts.iter().enumerate() {
            text.push_str(&format!("{part}\nawait turn({number});\n"));
        }
        fs::write(dir.join("backend.ts"), text)?;
        sdk.compile(&dir.join("backend.ts"))?;
        terminal.run("(node backend.js >backend.log 2>&1 || touch failed) &\n")?;
        let backend = Self { dir, turns: 0 };
        backend.wait()?;
        Ok(backend)
    }

    /// Lets it run its next part, and waits until that is done.
    ///
    /// # Errors
    /// If the program ends with an error.
    pub(crate) fn go_on(&mut self) -> Result<()> {
        fs::write(self.dir.join(format!("go-{}", self.turns)), "")?;
        self.turns += 1;
        self.wait()
    }

    /// A file that it has written.
    pub(crate) fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.join(name)
    }

    fn wait(&self) -> Result<()> {
        let reached = self.dir.join(format!("reached-{}", self.turns));
        wait_until("the backend's next part is done", PATIENCE, || {
            let failed = self.dir.join("failed").exists();
            ensure!(!failed, "the backend failed:\n{}", fs::read_to_string(self.dir.join("backend.log"))?);
            Ok(reached.exists())
        })
    }
}
