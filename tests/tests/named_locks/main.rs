//! Named locks through the node's process and the command: what outlives a crash, and what becomes of a command whose lock is
//! lost.

mod counter;
mod crash;
mod fairness;
mod run;
mod shop;
mod watch;
