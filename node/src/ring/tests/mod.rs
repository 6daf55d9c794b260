#![allow(clippy::unwrap_used)]

mod chitchat;
mod fixture;
mod lives;
mod ring;
