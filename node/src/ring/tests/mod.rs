#![allow(clippy::unwrap_used)]

mod chitchat;
mod codec;
mod fixture;
mod lives;
mod ring;
