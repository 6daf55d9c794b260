//! What a scoped API key may do, as a pure function.
//!
//! The rule: **a confinement holds for every action.** A key confined to a workspace does only what names that
//! workspace, one confined to a tenant only what names that tenant, and `ro` only reads and hands out `ro`. What names
//! neither (making a tenant with a key confined to a workspace, say) is outside. Keys are managed by unscoped keys
//! alone, or a scope would be no confinement.

use artifacts_core::name::{TenantSlug, WorkspaceName};
use artifacts_core::ticket::Mode;

use crate::audit::AuditEvent;
use crate::records::{GrantRecord, KeyScope, SessionRecord, SessionRight};

/// What an action is about; what it does not name is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Subject<'a> {
    /// The workspace's name within the account.
    pub workspace: Option<&'a str>,
    /// The tenant's slug.
    pub tenant: Option<&'a str>,
}

impl<'a> Subject<'a> {
    /// A workspace as such.
    pub fn workspace(name: &'a WorkspaceName) -> Self {
        Self { workspace: Some(name.as_str()), tenant: None }
    }

    /// A tenant as such.
    pub fn tenant(slug: &'a TenantSlug) -> Self {
        Self { workspace: None, tenant: Some(slug.as_str()) }
    }

    /// A tenant's access to a workspace.
    pub fn access(workspace: &'a WorkspaceName, tenant: &'a TenantSlug) -> Self {
        Self { workspace: Some(workspace.as_str()), tenant: Some(tenant.as_str()) }
    }

    /// What an entry of the audit trail is about.
    pub(super) fn audited(event: &'a AuditEvent) -> Self {
        Self { workspace: event.workspace.as_deref().map(name_in), tenant: event.tenant_slug.as_ref().map(|slug| slug.as_str()) }
    }

    /// A grant.
    pub fn grant(grant: &'a GrantRecord) -> Self {
        Self { workspace: Some(name_in(&grant.workspace_name)), tenant: Some(grant.tenant.as_str()) }
    }

    /// A session; one that a key opened belongs to no tenant.
    pub fn session(session: &'a SessionRecord) -> Self {
        let tenant = match &session.right {
            SessionRight::Ticket { tenant, .. } => Some(tenant.as_str()),
            SessionRight::Key { .. } => None,
        };
        Self { workspace: Some(name_in(&session.workspace_name)), tenant }
    }
}

/// The name in `handle/name`, or in `handle/name@snapshot`.
fn name_in(address: &str) -> &str {
    let label = address.rsplit('/').next().unwrap_or(address);
    label.split('@').next().unwrap_or(label)
}

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action<'a> {
    /// Look at it.
    Read(Subject<'a>),
    /// Give a runtime access to it: a grant or a ticket, with the tenant that the ticket makes.
    HandOut(Subject<'a>, Mode),
    /// Create, delete or revoke it.
    Change(Subject<'a>),
    /// List, create or revoke API keys.
    ManageKeys,
}

/// Whether a key of this scope may do it.
pub fn allows(scope: &KeyScope, action: Action<'_>) -> bool {
    if scope.mesh {
        return false;
    }
    let (subject, needed) = match action {
        Action::Read(subject) => (subject, Mode::Ro),
        Action::HandOut(subject, mode) => (subject, mode),
        Action::Change(subject) => (subject, Mode::Rw),
        Action::ManageKeys => return *scope == KeyScope::default(),
    };
    scope.mode.unwrap_or(Mode::Rw).allows(needed)
        && scope.workspace.as_ref().is_none_or(|only| subject.workspace == Some(only.name.as_str()))
        && scope.tenant.as_ref().is_none_or(|only| subject.tenant == Some(only.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(workspace: Option<&str>, tenant: Option<&str>, mode: Option<Mode>) -> KeyScope {
        let (workspace, tenant) = (workspace.map(|name| name.parse().unwrap()), tenant.map(|slug| slug.parse().unwrap()));
        KeyScope { workspace, tenant, mode, mesh: false }
    }

    #[test]
    fn each_scope_against_each_action() {
        let scopes = [
            scope(None, None, None),
            scope(Some("me/w"), None, None),
            scope(None, Some("t"), None),
            scope(Some("me/w"), Some("t"), None),
            scope(None, None, Some(Mode::Ro)),
            scope(Some("me/w"), Some("t"), Some(Mode::Ro)),
            scope(None, None, Some(Mode::Rw)),
        ];
        let (workspace, tenant) = (Some("w"), Some("t"));
        let both = Subject { workspace, tenant };
        let other_workspace = Subject { workspace: Some("v"), tenant };
        let other_tenant = Subject { workspace, tenant: Some("u") };
        let only_workspace = Subject { workspace, tenant: None };
        let only_tenant = Subject { workspace: None, tenant };
        // Columns: unscoped, w, t, w+t, ro, w+t ro, rw.
        let table: [(Action<'_>, [u8; 7]); 17] = [
            (Action::ManageKeys, [1, 0, 0, 0, 0, 0, 0]),
            (Action::Read(both), [1, 1, 1, 1, 1, 1, 1]),
            (Action::Read(other_workspace), [1, 0, 1, 0, 1, 0, 1]),
            (Action::Read(other_tenant), [1, 1, 0, 0, 1, 0, 1]),
            (Action::Read(only_workspace), [1, 1, 0, 0, 1, 0, 1]),
            (Action::Read(only_tenant), [1, 0, 1, 0, 1, 0, 1]),
            (Action::HandOut(both, Mode::Ro), [1, 1, 1, 1, 1, 1, 1]),
            (Action::HandOut(both, Mode::Rw), [1, 1, 1, 1, 0, 0, 1]),
            (Action::HandOut(other_workspace, Mode::Ro), [1, 0, 1, 0, 1, 0, 1]),
            (Action::HandOut(other_tenant, Mode::Rw), [1, 1, 0, 0, 0, 0, 1]),
            (Action::Change(both), [1, 1, 1, 1, 0, 0, 1]),
            (Action::Change(other_workspace), [1, 0, 1, 0, 0, 0, 1]),
            (Action::Change(other_tenant), [1, 1, 0, 0, 0, 0, 1]),
            (Action::Change(only_workspace), [1, 1, 0, 0, 0, 0, 1]),
            (Action::Change(only_tenant), [1, 0, 1, 0, 0, 0, 1]),
            (Action::Read(Subject::default()), [1, 0, 0, 0, 1, 0, 1]),
            (Action::Change(Subject::default()), [1, 0, 0, 0, 0, 0, 1]),
        ];
        for (action, expected) in table {
            let allowed: Vec<u8> = scopes.iter().map(|scope| u8::from(allows(scope, action))).collect();
            assert_eq!(allowed, expected, "{action:?}");
            assert!(!allows(&KeyScope { mesh: true, ..KeyScope::default() }, action), "{action:?} with a mesh credential");
        }
    }
}
