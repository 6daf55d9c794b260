//! What the rest of the mount has to do with leases.

use std::sync::Arc;

use artifacts_core::leases::Lease;
use artifacts_core::mount::LeaseEnd;
use artifacts_core::namespace::Ino;

use super::mount_session::{MountSession, Uploader};

impl MountSession {
    /// From now on the mount takes leases: `uploader` puts its data, `on_lease_end` drops what the kernel caches when one is
    /// to end.
    pub(crate) fn want_lease(self: &Arc<Self>, uploader: Arc<dyn Uploader>, on_lease_end: impl Fn(LeaseEnd) + Send + Sync + 'static) {
        let _ = self.on_lease_end.set(Box::new(on_lease_end));
        let _ = self.uploader.set(uploader);
        self.enter(|mount, _| mount.take_leases());
    }

    /// The lease on the whole workspace, while this mount decides under it.
    pub(crate) fn whole_lease(&self) -> Option<u64> {
        self.shared.lock().mount.whole_lease()
    }

    /// The kernel's caches are dropped: somebody else may change the workspace.
    pub(crate) fn return_lease(self: &Arc<Self>) {
        self.enter(|mount, _| mount.return_lease());
    }

    /// The kernel's caches of these are dropped: somebody else may change them.
    pub(crate) fn give_back(self: &Arc<Self>, leases: Vec<Lease>) {
        self.enter(|mount, _| mount.give_back(leases));
    }

    /// The session has not been heard for a while.
    pub(crate) fn doubt(self: &Arc<Self>) {
        self.enter(|mount, _| mount.doubt());
    }

    /// Where the data of a file lies is asked anew by the next read.
    pub(crate) fn forget_extents(&self, ino: Ino) {
        self.shared.lock().mount.forget_extents(ino);
    }
}
