//! The audit trail of each account: who granted, issued, mounted and revoked what, and what that fenced.
//!
//! Always true:
//! - **An entry and the change that it tells of are one batch**, so neither is there without the other. Entries about an account's
//!   own objects lie with the account. A session lies with its workspace, which may be in another shard: there its entry waits in
//!   the `outbox` of that shard until the owner of the account has it, and is in the trail once, however often it is passed on.
//! - **A trail only grows at its end**, by a stamp that no earlier entry of it has, until what is older than the retention is
//!   dropped from its front. Whoever has read up to a [settled](Trail::settled) stamp misses nothing that is written later.
//! - **Each `session_fenced` is followed by one `session_out`**: when the mount has confirmed, or else when its lease is over, also
//!   over a restart of the node.
//! - **No secret stands in it**, and nothing that a caller sent but names and ids.

mod event;
mod forwarder;
pub(crate) mod outbox;
mod trail;

pub use event::{AuditEvent, AuditKind, By, Revoked};
pub(crate) use forwarder::Forwarder;
pub use trail::{Noted, Trail};
