//! The actors of a node. Each owns the state of one object and is the only writer of its keys.
//!
//! ```text
//! Supervisor ▶ AccountActor (one an account)  ─ tenants, keys and workspace names
//!            ▶ TenantActor  (one a tenant)    ─ grants, tickets, revocations
//!            ▶ WorkspaceActor (one a workspace in use) ─ namespace, ops, open files
//!            ▶ SessionActor (one a mount)     ─ lifecycle, stream, fence
//! ```
//! Members of a [`Family`] are started when first needed. One that panics or stops is forgotten and started anew
//! from the store by whoever needs it next; what it had not made durable comes back from the mounts.
//! Mailboxes are unbounded, so they are bounded at the door: each stream and each API call holds a permit.

mod family;

pub use family::{Family, Supervisor};
