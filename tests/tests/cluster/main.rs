//! Several nodes that share a bucket: each owns some of the shards, and all of them are one cluster to clients and mounts.

mod any_node;
mod backup;
mod figures;
mod files;
#[allow(dead_code, reason = "shared with the tests of partitions")]
mod fixture;
mod freeze;
mod hostile;
mod kill;
mod load;
mod loss;
mod moved;
mod revocation;
mod rolling;
mod versions;
