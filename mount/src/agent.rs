use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak, mpsc};
use std::time::Duration;

use artifacts_core::leases::Lease;
use artifacts_core::mount::LeaseEnd;
use artifacts_core::namespace::{Attr, Errno, FileKind, Ino};
use artifacts_core::protocol::FenceReason;
use fuser::INodeNo;

use crate::data::{Blocks, ReadAhead, SegmentUploader};
use crate::fs::{Asker, Audiences, Calls, Directories, InodeNumbers, InodeTable, LockFiles};
use crate::gate::{Gate, Watch};
use crate::kernel::Caches;
use crate::session::MountSession;
use crate::time::{Alarm, SharedClock};

/// How long dropping the kernel's caches may hold up a fence. Longer than it takes; a program that has locked pages
/// for good must not keep everything else readable.
const SWEEP_LIMIT: Duration = Duration::from_millis(300);
/// The longest that a program waits for one answer while the session stands.
const WAIT_MAX_MS: u64 = 60_000;
/// The watchdog looks at least so often, also to find that the mount has ended.
const WATCH_MS: u64 = 1_000;

/// One mount: its session, what the kernel knows of it, and what to do when its right to serve ends.
#[derive(Debug)]
pub(crate) struct Agent {
    /// The stream to the node.
    pub(crate) session: Arc<MountSession>,
    /// The door that every call passes.
    pub(crate) gate: Arc<Gate>,
    /// Blocks of files.
    pub(crate) blocks: Arc<Blocks>,
    /// How each file is read.
    pub(crate) read_ahead: ReadAhead,
    /// What the kernel knows of each inode.
    pub(crate) inodes: InodeTable,
    /// Who may still be taking in what was said of directories.
    pub(crate) audiences: Audiences,
    /// What the kernel caches.
    pub(crate) caches: Arc<Caches>,
    /// Open directories.
    pub(crate) directories: Directories,
    /// Open files, for the sake of locks.
    pub(crate) lock_files: LockFiles,
    /// How system calls went.
    pub(crate) calls: Calls,
    /// The kernel's inode numbers.
    pub(crate) numbers: InodeNumbers,
    /// Whether writes pass the kernel's page cache by; it says so when the mount begins.
    pub(crate) writes_directly: AtomicBool,
    /// Where work runs that waits several times.
    pub(crate) work: tokio::runtime::Handle,
}

impl Agent {
    /// The mount of a session; from now on fences are carried out and deadlines watched.
    ///
    /// # Errors
    /// When the machine gives no timer or no thread.
    pub(crate) fn new(session: Arc<MountSession>, blocks: Blocks, work: tokio::runtime::Handle) -> std::io::Result<Arc<Self>> {
        let agent = Arc::new(Self {
            gate: Arc::clone(&session.gate),
            numbers: InodeNumbers::new(session.welcome.root),
            session,
            read_ahead: ReadAhead::new(blocks.memory().max_bytes() as u64),
            blocks: Arc::new(blocks),
            inodes: InodeTable::default(),
            audiences: Audiences::default(),
            caches: Arc::default(),
            directories: Directories::default(),
            lock_files: LockFiles::default(),
            calls: Calls::default(),
            writes_directly: AtomicBool::new(false),
            work,
        });
        let (alarm, clock) = (Alarm::new()?, Arc::clone(&agent.session.clock));
        let watched = Arc::downgrade(&agent);
        std::thread::Builder::new().name("watchdog".to_owned()).spawn(move || watch(&watched, &alarm, &clock))?;
        let fenced = Arc::downgrade(&agent);
        agent.session.on_fence(move |reason| {
            if let Some(agent) = fenced.upgrade() {
                agent.fence(reason);
            }
        });
        Ok(agent)
    }

    /// Takes leases: on the whole workspace whenever this mount is alone, on single inodes otherwise. To be called once the
    /// kernel's caches can be dropped.
    ///
    /// # Errors
    /// When the machine gives no thread.
    pub(crate) fn want_lease(self: &Arc<Self>) -> std::io::Result<()> {
        // A session that sees a part of the workspace shares it with whoever sees another.
        if self.numbers.root() != Ino::ROOT {
            return Ok(());
        }
        if self.caches.can_drop_names() {
            self.session.beliefs.enable();
        }
        let (ends, ended) = mpsc::channel();
        let agent = Arc::downgrade(self);
        // A thread of its own: it waits for pages that other threads' answers unlock.
        std::thread::Builder::new().name("recall".to_owned()).spawn(move || {
            for end in ended {
                let Some(agent) = agent.upgrade() else { return };
                agent.end_lease(end);
            }
        })?;
        let uploader = Arc::new(SegmentUploader::new(&self.blocks, Arc::clone(&self.gate), self.work.clone()));
        let agent = Arc::downgrade(self);
        self.session.want_lease(uploader, move |end| {
            let Some(agent) = agent.upgrade() else { return };
            match end {
                LeaseEnd::Inodes(leases) if !agent.kernel_knows_any(&leases) => agent.session.give_back(leases),
                end => drop(ends.send(end)),
            }
        });
        Ok(())
    }

    /// Whether nobody else has mounted the workspace.
    pub(crate) fn is_alone(&self) -> bool {
        self.session.beliefs.has_everything(self.session.beliefs.stamp())
    }

    /// Drops what the kernel caches under a lease, and gives it back.
    fn end_lease(&self, end: LeaseEnd) {
        match end {
            LeaseEnd::Whole => {
                self.drop_everything();
                self.session.return_lease();
            }
            LeaseEnd::Inodes(leases) => {
                self.drop_inodes(leases.iter().map(|lease| lease.ino));
                self.session.give_back(leases);
            }
        }
    }

