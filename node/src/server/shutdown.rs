//! The word that the process is to end, spread to whoever has to know.

use std::sync::Arc;

use tokio::sync::watch;

/// A switch that goes from off to on once. Clones share it. The listener stops accepting when it is on; tasks that live
/// longer than a request (WebSockets, event streams, background work) await [`Shutdown::started`] next to their work.
#[derive(Debug, Clone)]
pub struct Shutdown {
    started: Arc<watch::Sender<bool>>,
}

impl Shutdown {
    /// A switch that is off.
    pub fn new() -> Self {
        Self { started: Arc::new(watch::Sender::new(false)) }
    }

    /// Turns it on; again is no harm.
    pub fn start(&self) {
        self.started.send_replace(true);
    }

    /// Whether it is on.
    pub fn is_started(&self) -> bool {
        *self.started.borrow()
    }

    /// Waits until it is on.
    pub async fn started(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.started.subscribe().wait_for(|&started| started).await;
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}
