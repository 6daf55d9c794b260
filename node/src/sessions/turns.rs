use tokio::sync::{Mutex, MutexGuard};

/// So many may be in turn at once.
const LANES: usize = 64;

/// Lets through one at a time of those with the same key; now and then two with different keys wait for each other, too.
pub(super) struct Turns([Mutex<()>; LANES]);

impl Default for Turns {
    fn default() -> Self {
        Self([const { Mutex::const_new(()) }; LANES])
    }
}

impl Turns {
    /// Waits for the turn of a key that was drawn at random; it ends with the guard.
    pub(super) async fn of(&self, key: u128) -> MutexGuard<'_, ()> {
        self.0[(key % LANES as u128) as usize].lock().await
    }
}
