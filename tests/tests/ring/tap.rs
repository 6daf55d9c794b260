use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use anyhow::Result;
use artifacts_tests::time::Duration;

const RECORDED_MAX: usize = 2_000;

/// A wire on which somebody listens: passes datagrams on to a node, and keeps copies.
pub(crate) struct Tap {
    address: SocketAddr,
    recorded: Arc<Mutex<Vec<Vec<u8>>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Tap {
    pub(crate) fn start(address: SocketAddr, to: SocketAddr) -> Result<Self> {
        let socket = UdpSocket::bind(address)?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let (recorded, over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (copies, done) = (Arc::clone(&recorded), Arc::clone(&over));
        let thread = std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while !done.load(Ordering::Relaxed) {
                match socket.recv_from(&mut buffer) {
                    Ok((len, _)) => {
                        let mut copies = copies.lock().unwrap_or_else(PoisonError::into_inner);
                        if copies.len() < RECORDED_MAX {
                            copies.push(buffer[..len].to_vec());
                        }
                        // The node may be away.
                        let _ = socket.send_to(&buffer[..len], to);
                    }
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::ConnectionRefused) => {}
                    Err(_) => return,
                }
            }
        });
        Ok(Self { address, recorded, over, thread: Some(thread) })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// All that was heard so far.
    pub(crate) fn recorded(&self) -> Vec<Vec<u8>> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It ends within a read timeout.
            let _ = thread.join();
        }
    }
}
