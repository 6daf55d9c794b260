//! Asking for a secret without showing it.
//!
//! Always true: the terminal echoes again when this returns, fails or is interrupted.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};

use anyhow::Context as _;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::failure::Failure;

/// Turns the echo of a terminal off while it lives.
struct Silence {
    terminal: File,
    before: Termios,
}

impl Silence {
    fn begin(terminal: File) -> std::io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        silent.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(&terminal, OptionalActions::Flush, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

/// Asks on the controlling terminal and answers with the line that was typed.
///
/// # Errors
/// There is no terminal, or the question was interrupted.
pub(crate) async fn ask(question: &str) -> anyhow::Result<String> {
    let mut terminal = File::options().read(true).write(true).open("/dev/tty").context("there is no terminal to ask on")?;
    write!(terminal, "{question}")?;
    let mut reader = BufReader::new(terminal.try_clone()?);
    let silence = Silence::begin(terminal)?;
    let line = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        reader.read_line(&mut line).map(|_| line)
    });
    let line = tokio::select! {
        line = line => line??,
        _ = tokio::signal::ctrl_c() => {
            drop(silence);
            eprintln!();
            // The thread that reads cannot be woken; nothing is lost by leaving it.
            return Err(Failure::failed("interrupted").into());
        }
    };
    Ok(line)
}
