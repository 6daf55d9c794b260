//! The shards of a cluster that this node runs, and the way to those that others run.
//!
//! A [`Unit`] is everything that a node runs for a shard that it owns: store, sessions, control plane and API of that shard, and
//! of no other. [`Host`] opens and closes units as [`artifacts_core::cluster::Hosting`] says. [`Fleet`] knows which units there
//! are, and finds the owner of every other shard. What comes from outside enters through the [`front`], which finds the shard
//! that a call is about; what one shard wants of another goes through [`Fleet::ask`].
//!
//! Always true:
//! - **A unit answers from its own shard only.** What it needs of another it asks its owner, whoever that is.
//! - **Where a thing is, is a guess until its owner answers.** A node that is asked for what it does not have says so, and
//!   whoever asked looks again.
//! - **No session is vouched for unless everything that was revoked in its account until a moment ago is known here**
//!   ([`follow`], [`beacons`]).
//!
//! `docs/design/0013-failover.md` tells why.

mod authority;
mod beacons;
mod cells;
mod elsewhere;
mod figures;
mod find;
mod follow;
mod forward;
mod front;
mod handle;
mod host;
mod peer;
mod place;
mod plane;
mod store_watch;
mod unit;
mod witness;

pub(crate) use front::router;
pub(crate) use handle::{Common, Fleet, FleetParts};
pub(crate) use host::Host;
use unit::Unit;
