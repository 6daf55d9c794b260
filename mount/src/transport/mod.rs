//! The way to the control nodes: TLS, the WebSocket under a session stream, the HTTP client for segments.
//!
//! Both trust the same authorities: the machine's, and those of one PEM file that the user may name. Nothing here
//! knows what is said over a connection.

mod client;
mod connect;
mod endpoint;
mod tls;
mod wire;

pub(crate) use client::http_client;
pub(crate) use connect::{ConnectError, Socket, connect};
pub(crate) use endpoint::Endpoint;
pub(crate) use tls::Trust;
