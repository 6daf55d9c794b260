use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use artifacts_core::SessionId;
use artifacts_core::mount::LeaseEnd;
use artifacts_core::namespace::{Errno, Ino};
use artifacts_core::protocol::FenceReason;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::data::{Blocks, Exchange, SegmentUploader};
use crate::error::MountError;
use crate::gate::Watch;
use crate::options::Credential;
use crate::session::{MountSession, Opener, connection};
use crate::time::{SharedClock, SystemClock};
use crate::transport::{Trust, http_client};

/// How often a mount looks at the time.
const WATCH: Duration = Duration::from_secs(1);
/// The longest that a call waits for one answer while the session stands.
const WAIT_MAX_MS: u64 = 60_000;

/// What all mounts of a process share.
pub struct Headless {
    clock: SharedClock,
    trust: Trust,
    http: reqwest::Client,
    cache_bytes: usize,
}

/// A mount without a kernel; see the module.
pub struct HeadlessMount {
    pub(super) session: Arc<MountSession>,
    pub(super) blocks: Arc<Blocks>,
    stream: JoinHandle<()>,
}

impl Headless {
    /// Mounts with so much memory each for blocks. `ca_cert` is trusted besides those of the machine.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(ca_cert: Option<&Path>, cache_bytes: usize) -> Result<Self, MountError> {
        let trust = Trust::load(ca_cert)?;
        let http = http_client(&trust)?;
        Ok(Self { clock: Arc::new(SystemClock), trust, http, cache_bytes })
    }

    /// Opens a session. It lives in tasks of the caller's runtime until [`HeadlessMount::unmount`].
    ///
    /// # Errors
    /// What the node refuses, or why none could be reached.
    pub async fn mount(&self, credential: &Credential) -> Result<HeadlessMount, MountError> {
        let mut opener = Opener::new(credential.endpoints(), self.trust.clone(), Arc::clone(&self.clock))?;
        let opened = opener.open(&credential.opening(false)).await?;
        let session = connection::begin(Arc::clone(&self.clock), opened);
        let stream = tokio::spawn(connection::keep(Arc::clone(&session), opener));
        let exchange = Arc::new(Exchange::new(self.http.clone(), Arc::clone(&session)));
        let blocks = Arc::new(Blocks::new(exchange, self.cache_bytes, None));

        let (fenced, kept) = (Arc::downgrade(&session), Arc::downgrade(&blocks));
        session.on_fence(move |reason| {
            if let (Some(session), Some(blocks)) = (fenced.upgrade(), kept.upgrade()) {
                fence(&session, &blocks, reason);
            }
        });
        let uploader = SegmentUploader::new(&blocks, Arc::clone(&session.gate), Handle::current());
        let recalled = Arc::downgrade(&session);
        session.want_lease(Arc::new(uploader), move |end| {
            let Some(session) = recalled.upgrade() else { return };
            match end {
                LeaseEnd::Whole => session.return_lease(),
                LeaseEnd::Inodes(leases) => session.give_back(leases),
            }
        });
        tokio::spawn(watch(Arc::downgrade(&session), Arc::clone(&self.clock)));
        Ok(HeadlessMount { session, blocks, stream })
    }
}

impl HeadlessMount {
    /// The directory that the credential shows as the root.
    pub fn root(&self) -> Ino {
        self.session.welcome.root
    }

    /// The session's name at the node.
    pub fn session(&self) -> SessionId {
        self.session.id()
    }

    /// Why the session is over, if it is.
    pub fn fenced(&self) -> Option<FenceReason> {
        self.session.gate.fenced()
    }

    /// Saves everything and ends the session.
    ///
    /// # Errors
    /// If something could not be saved; the session ends all the same.
    pub async fn unmount(self) -> Result<(), Errno> {
        let saved = self.fsync(self.root()).await;
        self.session.say_goodbye();
        // It ends with the stream, within its own limits.
        let _ = self.stream.await;
        saved
    }
}

fn fence(session: &Arc<MountSession>, blocks: &Blocks, reason: FenceReason) {
    if !session.gate.close(reason) {
        return;
    }
    session.interrupt(reason.errno());
    session.gate.fail();
    blocks.close(reason != FenceReason::LeaseLost);
    session.confirm_fence();
}

/// Acts on the passing of time while there is a session.
async fn watch(session: Weak<MountSession>, clock: SharedClock) {
    let mut ticks = tokio::time::interval(WATCH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_stalled = false;
    loop {
        ticks.tick().await;
        let Some(session) = session.upgrade() else { return };
        let was_stalled = std::mem::replace(&mut is_stalled, false);
        match session.gate.watch() {
            Watch::Serving { .. } => {}
            Watch::Stalled { .. } => {
                is_stalled = true;
                if !was_stalled {
                    session.doubt();
                }
            }
            Watch::Lapsed => session.interrupt(Errno::EIO),
            Watch::Expired => session.fenced(FenceReason::Expired),
            Watch::Over => return,
        }
        session.expire_waits(clock.boot_ms().saturating_sub(WAIT_MAX_MS));
    }
}
