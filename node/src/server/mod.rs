//! The shell around the API: sockets, TLS, HTTP/1.1, limits and an orderly end. It knows nothing of what is served.
//!
//! What always holds, whatever clients do:
//!
//! - **Connections that never finish a request head cost little.** At most [`ServerConfig::max_unfinished`] of them are
//!   open; one more closes the oldest of them, never one that has done its part. Each is closed anyway when the head
//!   takes too long. The TLS handshake counts as part of the head.
//! - **Descriptors do not run out.** The limit on open files is raised as far as it goes, and connections take at most
//!   three quarters of it. When all allowed connections are open, a new one takes the place of the oldest that has no
//!   request in progress; if each has one, the new connection is closed.
//! - **A request that has begun is finished.** Only a client that stops sending its body or stops reading, or a shutdown
//!   that has reached its drain limit, cuts it off.
//! - **A handler knows its peer**: every request carries [`axum::extract::ConnectInfo`] with the peer's address.
//!
//! WebSockets are connections, too, from the first byte until their socket is dropped; whoever serves one watches
//! [`Shutdown`] and ends it in time.

mod admission;
mod config;
mod connection;
mod error;
mod limits;
mod listener;
mod shutdown;
mod tls;

#[cfg(test)]
mod tests;

pub use self::config::ServerConfig;
pub use self::error::ServerError;
pub use self::listener::{Drained, Listener};
pub use self::shutdown::Shutdown;
pub use self::tls::TlsFiles;
