//! The control plane: accounts, API keys, tenants, workspaces, grants, tickets, revocations.
//!
//! [`Control`] is the handle: `handle` for accounts, keys, tenants and workspaces, `access` for who may mount what, `find` for what there
//! is. The HTTP API is a thin shell around it. One `AccountActor` an account and one
//! `TenantActor` a tenant are the only writers of their objects, so two requests never decide on the same state. What
//! is always true:
//!
//! - **An answer is durable.** Nothing is said to exist, or to be revoked, that a crash could undo.
//! - **A revocation is logged, then known, then enforced.** The signed record and the change of the object are one
//!   batch; after it the register refuses new sessions; then the sessions that stand on it are fenced. A node that
//!   dies in between takes it up again at its start, from the log.
//! - **A ticket never outlives its grant**, and a tenant that is gone has no grant that stands.
//! - **What is another account's does not exist.** The error is the same, to the letter.
//!
//! The decisions are pure functions in [`grant_rules`]; the data plane lies behind [`DataPlane`].

mod access;
mod account_actor;
mod admin_token;
mod asked;
mod data_plane;
pub(crate) mod durable;
mod error;
mod find;
pub mod grant_rules;
mod handle;
mod housekeeping;
mod new_key;
pub mod quota_rules;
mod revoker;
mod shared;
mod signing;
mod tenant_actor;
mod wishes;
mod workspace_removal;

pub use access::{GrantOrder, TicketOrder};
pub use admin_token::ADMIN_TOKEN_FILE;
pub use data_plane::{DataPlane, hits};
pub use error::ControlError;
pub use handle::{Control, StartError};
pub use new_key::NewKey;
pub use wishes::{CopyWish, KeyWish, QuotaChange, TenantWish, WorkspaceWish};
