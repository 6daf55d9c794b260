use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;

use crate::time::{Duration, sleep};

/// What the network between a relay's two sides does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Hands everything on.
    Open,
    /// Holds each answer for so long.
    Slow(Duration),
    /// Ends every connection, and each that is made.
    Cut,
}

/// A TCP relay in front of a server, for what the server itself cannot be made to do.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    network: Mutex<Network>,
    server: Mutex<String>,
    connections: Mutex<Vec<TcpStream>>,
    ended: AtomicBool,
}

impl Relay {
    /// A relay on a port of the loopback interface to `server`, a `host:port`.
    ///
    /// # Errors
    /// If there is no port.
    pub fn start(server: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            network: Mutex::new(Network::Open),
            server: Mutex::new(server.to_owned()),
            connections: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let of_thread = Arc::clone(&state);
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                if of_thread.ended.load(Ordering::SeqCst) {
                    return;
                }
                // Dropped where the network is cut, or the server is gone.
                let _ = of_thread.join(connection);
            }
        });
        Ok(Self { address, state })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// New connections go to this server from now on.
    pub fn point_at(&self, server: &str) {
        server.clone_into(&mut locked(&self.state.server));
    }

    /// From now on the network is like this.
    pub fn set(&self, network: Network) {
        *locked(&self.state.network) = network;
        if network == Network::Cut {
            self.state.cut();
        }
    }
}

/// Hands on what comes, until one side ends.
fn copy((mut from, mut to): (TcpStream, TcpStream), before: impl Fn()) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length) = from.read(&mut buffer) {
        before();
        if length == 0 || to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        self.state.cut();
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    fn join(self: &Arc<Self>, client: TcpStream) -> Result<()> {
        if *locked(&self.network) == Network::Cut {
            return Ok(());
        }
        let server = locked(&self.server).clone();
        let server = TcpStream::connect(server)?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        locked(&self.connections).extend([client.try_clone()?, server.try_clone()?]);
        // Whether something was asked since the last part of an answer.
        let asked = Arc::new(AtomicBool::new(false));
        let (asks, answers) = ((client.try_clone()?, server.try_clone()?), (server, client));
        let of_asks = Arc::clone(&asked);
        std::thread::spawn(move || copy(asks, || of_asks.store(true, Ordering::SeqCst)));
        let state = Arc::clone(self);
        std::thread::spawn(move || {
            copy(answers, || {
                let network = *locked(&state.network);
                if let (true, Network::Slow(delay)) = (asked.swap(false, Ordering::SeqCst), network) {
                    sleep(delay);
                }
            });
        });
        Ok(())
    }

    fn cut(&self) {
        for connection in locked(&self.connections).drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}
