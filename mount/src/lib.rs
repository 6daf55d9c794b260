//! The mount agent: FUSE on one side, the session stream to a control node on the other.
//!
//! [`serve`] mounts a workspace in this process, [`spawn`](daemon::spawn) in one of its own, [`host`] in the one process of a machine
//! that serves all its mounts, and [`control`] asks mounts how they are and ends them. Inside, thin shells stand around the machines of
//! `artifacts_core`: `session` keeps the stream up and remembers what is not settled, `mesh` gossips with other hosts, `gate` decides for every call
//! whether it may be served, `fs` answers the kernel, `metrics` tells Prometheus of mounts, `data` moves the bytes of files, `kernel` mounts and drops
//! caches, `agent` puts them together and ends the mount's right to serve when the node says so or time is up.

pub mod control;
pub mod daemon;
pub mod headless;
pub mod host;
pub mod metrics;

mod agent;
mod data;
mod errno;
mod error;
mod fs;
mod gate;
mod kernel;
mod mesh;
mod options;
mod random;
mod session;
mod time;
mod transport;

pub use daemon::serve;
pub use error::MountError;
pub use mesh::{GuestMesh, MeshOptions};
pub use options::{Credential, DEFAULT_CACHE_BYTES, DEFAULT_DISK_CACHE_BYTES, MountOptions};
