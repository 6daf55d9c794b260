//! chitchat's way to the simulated network: what it says is taken from it, and what it is to hear is put there, one message at a time.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Poll, Waker};

use async_trait::async_trait;
use chitchat::ChitchatMessage;
use chitchat::transport::{Socket, Transport};
use parking_lot::Mutex;

/// One member's port.
#[derive(Default)]
pub(super) struct Port {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    heard: VecDeque<(SocketAddr, ChitchatMessage)>,
    said: Vec<(SocketAddr, ChitchatMessage)>,
    /// Of the task, while it has nothing to do.
    waits: Option<Waker>,
}

impl Port {
    /// Lets the task hear a message.
    pub(super) fn hear(&self, from: SocketAddr, message: ChitchatMessage) {
        let waits = {
            let mut state = self.state.lock();
            state.heard.push_back((from, message));
            state.waits.take()
        };
        if let Some(waker) = waits {
            waker.wake();
        }
    }

    /// Whether the task is done with everything that it has heard.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.state.lock();
        state.heard.is_empty() && state.waits.is_some()
    }

    /// Whether it has said anything that was not taken.
    pub(super) fn has_said(&self) -> bool {
        !self.state.lock().said.is_empty()
    }

    /// What it has said.
    pub(super) fn take_said(&self) -> Vec<(SocketAddr, ChitchatMessage)> {
        std::mem::take(&mut self.state.lock().said)
    }
}

/// Opens a port for chitchat.
pub(super) struct Wire(pub(super) Arc<Port>);

#[async_trait]
impl Transport for Wire {
    async fn open(&self, _: SocketAddr) -> anyhow::Result<Box<dyn Socket>> {
        Ok(Box::new(Plug(self.0.clone())))
    }
}

struct Plug(Arc<Port>);

#[async_trait]
impl Socket for Plug {
    async fn send(&mut self, to: SocketAddr, message: ChitchatMessage) -> anyhow::Result<()> {
        self.0.state.lock().said.push((to, message));
        Ok(())
    }

    async fn recv(&mut self) -> anyhow::Result<(SocketAddr, ChitchatMessage)> {
        let state = &self.0.state;
        let heard = poll_fn(|context| {
            let mut state = state.lock();
            match state.heard.pop_front() {
                Some(heard) => Poll::Ready(heard),
                None => {
                    state.waits = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        });
        Ok(heard.await)
    }
}
