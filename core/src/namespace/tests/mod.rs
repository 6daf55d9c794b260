//! What each op and each question does and answers, one rule a test. What they do together is the business of
//! [`super::reference`].
#![allow(clippy::unwrap_used)]

pub(super) mod content;
mod fixture;
pub(super) mod lazy_view;

mod acl;
mod check;
mod clone;
mod create;
mod extents;
mod link;
mod orphan;
mod paths;
mod quota;
mod read;
mod rename;
mod repoint;
mod scope;
mod segment;
mod set_attr;
mod time;
mod transaction;
mod unlink;
mod xattr;
