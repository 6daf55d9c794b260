use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use artifacts_core::hosts::Pace;
use artifacts_core::session::Phase;
use parking_lot::Mutex;
use ractor::ActorRef;

use super::SessionMessage;
use crate::records::SessionRecord;
use crate::server::Shutdown;

/// What a session's actor, its stream and the registry read of each other without asking.
#[derive(Debug)]
pub(crate) struct Shared {
    accepts: AtomicBool,
    heard_ms: AtomicU64,
    connections: AtomicU64,
    phase: Mutex<Phase>,
    /// How fast it asks for its cell in the mesh.
    pub(crate) pace: Mutex<Pace>,
    /// Held while a stream takes the place of the one before; what ends the one that did so last.
    attaching: tokio::sync::Mutex<Option<Shutdown>>,
}

impl Shared {
    pub(crate) fn new(phase: Phase, now_ms: u64) -> Self {
        let accepts = AtomicBool::new(matches!(phase, Phase::Live | Phase::Lapsed));
        Self {
            accepts,
            heard_ms: AtomicU64::new(now_ms),
            connections: AtomicU64::new(0),
            phase: Mutex::new(phase),
            pace: Mutex::default(),
            attaching: tokio::sync::Mutex::default(),
        }
    }

    /// Whether the session stands. Once false, for good.
    pub(crate) fn accepts(&self) -> bool {
        self.accepts.load(Ordering::Acquire)
    }

    /// Nothing of the session is accepted from now on.
    pub(crate) fn refuse(&self) {
        self.accepts.store(false, Ordering::Release);
    }

    /// Its agent was heard at `now_ms` of the node's monotonic clock.
    pub(crate) fn hear(&self, now_ms: u64) {
        self.heard_ms.fetch_max(now_ms, Ordering::Relaxed);
    }

    /// When its agent was heard last.
    pub(crate) fn heard_ms(&self) -> u64 {
        self.heard_ms.load(Ordering::Relaxed)
    }

    /// A stream has come or gone.
    pub(crate) fn connection_changed(&self, up: bool) {
        if up {
            self.connections.fetch_add(1, Ordering::Relaxed);
        } else {
            self.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Whether a stream is up.
    pub(crate) fn connected(&self) -> bool {
        self.connections.load(Ordering::Relaxed) > 0
    }

    /// One stream at a time takes the place of the one before, at the workspace and at the session. Otherwise each of two that come
    /// together could have one of the places: the mount would hear proofs, and no answers. The one before ends first: what of it
    /// waits for its turn is sent again over the new one, and must not come after what is said there.
    pub(super) async fn attach_alone(&self, end: Shutdown) -> tokio::sync::MutexGuard<'_, Option<Shutdown>> {
        let mut attached = self.attaching.lock().await;
        if let Some(before) = attached.replace(end) {
            before.start();
        }
        attached
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.phase.lock()
    }

    pub(super) fn set_phase(&self, phase: Phase) {
        *self.phase.lock() = phase;
    }
}

/// A session in the registry.
pub(crate) struct Handle {
    /// The record as it was when the session opened; the phase is in `shared`.
    pub(crate) record: SessionRecord,
    pub(crate) shared: std::sync::Arc<Shared>,
    pub(crate) actor: ActorRef<SessionMessage>,
}
