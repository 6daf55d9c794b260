//! Files of workspaces for callers without a mount.
//!
//! All of it are visits (`workspace::Visit`) to the workspace's actor, so it keeps every promise that mounts keep to each
//! other. What is always true:
//!
//! - **A file is put as a whole.** Its bytes are durable before it has a name, and it takes the place of what was there in one
//!   step; readers of that go on with what they have.
//! - **A file is got as it was at one moment**, or the transfer breaks off: a change in the middle never makes a mixture.
//! - **Bytes are checked** against their checksums before they leave.
//! - **Memory is bounded** by a few MiB a transfer, whatever its length, and transfers by `UPLOADS_MAX`.

mod chunk;
mod download;
mod error;
#[allow(clippy::module_inception, reason = "a file is named after its main type")]
mod files;
mod upload;

pub(crate) use download::Download;
pub(crate) use error::FileError;
pub use files::Files;
pub(crate) use upload::LONGEST_BYTES;
