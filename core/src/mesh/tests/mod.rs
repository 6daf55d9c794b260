#![allow(clippy::unwrap_used)]

mod calls;
mod cells;
mod circles;
mod datagrams;
mod facts;
mod fixture;
mod gossip;
mod hostile;
mod inspection;
mod keys;
mod membership;
mod replay;
