use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, Weak};

use artifacts_core::mesh::limits::DATAGRAM_MAX_BYTES;
use artifacts_core::mesh::{KeyId, key_of_datagram};
use parking_lot::Mutex;
use tokio::net::UdpSocket;
use tokio::sync::{Mutex as AsyncMutex, mpsc};
use tokio::task::AbortHandle;

use crate::socket::{Arrived, Inlet, bind};
use crate::surroundings::{Count, pause};

/// So many datagrams wait for one cell; what comes after is lost, as in a full buffer of the kernel's.
const WAITING_MAX: usize = 256;
/// After an error of the socket itself.
const ERROR_PAUSE: std::time::Duration = std::time::Duration::from_millis(10);

/// A UDP socket that several cells share. A datagram goes to the cell whose key it names; one that names none is dropped where it
/// lies, so noise costs a look each and no memory.
///
/// Closed when the last clone is gone.
#[derive(Clone)]
pub struct Port(Arc<Shared>);

struct Shared {
    socket: Arc<UdpSocket>,
    local: SocketAddr,
    routes: Mutex<BTreeMap<[u8; 4], mpsc::Sender<Arrived>>>,
    count: Count,
    reader: OnceLock<AbortHandle>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.get() {
            reader.abort();
        }
    }
}

impl Port {
    /// Binds it and begins to read. Must be called within a runtime.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(address: SocketAddr, count: Count) -> std::io::Result<Self> {
        let socket = Arc::new(bind(address)?);
        let local = socket.local_addr()?;
        let shared = Arc::new(Shared { socket: socket.clone(), local, routes: Mutex::default(), count, reader: OnceLock::new() });
        let reader = tokio::spawn(read(socket, Arc::downgrade(&shared)));
        shared.reader.get_or_init(|| reader.abort_handle());
        Ok(Self(shared))
    }

    /// Where it is bound.
    pub fn local_addr(&self) -> SocketAddr {
        self.0.local
    }

    pub(crate) fn socket(&self) -> &Arc<UdpSocket> {
        &self.0.socket
    }

    pub(crate) fn count(&self) -> Count {
        self.0.count
    }

    /// From now on what names this key goes there.
    pub(crate) fn route(&self, key: KeyId) -> Inlet {
        let (to, datagrams) = mpsc::channel(WAITING_MAX);
        self.0.routes.lock().insert(key.0, to);
        Inlet::Shared(Arc::new(AsyncMutex::new(datagrams)))
    }

    pub(crate) fn unroute(&self, key: KeyId) {
        self.0.routes.lock().remove(&key.0);
    }
}

/// Reads for as long as anybody has the port.
async fn read(socket: Arc<UdpSocket>, port: Weak<Shared>) {
    let mut buffer = vec![0; DATAGRAM_MAX_BYTES + 1];
    loop {
        let received = socket.recv_from(&mut buffer).await;
        let Some(port) = port.upgrade() else { return };
        match received {
            Ok((len, source)) => {
                let route = key_of_datagram(&buffer[..len]).and_then(|key| port.routes.lock().get(&key.0).cloned());
                match route {
                    Some(route) if route.try_send((source, buffer[..len].to_vec())).is_ok() => {}
                    Some(_) => (port.count)("overrun"),
                    None => (port.count)("stranger"),
                }
            }
            Err(error) => {
                (port.count)("error");
                tracing::debug!(%error, "the gossip socket has an error");
                drop(port);
                pause(ERROR_PAUSE).await;
            }
        }
    }
}
