//! What several control nodes must agree on: where things live and whose they are.
//!
//! Everything durable lies in a fixed number of shards, each of which has one owner at a time. [`ShardMap`] says which shard
//! a thing lies in; it never changes in the life of a cluster. [`Placement`] says who should own a shard. [`Ownership`] says
//! what an owner may do at a given instant, so that two nodes that believe to own one shard never both act on it. [`Reach`]
//! says whether a node is cut off from the bucket. [`Regions`] says which regions there are, each with shards of its own, and to
//! which one a thing belongs.

mod hosting;
mod ownership;
mod placement;
mod reach;
mod region;
mod regions;
mod shard_map;
mod strangers;

#[cfg(test)]
mod tests;

pub use hosting::{HostCommand, Hosting, UnitPhase};
pub use ownership::{Claim, DEFAULT_OWNERSHIP_TTL_MS, Ownership};
pub use placement::{Move, Placement};
pub use reach::Reach;
pub use region::Region;
pub use regions::{Regions, RegionsError};
pub use shard_map::{MAX_SHARDS, Seat, Shard, ShardMap};
pub use strangers::{Strangers, Verdict};
