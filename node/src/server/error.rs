//! Why a listener could not start. Nothing that clients do is an error of the server.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The listener could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another address or stop what is using it")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A certificate or key file cannot be read.
    #[error("cannot read the TLS file {}: {source}", path.display())]
    ReadTls {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A certificate or key file can be read but not used.
    #[error("cannot use the TLS file {}: {reason}", path.display())]
    InvalidTls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what it should be.
        reason: String,
    },
}
