//! A client of the HTTP API, and nothing else: no printing, no files, no environment.

mod client;
mod error;
mod objects;
mod retry;

pub(crate) use client::{Client, fields, filters};
pub(crate) use error::ApiError;
pub(crate) use objects::{Check, Grant, Key, Revoked, Scope, Session, Storage, Tenant, UsageItem, Workspace};
