//! A client of the HTTP API, and nothing else: no printing, no files, no environment.

mod client;
#[cfg(feature = "node")]
mod cluster;
mod error;
mod events;
mod following;
mod locks;
mod objects;
mod retry;

pub(crate) use client::{Client, fields, filters};
#[cfg(feature = "node")]
pub(crate) use cluster::{ClusterMember, ClusterStatus, Follower, ShardUnit, SigningKey};
pub(crate) use error::ApiError;
pub(crate) use events::Event;
pub(crate) use following::Following;
pub(crate) use objects::{
    AuditEvent, Check, Grant, HeldLock, Key, Lock, LockParty, MeshCredential, Revoked, Scope, Session, Snapshot, Storage, Tenant,
    TenantUsage, UsageItem, Workspace,
};
