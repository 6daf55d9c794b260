#![allow(clippy::unwrap_used)]

mod cell;
mod chitchat;
mod codec;
