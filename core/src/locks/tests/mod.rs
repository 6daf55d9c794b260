#![allow(clippy::unwrap_used)]

mod deadlock;
mod fixture;
mod flock;
mod model;
mod named;
mod order;
mod range;
mod sessions;
