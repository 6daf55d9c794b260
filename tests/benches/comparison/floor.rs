//! What a mount costs at the least: a trivial file system in memory, served as ours is.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::Duration;
use artifacts_tests::{Scratch, artifacts_binary};

use crate::contestant::Contestant;
use crate::lines::Line;

/// The process that serves it, and its mount.
pub(crate) struct Floor {
    scratch: Arc<Scratch>,
    process: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Floor {
    /// Its name in the table.
    pub(crate) const NAME: &str = "floor";

    /// Starts it.
    pub(crate) fn start() -> Result<Self> {
        let program = artifacts_binary()?.with_file_name("floor");
        ensure!(program.exists(), "{} is missing", program.display());
        let scratch = Arc::new(Scratch::new("bench", Duration::from_secs(6 * 60 * 60))?);
        let dir = scratch.join("mnt/floor");
        std::fs::create_dir_all(&dir)?;
        let mut command = Command::new(program);
        let mut process = scratch.mark(&mut command).arg(&dir).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let answers = BufReader::new(process.stdout.take().context("no output of the floor")?);
        let orders = process.stdin.take();
        let mut floor = Self { scratch, process, orders, answers };
        floor.wait_ready()?;
        Ok(floor)
    }

    fn wait_ready(&mut self) -> Result<()> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        ensure!(line == "ready\n", "the floor does not serve");
        Ok(())
    }
}

impl Contestant for Floor {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn path(&self) -> PathBuf {
        self.scratch.join("mnt/floor")
    }

    /// It makes nothing durable, and has nothing that could be cold but what the kernel caches.
    fn takes_part(&self, line: &Line) -> bool {
        line.wanted_of_floor.is_some()
    }

    fn refresh(&mut self) -> Result<()> {
        self.orders.as_mut().context("the floor has ended")?.write_all(b"mount anew\n")?;
        self.wait_ready()
    }

    fn settle(&mut self) -> Result<()> {
        Ok(())
    }

    fn end(mut self: Box<Self>) -> Result<()> {
        drop(self.orders.take());
        let status = self.process.wait()?;
        ensure!(status.success(), "the floor ended with {status}");
        Ok(())
    }
}
