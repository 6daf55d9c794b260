use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::{Result, ensure};
use artifacts_tests::time::{Duration, now, sleep};

/// How long a writer waits before it tries again what failed.
const PAUSE: Duration = Duration::from_millis(20);

/// A program that writes files below a mount, each with fsync, for as long as this lives.
pub(crate) struct Writer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Written>,
}

/// What it has done.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Files whose fsync returned.
    pub(crate) saved: Vec<String>,
    /// What failed.
    pub(crate) errors: Vec<String>,
    /// The longest that one file took.
    pub(crate) longest: Duration,
}

fn write_through(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    file.sync_all()
}

impl Writer {
    pub(crate) fn start(dir: PathBuf) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut written = Written::default();
            for number in 0.. {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let (name, start) = (format!("file-{number}"), now());
                match write_through(&dir.join(&name), name.as_bytes()) {
                    Ok(()) => written.saved.push(name),
                    Err(error) => {
                        written.errors.push(format!("{name}: {error}"));
                        sleep(PAUSE);
                    }
                }
                written.longest = written.longest.max(start.elapsed());
            }
            written
        });
        Self { stop, thread }
    }

    pub(crate) fn stop(self) -> Result<Written> {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().map_err(|_| anyhow::anyhow!("the writer panicked"))
    }
}

/// That everything which was saved is there.
pub(crate) fn expect_saved(dir: &Path, written: &Written) -> Result<()> {
    for name in &written.saved {
        let content = fs::read_to_string(dir.join(name));
        ensure!(content.as_ref().is_ok_and(|content| content == name), "{name} was saved, and is {content:?}");
    }
    Ok(())
}
