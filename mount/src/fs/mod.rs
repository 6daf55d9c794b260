//! The FUSE file system: one request of the kernel's in, frames to the node out, and the reply when they are answered.
//!
//! Nothing here blocks: a request's thread builds its frames, sends them and goes on to the next request; whoever
//! finds the answer sends the reply. Always true:
//! - every call passes the gate twice (see [`crate::gate`]); only forgetting and releasing, which show a program
//!   nothing, do not;
//! - the kernel is told to believe nothing for longer than an instant (all timeouts are 0), so each call sees what
//!   any call that returned before it has done, on whichever mount; only under the workspace's lease, when nobody else
//!   changes anything, it may believe what it was shown until it is told otherwise ([`crate::agent::Agent::show`]);
//! - pages that the kernel caches are as new as the attributes it was last shown ([`inode_table`]).

mod access_times;
mod acls;
mod ahead;
mod attributes;
mod audiences;
mod call;
mod caller;
mod calls;
mod content;
mod convert;
mod copying;
mod creation;
mod directories;
mod file_system;
mod files;
mod inode_table;
mod join;
mod locks;
mod names;
mod operation;
mod seek;
mod system_call;
mod thread;
mod xattrs;

pub(crate) use audiences::Audiences;
pub(crate) use call::Asker;
pub(crate) use calls::Calls;
pub(crate) use convert::InodeNumbers;
pub(crate) use directories::Directories;
pub(crate) use file_system::ArtifactsFs;
pub(crate) use inode_table::InodeTable;
pub(crate) use locks::LockFiles;
