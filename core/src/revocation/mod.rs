//! Revocation: signed records that only ever take rights away, and the register that merges them.
//!
//! A record names its target by opaque ids. Records may arrive from any source, in any order, any number of times;
//! the register's answer depends only on the set of records it has verified. A record whose signature does not
//! verify changes nothing. There is no record that restores a right: granting anew makes a new grant.

mod feed;
mod record;
mod register;

pub use feed::{Feed, Following, News, Position};
pub use record::{Issue, RevocationRecord, SignedRevocation, Target};
pub use register::{RevocationRegister, Standing};
