//! The control node: the public API, the actors that own accounts, tenants, workspaces and sessions, the store and
//! the blobs behind them, and the streams to the mount agents.
//!
//! ```text
//! server (sockets, TLS) ─▶ api    (HTTP calls)    ─▶ control  (accounts, tenants, grants, tickets, revocations)
//!                       │         └▶ files  (files without a mount: visits to workspaces)
//!                       └▶ stream (agents' frames) ─▶ sessions (one actor a mount) ─▶ workspace (one actor each)
//!                                                               └▶ locks (one actor a workspace that has any)
//!                                                                   catalog, store, blob: what is kept
//! console: pages for people, which call the API themselves
//! fleet: of a cluster, the shards that this node runs, and the way to those of others
//! ring: the other nodes, if there are any: who lives, who should own what, calls between them
//! ```

mod abroad;
pub mod actors;
pub mod api;
pub mod archive;
pub mod audit;
pub mod blob;
pub mod catalog;
pub mod cluster;
pub mod config;
mod console;
pub mod context;
pub mod control;
pub mod encryption;
pub mod files;
mod fleet;
pub mod locks;
mod node;
mod object_call;
mod opening;
pub mod random;
pub mod records;
pub mod ring;
pub mod secret;
pub mod server;
pub mod sessions;
pub mod store;
mod stream;
pub mod time;
mod workspace;

pub use abroad::{Abroad, RegionKeys, SharedAbroad};
pub use node::{Node, NodeError};
