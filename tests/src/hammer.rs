use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result, ensure};

use crate::time::{Duration, monotonic_ns, wait_until};

/// The system calls that are hammered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// stat(2) by name.
    Stat,
    /// pread(2) on an open descriptor, of bytes that are in the page cache.
    Read,
    /// pwrite(2) on an open descriptor.
    Write,
    /// open(2) by name.
    Open,
    /// readdir(3) from the opening on.
    ReadDir,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 5] = [Kind::Stat, Kind::Read, Kind::Write, Kind::Open, Kind::ReadDir];

    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Stat => "stat",
            Kind::Read => "read",
            Kind::Write => "write",
            Kind::Open => "open",
            Kind::ReadDir => "readdir",
        }
    }
}

/// What each of the eight threads does.
pub const THREADS: [Kind; 8] = [Kind::Stat, Kind::Stat, Kind::Read, Kind::Read, Kind::Write, Kind::Write, Kind::Open, Kind::ReadDir];
const FILE_BYTES: u64 = 256 * 1024;
const BLOCK_BYTES: usize = 4096;
const DIRECTORY_ENTRIES: usize = 40;

/// What one thread has seen so far; times are nanoseconds of CLOCK_MONOTONIC, 0 for never.
#[derive(Debug, Default)]
struct Gauge {
    successes: AtomicU64,
    success_started_ns: AtomicU64,
    success_ended_ns: AtomicU64,
    failure_ended_ns: AtomicU64,
    errno: AtomicI32,
    other_errno: AtomicI32,
}

/// What one thread saw. Times are nanoseconds of CLOCK_MONOTONIC.
#[derive(Debug, Clone, Copy)]
pub struct Trace {
    /// What it called.
    pub kind: Kind,
    /// How many calls succeeded.
    pub successes: u64,
    /// When the last call that succeeded was started; 0 if none did.
    pub last_success_started_ns: u64,
    /// When it returned.
    pub last_success_ended_ns: u64,
    /// When the first call that failed returned; `None` if none did.
    pub first_failure_ended_ns: Option<u64>,
    /// How that one failed; 0 if none did.
    pub errno: i32,
    /// The last way in which a later one failed that was another; 0 if none did.
    pub other_errno: i32,
}

/// Eight threads that make system calls on a mount as fast as they can until they are stopped, whether the calls
/// succeed or fail.
#[derive(Debug)]
pub struct Hammer {
    stop: Arc<AtomicBool>,
    gauges: Vec<(Kind, Arc<Gauge>)>,
    threads: Vec<JoinHandle<()>>,
}

impl Hammer {
    /// Makes its files in the new directory `dir` and starts. Returns once every thread has succeeded.
    ///
    /// # Errors
    /// If the files cannot be made or a thread fails from the beginning.
    pub fn start(dir: &Path) -> Result<Self> {
        Self::prepare(dir)?;
        Self::on(dir, &THREADS)
    }

    /// Makes the files that [`Hammer::on`] needs in the new directory `dir`.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn prepare(dir: &Path) -> Result<()> {
        fs::create_dir(dir)?;
        fs::create_dir(dir.join("entries"))?;
        for index in 0..DIRECTORY_ENTRIES {
            fs::write(dir.join(format!("entries/{index}")), b"")?;
        }
        for index in 0..THREADS.len() {
            fs::write(dir.join(format!("file-{index}")), vec![b'x'; FILE_BYTES as usize])?;
        }
        Ok(())
    }

    /// Starts one thread for each of `kinds`, eight at most, in a directory that is prepared. Returns once every
    /// thread has succeeded.
    ///
    /// # Errors
    /// If a thread fails from the beginning.
    pub fn on(dir: &Path, kinds: &[Kind]) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (mut gauges, mut threads) = (Vec::new(), Vec::new());
        for (index, &kind) in kinds.iter().enumerate().take(THREADS.len()) {
            let gauge = Arc::new(Gauge::default());
            let mut call = Caller::new(kind, dir, &dir.join(format!("file-{index}")))?;
            let (thread_stop, thread_gauge) = (Arc::clone(&stop), Arc::clone(&gauge));
            threads.push(std::thread::spawn(move || {
                while !thread_stop.load(Ordering::Relaxed) {
                    let started_ns = monotonic_ns();
                    let result = call.call();
                    thread_gauge.note(started_ns, monotonic_ns(), &result);
                    if result.is_err() {
                        // Nothing more is learnt from failing faster, and somebody else may need the processor.
                        std::thread::yield_now();
                    }
                }
            }));
            gauges.push((kind, gauge));
        }
        let hammer = Self { stop, gauges, threads };
        wait_until("every thread of the hammer has succeeded", Duration::from_secs(60), || {
            let traces = hammer.traces();
            ensure!(traces.iter().all(|trace| trace.errno == 0), "the hammer fails from the beginning: {traces:?}");
            Ok(traces.iter().all(|trace| trace.successes >= 3))
        })?;
        Ok(hammer)
    }

    /// What each thread has seen so far.
    pub fn traces(&self) -> Vec<Trace> {
        self.gauges.iter().map(|(kind, gauge)| gauge.trace(*kind)).collect()
    }

    /// Waits until a call of every thread has failed.
    ///
    /// # Errors
    /// If that does not happen within `limit`.
    pub fn wait_all_failed(&self, limit: Duration) -> Result<()> {
        let all_failed = || self.traces().iter().all(|trace| trace.first_failure_ended_ns.is_some());
        wait_until("every thread of the hammer has failed", limit, || Ok(all_failed())).with_context(|| format!("{:?}", self.traces()))
    }

    /// Waits until a call of every thread that was started from now on has succeeded.
    ///
    /// # Errors
    /// If that does not happen within `limit`.
    pub fn wait_all_succeed(&self, limit: Duration) -> Result<()> {
        let from_ns = monotonic_ns();
        let all_succeed = || self.traces().iter().all(|trace| trace.last_success_started_ns > from_ns);
        wait_until("every thread of the hammer succeeds", limit, || Ok(all_succeed())).with_context(|| format!("{:?}", self.traces()))
    }

    /// Stops all threads and gives what they saw. Blocks for as long as one hangs in a call.
    ///
    /// # Errors
    /// If a thread panicked.
    pub fn stop(mut self) -> Result<Vec<Trace>> {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().ok().context("a thread of the hammer panicked")?;
        }
        Ok(self.traces())
    }
}

