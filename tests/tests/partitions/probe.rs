use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::thread::JoinHandle;

use anyhow::Result;
use artifacts_tests::time::{Duration, monotonic_ns, sleep};

/// Between two calls.
const PAUSE: Duration = Duration::from_millis(5);

#[derive(Debug, Default)]
struct Seen {
    ended: AtomicBool,
    success_ns: AtomicU64,
    failure_ns: AtomicU64,
    errno: AtomicI32,
}

/// A program that writes to a file that it has open, reads it back and looks at it by its name, for as long as this lives. It notes
/// when all of that worked last, which is when it could still believe in the lock that it holds.
#[derive(Debug)]
pub(crate) struct Probe {
    seen: Arc<Seen>,
    thread: Option<JoinHandle<()>>,
}

fn look(file: &File, path: &Path, written: Option<u64>) -> std::io::Result<()> {
    if let Some(number) = written {
        file.write_all_at(&number.to_be_bytes(), 0)?;
    }
    let mut back = [0; 8];
    file.read_exact_at(&mut back, 0)?;
    path.metadata().map(drop)
}

impl Probe {
    /// Starts one on an open file.
    pub(crate) fn start(file: &File, path: &Path) -> Result<Self> {
        Self::begin(file, path, true)
    }

    /// One that does not write.
    pub(crate) fn reading(file: &File, path: &Path) -> Result<Self> {
        Self::begin(file, path, false)
    }

    fn begin(file: &File, path: &Path, writes: bool) -> Result<Self> {
        let (file, path, seen) = (file.try_clone()?, path.to_owned(), Arc::new(Seen::default()));
        let of_thread = Arc::clone(&seen);
        let thread = std::thread::spawn(move || {
            for number in 0.. {
                if of_thread.ended.load(Ordering::SeqCst) {
                    return;
                }
                match look(&file, &path, writes.then_some(number)) {
                    Ok(()) => of_thread.success_ns.store(monotonic_ns(), Ordering::SeqCst),
                    Err(error) => {
                        of_thread.errno.store(error.raw_os_error().unwrap_or(-1), Ordering::SeqCst);
                        of_thread.failure_ns.store(monotonic_ns(), Ordering::SeqCst);
                    }
                }
                sleep(PAUSE);
            }
        });
        Ok(Self { seen, thread: Some(thread) })
    }

    /// When everything worked last, by CLOCK_MONOTONIC; 0 for never.
    pub(crate) fn last_success_ns(&self) -> u64 {
        self.seen.success_ns.load(Ordering::SeqCst)
    }

    /// When something failed last; 0 for never.
    pub(crate) fn last_failure_ns(&self) -> u64 {
        self.seen.failure_ns.load(Ordering::SeqCst)
    }

    /// How it failed; 0 if it never did.
    pub(crate) fn errno(&self) -> i32 {
        self.seen.errno.load(Ordering::SeqCst)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.seen.ended.store(true, Ordering::SeqCst);
        // A call that hangs ends with its mount, which the test ends later.
        if let Some(thread) = self.thread.take().filter(JoinHandle::is_finished) {
            let _ = thread.join();
        }
    }
}
