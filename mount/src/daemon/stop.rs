use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

type Hook = Box<dyn Fn() + Send>;

/// Ends all mounts of a process that has several.
#[derive(Clone, Default)]
pub(crate) struct Stop(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    is_over: bool,
    next: u64,
    hooks: BTreeMap<u64, Hook>,
}

/// While it lives its hook is called at the end.
pub(crate) struct Stopping {
    stop: Stop,
    number: u64,
}

impl Stop {
    /// `hook` runs when everything is to end; at once if it is to end already.
    pub(crate) fn on_stop(&self, hook: impl Fn() + Send + 'static) -> Stopping {
        let mut state = self.0.lock();
        if state.is_over {
            hook();
        }
        let number = state.next;
        state.next += 1;
        state.hooks.insert(number, Box::new(hook));
        Stopping { stop: self.clone(), number }
    }

    /// Everything is to end.
    pub(crate) fn stop(&self) {
        let mut state = self.0.lock();
        state.is_over = true;
        state.hooks.values().for_each(|hook| hook());
    }
}

impl Drop for Stopping {
    fn drop(&mut self) {
        self.stop.0.lock().hooks.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn all_that_is_left_is_told_and_what_comes_later_at_once() {
        let (stop, told) = (Stop::default(), Arc::new(AtomicU32::new(0)));
        let tell = |by: u32| {
            let told = Arc::clone(&told);
            move || {
                told.fetch_add(by, Ordering::Relaxed);
            }
        };
        let _stays = stop.on_stop(tell(1));
        drop(stop.on_stop(tell(10)));
        stop.stop();
        assert_eq!(told.load(Ordering::Relaxed), 1);
        let _late = stop.on_stop(tell(100));
        assert_eq!(told.load(Ordering::Relaxed), 101);
    }
}
