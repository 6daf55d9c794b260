//! The life of a mount as a process: opening, mounting, serving until it is unmounted, ending.
//!
//! Always true: the session is opened before anything is mounted, so what the node refuses leaves no trace; the
//! mount's record in the state directory exists while it serves, and what a dead agent left there is cleared by the
//! next one. What could not be saved is reported by whoever ends the mount.

mod child;
mod ending;
mod info;
mod memory;
mod serve;
mod spawn;
mod state_dir;
mod stop;

pub use child::serve_child;
pub use info::{ExitReport, MountInfo};
pub(crate) use memory::share_pools;
pub(crate) use serve::serve_until;
pub use serve::{SERVICE, serve};
pub use spawn::{CHILD_ARGUMENT, spawn};
pub(crate) use spawn::{START, absolute};
pub(crate) use state_dir::{MountRecord, StateDir};
pub(crate) use stop::Stop;
