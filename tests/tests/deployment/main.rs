//! What is in `deploy` is what the tools for it take: images, compose file, chart, units, scripts, dashboard and alerts. Where the real thing
//! cannot run here, its commands do: the compose file's nodes in network namespaces, the guest's first process in a mount namespace.

mod chart;
mod compose;
mod microvm;
mod observability;
mod packages;
mod scripts;
mod tools;
mod units;
