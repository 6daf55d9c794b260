//! A client of the HTTP API, and nothing else: no printing, no files, no environment.

mod client;
#[cfg(feature = "node")]
mod cluster;
mod error;
mod locks;
mod objects;
mod retry;

pub(crate) use client::{Client, fields, filters};
#[cfg(feature = "node")]
pub(crate) use cluster::{ClusterMember, ClusterStatus, Follower, ShardUnit};
pub(crate) use error::ApiError;
pub(crate) use locks::LockEvent;
pub(crate) use objects::{
    Check, Grant, HeldLock, Key, Lock, LockParty, MeshCredential, Revoked, Scope, Session, Snapshot, Storage, Tenant, UsageItem, Workspace,
};
