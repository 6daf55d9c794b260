use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use futures_util::{Sink as _, Stream as _};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::transport::Socket;

/// The socket of the stream that is up, and the frames that wait for it.
///
/// Whoever has a frame queues it and calls [`Outlet::pump`], which writes all that waits with one flush from the
/// calling thread. When another thread is at the socket, that one finds the frame before it leaves; so frames of
/// many threads coalesce and nobody waits. When the socket takes no more, the connection's task goes on.
#[derive(Debug)]
pub(crate) struct Outlet {
    queue: Mutex<VecDeque<Bytes>>,
    socket: Mutex<Option<Socket>>,
    broken: AtomicBool,
    wake_up: Arc<WakeUp>,
    waker: Waker,
}

/// Wakes the connection's task.
#[derive(Debug, Default)]
struct WakeUp(Notify);

impl Wake for WakeUp {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

enum Pumped {
    Everything,
    Blocked,
    Broken,
}

impl Default for Outlet {
    fn default() -> Self {
        let wake_up = Arc::new(WakeUp::default());
        let waker = Waker::from(Arc::clone(&wake_up));
        Self { queue: Mutex::default(), socket: Mutex::default(), broken: AtomicBool::new(false), wake_up, waker }
    }
}

impl Outlet {
    /// A new stream, which begins with these frames.
    pub(crate) fn attach(&self, new: Socket, first: impl IntoIterator<Item = Bytes>) {
        let mut socket = self.socket.lock();
        let mut queue = self.queue.lock();
        queue.clear();
        queue.extend(first);
        self.broken.store(false, Ordering::SeqCst);
        *socket = Some(new);
    }

    /// The stream is gone, and with it what waited for it.
    pub(crate) fn detach(&self) {
        let mut socket = self.socket.lock();
        self.queue.lock().clear();
        *socket = None;
    }

    /// Queues a frame; [`Outlet::pump`] sends it.
    pub(crate) fn push(&self, frame: Bytes) {
        self.queue.lock().push_back(frame);
    }

    /// Sends what waits, unless another thread does.
    pub(crate) fn pump(&self) {
        loop {
            let Some(mut socket) = self.socket.try_lock() else { return };
            let pumped = match socket.as_mut() {
                Some(socket) => self.drain(socket),
                None => Pumped::Blocked,
            };
            drop(socket);
            match pumped {
                // What was queued while this thread held the socket is this thread's to send.
                Pumped::Everything if !self.queue.lock().is_empty() => {}
                Pumped::Everything | Pumped::Blocked => return,
                Pumped::Broken => {
                    self.broken.store(true, Ordering::SeqCst);
                    self.wake_up.0.notify_one();
                    return;
                }
            }
        }
    }

    fn drain(&self, socket: &mut Socket) -> Pumped {
        let mut cx = Context::from_waker(&self.waker);
        loop {
            match Pin::new(&mut *socket).poll_ready(&mut cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Pumped::Broken,
                Poll::Pending => return Pumped::Blocked,
            }
            let Some(frame) = self.queue.lock().pop_front() else { break };
            if Pin::new(&mut *socket).start_send(Message::Binary(frame)).is_err() {
                return Pumped::Broken;
            }
        }
        match Pin::new(socket).poll_flush(&mut cx) {
            Poll::Ready(Ok(())) => Pumped::Everything,
            Poll::Ready(Err(_)) => Pumped::Broken,
            Poll::Pending => Pumped::Blocked,
        }
    }

    /// The next message; `None` when the stream has ended. For the connection's task alone.
    pub(crate) fn poll_message(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, tungstenite::Error>>> {
        let polled = match self.socket.lock().as_mut() {
            Some(socket) => Pin::new(socket).poll_next(cx),
            None => Poll::Ready(None),
        };
        if !self.queue.lock().is_empty() {
            self.pump();
        }
        polled
    }

    /// Comes back when the socket takes more, or is broken.
    pub(crate) async fn wanted(&self) {
        self.wake_up.0.notified().await;
    }

    /// Calls the connection's task.
    pub(crate) fn wake(&self) {
        self.wake_up.0.notify_one();
    }

    /// Whether writing has failed.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::SeqCst)
    }
}
