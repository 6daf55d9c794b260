//! Two regions in one ring, each with two nodes and a bucket (`docs/design/0014-regions.md`).

mod calls;
mod fixture;
mod keys;
mod loss;
mod mounts;
mod parted;
