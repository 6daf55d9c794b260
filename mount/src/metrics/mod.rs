//! What a process says of the mounts that it serves, for Prometheus.
//!
//! The numbers are those of `artifacts status`, whoever asks: over HTTP, where somebody has named an address, or by the command. They
//! are labelled by workspace and mount point, so there are as many as there are mounts, and never a file's name among them.

mod listener;
mod prometheus;
mod registry;

pub use listener::MetricsListener;
pub use prometheus::render;
pub(crate) use registry::{Registered, Registry};
