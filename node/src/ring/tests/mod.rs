#![allow(clippy::unwrap_used)]

mod codec;
mod fixture;
mod lives;
mod ring;
