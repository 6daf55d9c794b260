//! Nodes that keep segments in a bucket of a real S3 server: who may get at what there, and that agents find their
//! way around an object store that they cannot reach. Where that server cannot be had, a notice says so and nothing is
//! tested; with `CI=true` that is a failure.

mod direct_path;
mod endpoints;
mod start;
mod traffic;
