use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

use anyhow::Result;
use artifacts_tests::time::{Duration, monotonic_ns, sleep};

/// Between two calls: a mount is in use, and the machine has room for the nodes.
const PAUSE: Duration = Duration::from_millis(1);

#[derive(Debug, Default)]
struct Seen {
    over: AtomicBool,
    success_ns: AtomicU64,
    failure_ns: AtomicU64,
    errno: AtomicI32,
}

/// A program that reads, writes and looks, one after the other, until something fails.
#[derive(Debug)]
pub(crate) struct Watch {
    seen: Arc<Seen>,
}

impl Watch {
    /// `writes` unless the owner of the workspace will be out of reach, which has to keep up with what is written.
    pub(crate) fn start(path: &Path, writes: bool) -> Result<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        file.write_all_at(&[0; 8], 0)?;
        let (path, seen) = (path.to_owned(), Arc::new(Seen::default()));
        let of_thread = Arc::clone(&seen);
        std::thread::spawn(move || {
            for number in 0u64.. {
                if of_thread.over.load(Ordering::SeqCst) {
                    return;
                }
                let call = match number % 3 {
                    0 => file.read_exact_at(&mut [0; 8], 0),
                    1 if writes => file.write_all_at(&number.to_be_bytes(), 0),
                    _ => path.metadata().map(drop),
                };
                match call {
                    Ok(()) => of_thread.success_ns.store(monotonic_ns(), Ordering::SeqCst),
                    Err(error) => {
                        of_thread.errno.store(error.raw_os_error().unwrap_or(-1), Ordering::SeqCst);
                        of_thread.failure_ns.store(monotonic_ns(), Ordering::SeqCst);
                        return;
                    }
                }
                sleep(PAUSE);
            }
        });
        Ok(Self { seen })
    }

    /// When a call succeeded last; 0 for never.
    pub(crate) fn last_success_ns(&self) -> u64 {
        self.seen.success_ns.load(Ordering::SeqCst)
    }

    /// When the first call failed, and how, if one has.
    pub(crate) fn failure(&self) -> Option<(u64, i32)> {
        let at_ns = self.seen.failure_ns.load(Ordering::SeqCst);
        (at_ns > 0).then(|| (at_ns, self.seen.errno.load(Ordering::SeqCst)))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // A call that hangs ends with its mount.
        self.seen.over.store(true, Ordering::SeqCst);
    }
}
