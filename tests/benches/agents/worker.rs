use std::collections::VecDeque;
use std::sync::Arc;

use artifacts_core::namespace::{Errno, Ino, Name};
use artifacts_mount::headless::HeadlessMount;
use artifacts_tests::millis;
use artifacts_tests::time::{Duration, now};
use bytes::Bytes;
use tokio::time::MissedTickBehavior;

/// How often an agent has something to do.
const EVERY: Duration = Duration::from_secs(5);
/// How much it writes, in bytes.
const FILE_BYTES: usize = 2_000;
/// How many files it keeps.
const FILES: usize = 3;

/// An agent with modest work: every few seconds a small file, written, saved and closed, another one read, and the oldest
/// removed. It works in a directory of its own.
pub(crate) struct Worker {
    number: usize,
    /// Of so many, which are not to begin together.
    of: usize,
    mount: Arc<HeadlessMount>,
    /// By the turn in which each was made.
    files: VecDeque<(usize, Name, Ino)>,
    done: Done,
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Done {
    /// From the write to the return of the fsync.
    pub(crate) commits_ms: Vec<f64>,
    /// All of a turn's creation, write and fsync.
    pub(crate) files_ms: Vec<f64>,
    pub(crate) reads_ms: Vec<f64>,
    /// Calls that failed.
    pub(crate) failed: usize,
    /// Reads that gave something else than was written.
    pub(crate) wrong: usize,
}

impl Done {
    pub(crate) fn add(&mut self, other: Self) {
        self.commits_ms.extend(other.commits_ms);
        self.files_ms.extend(other.files_ms);
        self.reads_ms.extend(other.reads_ms);
        self.failed += other.failed;
        self.wrong += other.wrong;
    }
}

impl Worker {
    pub(crate) fn new(number: usize, of: usize, mount: Arc<HeadlessMount>) -> Self {
        Self { number, of, mount, files: VecDeque::new(), done: Done::default() }
    }

    pub(crate) async fn run(mut self, time: Duration) -> Done {
        let start = now();
        let mut turns = tokio::time::interval(EVERY);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        turns.reset_after(EVERY.mul_f64(self.number as f64 / self.of as f64));
        turns.tick().await;
        let made = self.mount.make_directory(self.mount.root(), name(&format!("agent-{}", self.mount.session()))).await;
        let Ok(dir) = made else {
            self.done.failed += 1;
            return self.done;
        };
        for turn in 0.. {
            if self.turn(dir, turn).await.is_err() {
                self.done.failed += 1;
            }
            if start.elapsed() + EVERY > time {
                break;
            }
            turns.tick().await;
        }
        self.done
    }

    async fn turn(&mut self, dir: Ino, turn: usize) -> Result<(), Errno> {
        let (file, content) = (name(&format!("file-{turn}")), self.content(turn));
        let began = now();
        let ino = self.mount.create(dir, file.clone()).await?;
        let wrote = now();
        self.mount.write(ino, 0, content).await?;
        self.mount.fsync(ino).await?;
        self.done.commits_ms.push(millis(wrote.elapsed()));
        self.done.files_ms.push(millis(began.elapsed()));
        self.mount.close(ino);
        self.files.push_back((turn, file, ino));

        if let Some(&(made_in, _, ino)) = self.files.front() {
            let began = now();
            let read = self.mount.read(ino, 0, 2 * FILE_BYTES as u64).await?;
            self.done.reads_ms.push(millis(began.elapsed()));
            self.done.wrong += usize::from(read != self.content(made_in));
        }
        if self.files.len() > FILES
            && let Some((_, name, _)) = self.files.pop_front()
        {
            self.mount.unlink(dir, name).await?;
        }
        Ok(())
    }

    fn content(&self, turn: usize) -> Bytes {
        format!("{} {turn} ", self.number).bytes().cycle().take(FILE_BYTES).collect()
    }
}

fn name(text: &str) -> Name {
    Name::new(Bytes::copy_from_slice(text.as_bytes())).unwrap_or_else(|errno| unreachable!("{text}: {errno}"))
}
