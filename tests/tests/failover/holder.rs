use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};
use artifacts_tests::crash::Random;
use artifacts_tests::time::{Duration, monotonic_ns, sleep};
use rustix::fs::{FlockOperation, flock};

use crate::mounts::wait_served;
use crate::pauses::Calls;
use crate::turns::Turn;

/// The file that all lock, with a count that each holder raises by one.
pub(crate) const FILE: &str = "count";
/// How long somebody who did not get the lock does something else.
const PAUSE: Duration = Duration::from_millis(10);

/// A program that takes turns with the lock of a file with those on other mounts.
pub(crate) struct Holder<'a> {
    number: u16,
    root: &'a Path,
    stop: &'a AtomicBool,
    random: Random,
    pub(crate) done: Held,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) turns: Vec<Turn>,
    /// How often nobody knows whether the count was raised.
    pub(crate) unsure: u64,
    /// Counts that were not what their writer had written, although it had the lock.
    pub(crate) overwritten: Vec<String>,
    pub(crate) calls: Calls,
}

/// Why a turn ended early.
enum Broken {
    /// The mount says so.
    Lost,
    Other(anyhow::Error),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EIO) => Self::Lost,
            _ => Self::Other(error.into()),
        }
    }
}

impl<'a> Holder<'a> {
    pub(crate) fn new(number: u16, root: &'a Path, stop: &'a AtomicBool, seed: u64) -> Self {
        Self { number, root, stop, random: Random::new(seed), done: Held::default() }
    }

    /// Works until it is stopped.
    pub(crate) fn run(mut self) -> Result<Held> {
        while !self.stop.load(Ordering::SeqCst) {
            let called_ns = monotonic_ns();
            match self.take_turns() {
                Ok(()) => break,
                Err(Broken::Lost) => {
                    if let Some(served_ns) = wait_served(self.root, &format!("holder-{}", self.number), self.stop) {
                        self.done.calls.note(self.lost_ns(called_ns), served_ns);
                    }
                }
                Err(Broken::Other(error)) => return Err(error.context(format!("holder {}", self.number))),
            }
        }
        Ok(self.done)
    }

    /// From when on the mount did not serve: the last thing that went well, or the beginning.
    fn lost_ns(&self, called_ns: u64) -> u64 {
        self.done.turns.last().filter(|turn| turn.told_ns.is_some()).map_or(called_ns, |turn| turn.until_ns.max(called_ns))
    }

    fn take_turns(&mut self) -> Result<(), Broken> {
        let file = File::options().read(true).write(true).open(self.root.join(FILE))?;
        while !self.stop.load(Ordering::SeqCst) {
            let waits = self.random.below(2) == 0;
            let how = if waits { FlockOperation::LockExclusive } else { FlockOperation::NonBlockingLockExclusive };
            let called_ns = monotonic_ns();
            let taken = flock(&file, how);
            let granted_ns = monotonic_ns();
            if !waits {
                self.done.calls.note(called_ns, granted_ns);
            }
            match taken {
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    sleep(PAUSE);
                    continue;
                }
                Err(error) => return Err(io::Error::from(error).into()),
            }
            let mut turn = Turn { holder: self.number, granted_ns, until_ns: granted_ns, told_ns: None, number: None };
            let outcome = self.hold(&file, &mut turn);
            if matches!(outcome, Err(Broken::Lost)) {
                turn.told_ns = Some(monotonic_ns());
                // If the mount comes back with the lock, nobody else has had it, and somebody may want it.
                let _ = flock(&file, FlockOperation::Unlock);
            }
            self.done.turns.push(turn);
            outcome?;
            sleep(PAUSE);
        }
        Ok(())
    }

    /// Raises the count, looks at it once more after a while, and lets go.
    fn hold(&mut self, file: &File, turn: &mut Turn) -> Result<(), Broken> {
        let before = self.timed(turn, || count(file))?;
        // Written or not, if there is no answer.
        self.done.unsure += 1;
        self.timed(turn, || file.write_all_at(format!("{:020}", before + 1).as_bytes(), 0))?;
        self.done.unsure -= 1;
        turn.number = Some(before + 1);
        sleep(Duration::from_millis(self.random.below(15)));
        let after = self.timed(turn, || count(file))?;
        if after != before + 1 {
            self.done.overwritten.push(format!("holder {} wrote {} and found {after}", self.number, before + 1));
        }
        self.timed(turn, || Ok(flock(file, FlockOperation::Unlock)?))
    }

    /// Does something under the lock. If it goes well, the lock was held when it began.
    fn timed<T>(&mut self, turn: &mut Turn, call: impl FnOnce() -> io::Result<T>) -> Result<T, Broken> {
        let called_ns = monotonic_ns();
        let outcome = call();
        self.done.calls.note(called_ns, monotonic_ns());
        let value = outcome?;
        turn.until_ns = called_ns;
        Ok(value)
    }
}

/// The count in a file.
pub(crate) fn count(file: &File) -> io::Result<u64> {
    let mut digits = [0; 20];
    let read = file.read_at(&mut digits, 0)?;
    let text = std::str::from_utf8(&digits[..read]).map_err(io::Error::other)?;
    if text.is_empty() { Ok(0) } else { text.parse().map_err(io::Error::other) }
}

/// The count as a mount sees it.
pub(crate) fn final_count(root: &Path) -> Result<u64> {
    let path = root.join(FILE);
    count(&File::open(&path)?).with_context(|| path.display().to_string())
}
