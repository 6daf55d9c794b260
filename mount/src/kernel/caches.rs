use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

use fuser::{INodeNo, Notifier};

use super::mounting::KernelSide;

/// Drops what the kernel caches of files.
///
/// A notification waits until the pages of its file are unlocked, that is until reads and writes of them are
/// answered. So none is ever sent from a thread that answers requests: single files are the business of one thread,
/// and each sweep over all files has a thread of its own, so that neither holds the other up.
#[derive(Debug, Default)]
pub(crate) struct Caches {
    notifier: OnceLock<Notifier>,
    /// The FUSE descriptor, where the kernel lets all names be dropped at once.
    device: OnceLock<OwnedFd>,
    one_file: OnceLock<mpsc::Sender<OneFile>>,
    sweeping: AtomicBool,
}

type Then = Box<dyn FnOnce() + Send>;
type OneFile = (INodeNo, Then);

impl Caches {
    /// Begins to work for a mount.
    pub(crate) fn begin(&self, KernelSide { notifier, device }: KernelSide) {
        let (sender, jobs) = mpsc::channel::<OneFile>();
        let thread_notifier = notifier.clone();
        let work = move || {
            for (ino, then) in jobs {
                drop_pages(&thread_notifier, ino);
                then();
            }
        };
        let _ = self.notifier.set(notifier);
        if let Some(device) = device
            && increment_epoch(&device).is_ok()
        {
            let _ = self.device.set(device);
        }
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

    /// Makes the kernel look every name up anew. What it is just being told counts as old as well.
    pub(crate) fn drop_names(&self) {
        if let Some(device) = self.device.get()
            && let Err(error) = increment_epoch(device)
        {
            tracing::debug!(%error, "names could not be dropped");
        }
    }

    /// Whether [`Caches::drop_names`] works. If not, the kernel must never be told to believe a name.
    pub(crate) fn can_drop_names(&self) -> bool {
        self.device.get().is_some()
    }

    /// Drops the attributes of all these inodes, and the pages of those that may have some.
    pub(crate) fn drop_inodes(&self, inodes: impl Iterator<Item = (u64, bool)>) {
        let Some(notifier) = self.notifier.get() else { return };
        for (ino, has_pages) in inodes {
            if has_pages { drop_pages(notifier, INodeNo(ino)) } else { drop_attributes(notifier, INodeNo(ino)) }
        }
    }

    /// Does this in a thread of its own. Comes back when that is done or `patience` is over; the work goes on then.
    pub(crate) fn within(self: &Arc<Self>, patience: Duration, work: impl FnOnce() + Send + 'static) {
        let (done, waiting) = mpsc::channel::<()>();
        let work = move || {
            work();
            drop(done);
        };
        if std::thread::Builder::new().name("sweep".to_owned()).spawn(work).is_ok() {
            let _ = waiting.recv_timeout(patience);
        }
    }

    /// Does this in the background, unless the same is under way already.
    pub(crate) fn sweep(self: &Arc<Self>, work: impl FnOnce() + Send + 'static) {
        if self.sweeping.swap(true, Ordering::SeqCst) {
            return;
        }
        let caches = Arc::clone(self);
        let sweep = move || {
            work();
            caches.sweeping.store(false, Ordering::SeqCst);
        };
        if std::thread::Builder::new().name("sweep".to_owned()).spawn(sweep).is_err() {
            self.sweeping.store(false, Ordering::SeqCst);
        }
    }
}

/// FUSE_NOTIFY_INC_EPOCH (Linux 6.16): every name that the kernel knows counts as out of date. The message is a
/// header alone; its error field names the notification.
fn increment_epoch(device: &OwnedFd) -> io::Result<()> {
    const FUSE_NOTIFY_INC_EPOCH: i32 = 8;
    let mut message = [0u8; 16];
    message[..4].copy_from_slice(&16u32.to_ne_bytes());
    message[4..8].copy_from_slice(&FUSE_NOTIFY_INC_EPOCH.to_ne_bytes());
    rustix::io::write(device, &message)?;
    Ok(())
}

fn drop_pages(notifier: &Notifier, ino: INodeNo) {
    // An inode that the kernel has forgotten has no pages; any other error means that the mount is gone.
    if let Err(error) = notifier.inval_inode(ino, 0, 0) {
        tracing::debug!(%error, %ino, "pages could not be dropped");
    }
}

fn drop_attributes(notifier: &Notifier, ino: INodeNo) {
    if let Err(error) = notifier.inval_inode(ino, -1, 0) {
        tracing::debug!(%error, %ino, "attributes could not be dropped");
    }
}
