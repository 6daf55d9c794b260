use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::control::MountStatus;

type Source = Arc<dyn Fn() -> MountStatus + Send + Sync>;

/// The mounts of this process.
#[derive(Clone, Default)]
pub(crate) struct Registry(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    next: u64,
    sources: BTreeMap<u64, Source>,
}

/// While it lives, a mount is one of them.
pub(crate) struct Registered {
    registry: Registry,
    number: u64,
}

impl Registry {
    /// A mount serves.
    pub(crate) fn add(&self, source: Source) -> Registered {
        let mut state = self.0.lock();
        let number = state.next;
        state.next += 1;
        state.sources.insert(number, source);
        Registered { registry: self.clone(), number }
    }

    /// How they are.
    pub(super) fn statuses(&self) -> Vec<MountStatus> {
        let sources: Vec<Source> = self.0.lock().sources.values().cloned().collect();
        sources.iter().map(|source| source()).collect()
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.registry.0.lock().sources.remove(&self.number);
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("mounts", &self.0.lock().sources.len()).finish()
    }
}
