//! The HTTP API in process, over a store in memory and a data plane of the tests' own: every call by every kind of
//! credential, and the promises of the contract one by one.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod accounts;
mod audit;
mod cells;
mod credentials;
mod deletion;
mod description;
mod errors;
mod everything;
mod harness;
mod idempotency;
mod lists;
mod lock_events;
mod lock_rights;
mod locks;
mod quotas;
mod restart;
mod revocation;
mod scopes;
mod signing_keys;
mod snapshots;
mod tickets;
mod usage;
mod validation;
