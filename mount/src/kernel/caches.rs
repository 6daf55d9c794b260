use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

use fuser::{INodeNo, Notifier};

/// Drops what the kernel caches of files.
///
/// A notification waits until the pages of its file are unlocked, that is until reads and writes of them are
/// answered. So none is ever sent from a thread that answers requests: single files are the business of one thread,
/// and each sweep over all files has a thread of its own, so that neither holds the other up.
#[derive(Debug, Default)]
pub(crate) struct Caches {
    notifier: OnceLock<Notifier>,
    one_file: OnceLock<mpsc::Sender<OneFile>>,
    sweeping: AtomicBool,
}

type Then = Box<dyn FnOnce() + Send>;
type OneFile = (INodeNo, Then);

impl Caches {
    /// Begins to work for a mount.
    pub(crate) fn begin(&self, notifier: Notifier) {
        let (sender, jobs) = mpsc::channel::<OneFile>();
        let thread_notifier = notifier.clone();
        let work = move || {
            for (ino, then) in jobs {
                drop_pages(&thread_notifier, ino);
                then();
            }
        };
        let _ = self.notifier.set(notifier);
        // Without the thread `then` runs at once and the kernel's own checks must do.
        if std::thread::Builder::new().name("caches".to_owned()).spawn(work).is_ok() {
            let _ = self.one_file.set(sender);
        }
    }

    /// Drops the pages of one file, then does the rest.
    pub(crate) fn drop_file(&self, ino: u64, then: impl FnOnce() + Send + 'static) {
        match self.one_file.get() {
            Some(jobs) => {
                if let Err(mpsc::SendError((_, then))) = jobs.send((INodeNo(ino), Box::new(then))) {
                    then();
                }
            }
            None => then(),
        }
    }

    /// Drops the pages of all these files. Comes back when that is done or `patience` is over; the work goes on then.
    pub(crate) fn drop_all(self: &Arc<Self>, inodes: Vec<u64>, patience: Duration) {
        let Some(notifier) = self.notifier.get().cloned() else { return };
        let (done, waiting) = mpsc::channel::<()>();
        let sweep = move || {
            for ino in inodes {
                drop_pages(&notifier, INodeNo(ino));
            }
            drop(done);
        };
        if std::thread::Builder::new().name("sweep".to_owned()).spawn(sweep).is_ok() {
            let _ = waiting.recv_timeout(patience);
        }
    }

    /// Drops the pages of all these files in the background, unless a sweep is under way already.
    pub(crate) fn sweep(self: &Arc<Self>, inodes: impl FnOnce() -> Vec<u64> + Send + 'static) {
        let Some(notifier) = self.notifier.get().cloned() else { return };
        if self.sweeping.swap(true, Ordering::SeqCst) {
            return;
        }
        let caches = Arc::clone(self);
        let sweep = move || {
            for ino in inodes() {
                drop_pages(&notifier, INodeNo(ino));
            }
            caches.sweeping.store(false, Ordering::SeqCst);
        };
        if std::thread::Builder::new().name("sweep".to_owned()).spawn(sweep).is_err() {
            self.sweeping.store(false, Ordering::SeqCst);
        }
    }
}

fn drop_pages(notifier: &Notifier, ino: INodeNo) {
    // An inode that the kernel has forgotten has no pages; any other error means that the mount is gone.
    if let Err(error) = notifier.inval_inode(ino, 0, 0) {
        tracing::debug!(%error, %ino, "pages could not be dropped");
    }
}