    /// Shows the kernel attributes that a call has found. `inodes` are those of which the answer says something; `show` is told
    /// for how long it may be believed.
    pub(crate) fn show(&self, asker: Asker, inodes: &[Ino], attr: &Attr, show: impl FnOnce(Duration)) {
        self.session.beliefs.show(asker.stamp, inodes, |ttl| {
            let is_old = !ttl.is_zero() && attr.kind == FileKind::Directory && !self.audiences.show(attr.ino, asker);
            show(if is_old { Duration::ZERO } else { ttl });
        });
    }

    /// A call has changed names in a directory, and is about to be answered.
    pub(crate) fn names_changed(&self, dir: Ino, asker: Asker) {
        if self.audiences.changed(dir, self.session.beliefs.tick(), asker) {
            self.caches.drop_inodes(std::iter::once((self.numbers.to_kernel(dir), false)));
        }
    }

    /// The root was never looked up, and is known all the same.
    fn kernel_knows_any(&self, leases: &[Lease]) -> bool {
        leases.iter().any(|lease| lease.ino == Ino::ROOT || self.inodes.get(lease.ino).is_some())
    }

    /// Makes the kernel forget what it believes of these, and all names. Nothing of them is shown any more to be believed.
    ///
    /// Names go as well when none of these is a directory: what the kernel asks of a file whose name it believes it would not
    /// take in, should pages have to be dropped before the answer; it then goes by the old mode.
    fn drop_inodes(&self, inodes: impl Iterator<Item = Ino>) {
        let known = inodes.filter_map(|ino| match self.inodes.get(ino) {
            Some(has_pages) => Some((self.numbers.to_kernel(ino), has_pages)),
            None => (ino == Ino::ROOT).then_some((INodeNo::ROOT.0, false)),
        });
        let known: Vec<_> = known.collect();
        if !known.is_empty() {
            self.caches.drop_names();
            self.caches.drop_inodes(known.into_iter());
        }
    }

    /// Makes the kernel forget all names, attributes and pages.
    fn drop_everything(&self) {
        self.drop_names();
        self.caches.drop_inodes(self.known());
    }

    /// What the kernel is being shown at this moment included.
    fn drop_names(&self) {
        self.session.beliefs.settle();
        self.caches.drop_names();
    }

    /// The inodes that the kernel knows, by its numbers, and whether it may have pages of each.
    fn known(&self) -> impl Iterator<Item = (u64, bool)> {
        let known = self.inodes.all().into_iter().map(|(ino, has_pages)| (self.numbers.to_kernel(ino), has_pages));
        // The root was never looked up, and is known all the same.
        std::iter::once((INodeNo::ROOT.0, false)).chain(known)
    }

    /// The session is over: closes the gate, drops the kernel's caches, fails every call, tells the node. Returns
    /// once the gate is closed.
    pub(crate) fn fence(self: &Arc<Self>, reason: FenceReason) {
        if !self.gate.close(reason) {
            return;
        }
        tracing::warn!(session = %self.session.id(), reason = reason.text(), "the session is over: every call fails from now on");
        // What is under way must end, or page locks would hold up the sweep.
        self.session.interrupt(reason.errno());
        let agent = Arc::clone(self);
        let carry_out = move || {
            let swept = Arc::clone(&agent);
            agent.caches.within(SWEEP_LIMIT, move || {
                swept.drop_names();
                // Attributes first: to drop them waits for no page.
                swept.caches.drop_inodes(swept.known().map(|(ino, _)| (ino, false)));
                swept.gate.fail_pages();
                swept.caches.drop_inodes(swept.known().filter(|(_, has_pages)| *has_pages));
            });
            agent.finish_fence(reason);
        };
        if std::thread::Builder::new().name("fence".to_owned()).spawn(carry_out).is_err() {
            self.finish_fence(reason);
        }
    }

    fn finish_fence(&self, reason: FenceReason) {
        self.gate.fail();
        self.read_ahead.clear();
        // Whoever lost a lease may still read the workspace.
        self.blocks.close(reason != FenceReason::LeaseLost);
        self.session.confirm_fence();
    }
}

/// Acts on the passing of time until the mount is gone.
fn watch(agent: &Weak<Agent>, alarm: &Alarm, clock: &SharedClock) {
    let mut last = None;
    loop {
        let Some(agent) = agent.upgrade() else { return };
        let now_ms = clock.boot_ms();
        let found = agent.gate.watch();
        let kind = std::mem::discriminant(&found);
        let is_new = last.replace(kind) != Some(kind);
        let look_again_ms = match found {
            Watch::Serving { until_ms } => until_ms,
            Watch::Stalled { until_ms } => {
                if is_new {
                    tracing::warn!("no fresh proof that the session stands: calls wait");
                    // Cached pages would be readable all the while.
                    agent.session.doubt();
                    let swept = Arc::clone(&agent);
                    agent.caches.sweep(move || swept.drop_everything());
                }
                until_ms
            }
            Watch::Lapsed => {
                if is_new {
                    tracing::error!("the lease is over: calls fail until the node is back");
                }
                agent.session.interrupt(Errno::EIO);
                now_ms + WATCH_MS
            }
            Watch::Expired => {
                agent.fence(FenceReason::Expired);
                now_ms + WATCH_MS
            }
            Watch::Over => return,
        };
        agent.session.expire_waits(now_ms.saturating_sub(WAIT_MAX_MS));
        drop(agent);
        if let Err(error) = alarm.wait_until(look_again_ms.min(now_ms + WATCH_MS)) {
            tracing::error!(%error, "the watchdog has no timer any more; calls are still judged one by one");
            return;
        }
    }
}
