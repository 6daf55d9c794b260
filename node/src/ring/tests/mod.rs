#![allow(clippy::unwrap_used)]

mod fixture;
mod lives;
mod ring;
