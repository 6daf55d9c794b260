use std::sync::Arc;

use parking_lot::Mutex;

struct State<A, B, F> {
    first: Option<A>,
    second: Option<B>,
    then: Option<F>,
}

impl<A, B, F: FnOnce(A, B)> State<A, B, F> {
    /// Both values and what to do with them, once all are there.
    fn take(&mut self) -> Option<(A, B, F)> {
        if self.first.is_none() || self.second.is_none() {
            return None;
        }
        self.first.take().zip(self.second.take()).zip(self.then.take()).map(|((first, second), then)| (first, second, then))
    }
}

/// Two places to put a value each; `then` runs with both, in the thread that brings the later one.
pub(super) fn join<A: Send + 'static, B: Send + 'static, F: FnOnce(A, B) + Send + 'static>(
    then: F,
) -> (impl FnOnce(A) + Send + 'static, impl FnOnce(B) + Send + 'static) {
    let state = Arc::new(Mutex::new(State { first: None, second: None, then: Some(then) }));
    let other = Arc::clone(&state);
    let run = |ready: Option<(A, B, F)>| {
        if let Some((first, second, then)) = ready {
            then(first, second);
        }
    };
    let put_first = move |value| {
        let ready = {
            let mut state = state.lock();
            state.first = Some(value);
            state.take()
        };
        run(ready);
    };
    let put_second = move |value| {
        let ready = {
            let mut state = other.lock();
            state.second = Some(value);
            state.take()
        };
        run(ready);
    };
    (put_first, put_second)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn it_runs_once_whichever_comes_first() {
        let (sent, seen) = mpsc::channel();
        let sent_too = sent.clone();
        let (first, second) = join(move |a: u8, b: &str| sent.send((a, b)).unwrap());
        first(1);
        assert!(seen.try_recv().is_err());
        second("x");
        assert_eq!(seen.try_recv().unwrap(), (1, "x"));
        let (first, second) = join(move |a: u8, b: &str| sent_too.send((a, b)).unwrap());
        second("y");
        first(2);
        assert_eq!(seen.try_recv().unwrap(), (2, "y"));
    }
}