impl Drop for Hammer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// The traces of threads on one mount in which a call succeeded that was started after a call of any thread had
/// returned with an error.
pub fn late_successes(traces: &[Trace]) -> Vec<Trace> {
    let first_failure_ns = traces.iter().filter_map(|trace| trace.first_failure_ended_ns).min().unwrap_or(u64::MAX);
    traces.iter().filter(|trace| trace.last_success_started_ns > first_failure_ns).copied().collect()
}

impl Gauge {
    fn note(&self, started_ns: u64, ended_ns: u64, result: &io::Result<()>) {
        match result {
            Ok(()) => {
                self.success_started_ns.store(started_ns, Ordering::Release);
                self.success_ended_ns.store(ended_ns, Ordering::Release);
                self.successes.fetch_add(1, Ordering::Release);
            }
            Err(error) => {
                let errno = error.raw_os_error().unwrap_or(-1);
                if self.errno.load(Ordering::Relaxed) == 0 {
                    self.errno.store(errno, Ordering::Release);
                    self.failure_ended_ns.store(ended_ns, Ordering::Release);
                } else if self.errno.load(Ordering::Relaxed) != errno {
                    self.other_errno.store(errno, Ordering::Release);
                }
            }
        }
    }

    fn trace(&self, kind: Kind) -> Trace {
        let failed_ns = self.failure_ended_ns.load(Ordering::Acquire);
        Trace {
            kind,
            successes: self.successes.load(Ordering::Acquire),
            last_success_started_ns: self.success_started_ns.load(Ordering::Acquire),
            last_success_ended_ns: self.success_ended_ns.load(Ordering::Acquire),
            first_failure_ended_ns: (failed_ns != 0).then_some(failed_ns),
            errno: self.errno.load(Ordering::Acquire),
            other_errno: self.other_errno.load(Ordering::Acquire),
        }
    }
}

/// One thread's call, with what it needs at hand.
struct Caller {
    kind: Kind,
    path: PathBuf,
    entries: PathBuf,
    file: File,
    block: Vec<u8>,
    offset: u64,
}

impl Caller {
    fn new(kind: Kind, dir: &Path, path: &Path) -> io::Result<Self> {
        let file = File::options().read(true).write(true).open(path)?;
        let mut caller =
            Self { kind, path: path.to_owned(), entries: dir.join("entries"), file, block: vec![b'y'; BLOCK_BYTES], offset: 0 };
        if kind == Kind::Read {
            for _ in 0..FILE_BYTES / BLOCK_BYTES as u64 {
                caller.call()?;
            }
        }
        Ok(caller)
    }

    fn call(&mut self) -> io::Result<()> {
        self.offset = (self.offset + BLOCK_BYTES as u64) % FILE_BYTES;
        match self.kind {
            Kind::Stat => fs::symlink_metadata(&self.path).map(drop),
            Kind::Read => self.file.read_exact_at(&mut self.block, self.offset),
            Kind::Write => self.file.write_all_at(&self.block, self.offset),
            Kind::Open => File::open(&self.path).map(drop),
            Kind::ReadDir => {
                let mut names = 0;
                for entry in fs::read_dir(&self.entries)? {
                    entry?;
                    names += 1;
                }
                // A listing that ends early without an error would hide a failure.
                if names == DIRECTORY_ENTRIES { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ENODATA)) }
            }
        }
    }
}
