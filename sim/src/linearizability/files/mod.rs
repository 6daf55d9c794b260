//! A few files and directories of a workspace, as one process on one machine would find them.
//!
//! A name is a [`Slot`]: its directory and its place in it. A file is known by the number that the file system gave it, so
//! what a program does through a descriptor is told apart from what it does by name. Contents are counted in units; all
//! bytes of a unit say who wrote it, so a unit that is torn, or that nobody wrote, is seen as [`TORN`] and explained by
//! nothing.
//!
//! Every call here is one that a local file system does at one instant. What programs take for one call and is several,
//! such as reading a file by its name, is recorded as several.

mod call;
#[allow(clippy::module_inception, reason = "a file is named after its main type")]
mod files;
mod state;
mod unit;

pub use self::call::{Answer, Call, FileId, Slot, Unit};
pub use self::files::Files;
pub use self::state::{File, State};
pub use self::unit::{HOLE, TORN, decode, encode};
