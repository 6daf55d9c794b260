//! Nodes as processes of their own, on loopback: they find each other, notice who dies or hangs, and take no notice of
//! anybody who is not of them.

mod alone;
mod hostile;
mod membership;
mod nodes;
mod rotation;
mod tap;
