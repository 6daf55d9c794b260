use std::path::PathBuf;

/// Why a node cannot take its place in the ring.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// The settings contradict themselves.
    #[error("{0}")]
    Config(String),
    /// No usable keys.
    #[error("no ring key in {place}: {reason}")]
    Keys {
        /// The file or the variable.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// The socket.
    #[error("cannot receive datagrams at {address}: {source}")]
    Socket {
        /// Where.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The file that remembers the node's name and lives.
    #[error("cannot keep the node's place in the ring in {path}: {reason}")]
    Lives {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}
