//! Agents in the mesh: hosts and guests that gossip with nodes of the cluster, and mounts that live by it.

mod crowd;
#[path = "../cluster/fixture.rs"]
#[allow(dead_code, reason = "shared with the tests of clusters")]
mod fixture;
mod gossip;
mod guests;
mod hostile;
#[path = "../partitions/probe.rs"]
#[allow(dead_code, reason = "shared with the tests of partitions")]
mod probe;
mod raw_guest;
mod site;
