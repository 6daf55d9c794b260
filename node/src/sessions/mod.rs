//! Mount sessions at their node: one `SessionActor` each, which owns the session's lifecycle and record.
//!
//! What every frame needs to know of a session (does it stand, when was it heard) is in `Shared`, so that its
//! stream need not ask the actor. `Shared::accepts` turns false before anything else happens in a fence.

mod actor;
mod authority;
mod ending;
mod handle;
mod handles;
mod keys;
mod opening;
mod registry;
mod standing_ticket;
mod stays;
mod turns;
mod visits;

#[cfg(test)]
mod tests;

pub(crate) use actor::{Connection, SessionActor, SessionArguments, SessionMessage};
pub use authority::{Authority, LocalAuthority, Right};
pub(crate) use handle::{Handle, Shared};
pub(crate) use opening::{Opened, fenced, standing};
pub(crate) use registry::ask;
pub use registry::{FenceReport, SessionStatus, Sessions};
pub(crate) use standing_ticket::{StandingTicket, TicketRefusal, standing_ticket};

pub use crate::workspace::{CheckFinding, CheckOptions, CheckReport, SegmentHomes, Storage};
