//! What is measured: places where files can be, each with what stands behind it.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::lines::Line;

/// When Redis makes durable what it has acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Appendfsync {
    /// Once a second: the last second may be lost.
    Everysec,
    /// Before it acknowledges.
    Always,
}

/// A directory to work in, and the ways in which it can be made to forget.
pub(crate) trait Contestant {
    /// For people.
    fn name(&self) -> &str;

    /// Where its files are.
    fn path(&self) -> PathBuf;

    /// Whether a line says anything of it.
    fn takes_part(&self, _line: &Line) -> bool {
        true
    }

    /// Ends the mount in good order and makes another by a new process that has nothing cached.
    fn refresh(&mut self) -> Result<()>;

    /// Waits until everything done so far is durable, so that its rest is not on the account of what comes next.
    fn settle(&mut self) -> Result<()>;

    /// Where metadata is in Redis, decides what an acknowledgement means.
    fn set_appendfsync(&mut self, _mode: Appendfsync) -> Result<()> {
        Ok(())
    }

    /// Ends everything in good order.
    fn end(self: Box<Self>) -> Result<()>;
}

/// A directory of the disk on which everything else stands, for scale.
pub(crate) struct LocalDisk(PathBuf);

impl LocalDisk {
    pub(crate) fn new(dir: &Path) -> Result<Self> {
        std::fs::create_dir(dir)?;
        Ok(Self(dir.to_owned()))
    }
}

impl Contestant for LocalDisk {
    fn name(&self) -> &str {
        "local disk"
    }

    fn path(&self) -> PathBuf {
        self.0.clone()
    }

    /// Drops the pages of its files; names and attributes stay cached.
    fn refresh(&mut self) -> Result<()> {
        self.settle()?;
        let mut pending = vec![self.0.clone()];
        while let Some(path) = pending.pop() {
            for entry in std::fs::read_dir(path)? {
                let entry = entry?;
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    pending.push(entry.path());
                } else if kind.is_file() {
                    rustix::fs::fadvise(&std::fs::File::open(entry.path())?, 0, None, rustix::fs::Advice::DontNeed)?;
                }
            }
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<()> {
        Ok(rustix::fs::syncfs(&std::fs::File::open(&self.0)?)?)
    }

    fn end(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}
