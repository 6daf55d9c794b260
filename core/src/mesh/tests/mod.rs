#![allow(clippy::unwrap_used)]

mod calls;
mod datagrams;
mod facts;
mod fixture;
mod gossip;
mod hostile;
mod inspection;
mod keys;
mod membership;
mod replay;
