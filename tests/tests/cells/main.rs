//! Host agents in the mesh: hosts that gossip with nodes of the cluster, and mounts that live by it.

#[path = "../cluster/fixture.rs"]
#[allow(dead_code, reason = "shared with the tests of clusters")]
mod fixture;
mod gossip;
mod hostile;
#[path = "../partitions/probe.rs"]
#[allow(dead_code, reason = "shared with the tests of partitions")]
mod probe;
mod site;
