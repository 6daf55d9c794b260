//! Leases on single inodes: which session may believe what it knows of an inode, and which may change it by itself.
//!
//! [`Leases`] is the node's table of them for one workspace. A session asks for a lease, and every op and question of
//! any session asks whether it meets somebody else's: an op that reads an inode meets foreign [`Kind::Write`] leases, one
//! that changes it meets all foreign leases. Who meets one waits: the holder is told to give it back
//! ([`Effect::Recall`]), and when nothing is in the way any more the wait is over ([`Effect::Ready`]).
//!
//! [`Desk`] is the table with what waits for it: questions that are taken again, and ops whose mounts are told to send them
//! again.
//!
//! Always true:
//! - while a session holds `Write` on an inode nobody else holds anything on it;
//! - nothing is held while waiting: a wait keeps others from *getting* leases on its inodes, and never keeps an op or a
//!   question from being served that meets no lease. So no two waits can wait for each other, in whatever order they name
//!   their inodes, and nobody starves: a wait's inodes only ever lose leases;
//! - a lease ends when its holder gives it back or its session is over. A holder that has lapsed, or does not answer within
//!   the recall limit, is to be fenced if somebody waits for what it holds, and only then;
//! - an inode whose leases were recalled again and again within a second is hot: for a while nobody gets one on it, and
//!   what is done to it goes through the node in order ([`Heat`]).

mod desk;
mod heat;
#[allow(clippy::module_inception, reason = "a file is named after its main type")]
mod leases;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use desk::{Asked, Desk, DeskEffect, Passage};
pub use heat::Heat;
pub use leases::{Effect, Leases, Ticket, Wants};

/// What a lease allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// To believe attributes, entries and data. Many sessions may.
    Read,
    /// To decide ops on the inode as well. One session alone.
    Write,
}

/// A lease as both sides name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// On what.
    pub ino: crate::namespace::Ino,
    /// What it allows.
    pub kind: Kind,
    /// Tells it from earlier ones of the same session on the same inode, so that giving one back does not end the next.
    /// 0 for an inode that its session has made.
    pub number: u64,
}
