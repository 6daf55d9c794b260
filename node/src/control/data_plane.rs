use std::collections::BTreeSet;
use std::time::Duration;

use artifacts_core::name::Handle;
use artifacts_core::namespace::Usage;
use artifacts_core::protocol::FenceReason;
use artifacts_core::revocation::Target;
use artifacts_core::{SessionId, WorkspaceId};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use super::ControlError;
use crate::records::{AccountRecord, SessionRecord, SessionRight, WorkspaceRecord};
use crate::sessions::{CheckOptions, CheckReport, FenceReport, SessionStatus, Sessions, Storage};
use crate::store::StoreError;

/// What the control plane needs of the data plane. [`Sessions`] is the real one; tests bring their own.
pub trait DataPlane: Send + Sync + 'static {
    /// Ends every session that stands on one of `targets`; see [`Sessions::fence`].
    fn fence(&self, targets: BTreeSet<Target>, reason: FenceReason, wait: Duration) -> BoxFuture<'_, FenceReport>;

    /// As [`DataPlane::fence`], without waiting, of what was revoked before this process started: whoever serves sessions in
    /// other processes has read the log.
    fn catch_up(&self, targets: BTreeSet<Target>, reason: FenceReason) -> BoxFuture<'_, FenceReport> {
        self.fence(targets, reason, Duration::ZERO)
    }

    /// Whether an account of this handle may be made here: where handles are kept for several regions, they are asked.
    fn claim_handle<'a>(&'a self, _: &'a Handle) -> BoxFuture<'a, Result<bool, ControlError>> {
        ready(Ok(true)).boxed()
    }

    /// The sessions of an account that are not over; of all accounts if none is named.
    fn sessions<'a>(&'a self, account: Option<&'a AccountRecord>) -> BoxFuture<'a, Result<Vec<SessionStatus>, StoreError>>;

    /// One session in this region, if it is not over.
    fn session(&self, id: SessionId) -> BoxFuture<'_, Result<Option<SessionStatus>, StoreError>>;

    /// As [`DataPlane::session`], in whichever region the account has workspaces.
    fn session_of<'a>(&'a self, _: &'a AccountRecord, id: SessionId) -> BoxFuture<'a, Result<Option<SessionStatus>, StoreError>> {
        self.session(id)
    }

    /// Makes the root directory of a new workspace, durably.
    fn format<'a>(&'a self, workspace: &'a WorkspaceRecord) -> BoxFuture<'a, Result<(), StoreError>>;

    /// From when this returns the workspace's quotas are those of its record, for every mount.
    fn set_quotas<'a>(&'a self, workspace: &'a WorkspaceRecord) -> BoxFuture<'a, Result<(), StoreError>>;

    /// An id for a copy of a workspace: where that lies the copy will lie.
    fn id_beside<'a>(&'a self, workspace: &'a WorkspaceRecord) -> BoxFuture<'a, Result<WorkspaceId, StoreError>>;

    /// Copies what `source` holds into `copy`, which nobody uses yet; see [`Sessions::copy`].
    fn copy<'a>(&'a self, source: &'a WorkspaceRecord, copy: &'a WorkspaceRecord) -> BoxFuture<'a, Result<(), StoreError>>;

    /// What a workspace holds.
    fn usage<'a>(&'a self, workspace: &'a WorkspaceRecord) -> BoxFuture<'a, Result<Usage, StoreError>>;

    /// What a workspace takes in the store and in objects.
    fn storage<'a>(&'a self, workspace: &'a WorkspaceRecord) -> BoxFuture<'a, Result<Storage, StoreError>>;

    /// Proves that a workspace's metadata and data agree; see [`Sessions::check`].
    fn check<'a>(&'a self, workspace: &'a WorkspaceRecord, options: CheckOptions) -> BoxFuture<'a, Result<CheckReport, StoreError>>;

    /// Removes all records and blobs of a workspace whose sessions have been fenced. Can be repeated.
    fn destroy<'a>(&'a self, workspace: &'a WorkspaceRecord) -> BoxFuture<'a, Result<(), StoreError>>;
}

impl DataPlane for Sessions {
    fn fence(&self, targets: BTreeSet<Target>, reason: FenceReason, wait: Duration) -> BoxFuture<'_, FenceReport> {
        async move { Sessions::fence(self, |session| hits(&targets, session), reason, wait).await }.boxed()
    }

    fn sessions<'a>(&'a self, account: Option<&'a AccountRecord>) -> BoxFuture<'a, Result<Vec<SessionStatus>, StoreError>> {
        let mut sessions = self.list();
        sessions.retain(|session| account.is_none_or(|account| session.record.account == account.id));
        ready(Ok(sessions)).boxed()
    }

    fn session(&self, id: SessionId) -> BoxFuture<'_, Result<Option<SessionStatus>, StoreError>> {
        ready(Ok(self.get(id))).boxed()
    }

    fn format<'a>(&'a self, workspace: &'a WorkspaceRecord) -> BoxFuture<'a, Result<(), StoreError>> {
        Sessions::format(self, workspace).boxed()
    }

    fn set_quotas<'a>(&'a self, workspace: &'a WorkspaceRecord) -> BoxFuture<'a, Result<(), StoreError>> {
        Sessions::set_quotas(self, workspace).boxed()
    }

    fn id_beside<'a>(&'a self, workspace: &'a WorkspaceRecord) -> BoxFuture<'a, Result<WorkspaceId, StoreError>> {
        ready(Ok(Sessions::id_beside(self, workspace.id))).boxed()
    }

    fn copy<'a>(&'a self, source: &'a WorkspaceRecord, copy: &'a WorkspaceRecord) -> BoxFuture<'a, Result<(), StoreError>> {
        Sessions::copy(self, source, copy.id).boxed()
    }

    fn usage<'a>(&'a self, workspace: &'a WorkspaceRecord) -> BoxFuture<'a, Result<Usage, StoreError>> {
        Sessions::usage(self, workspace.id).boxed()
    }

    fn storage<'a>(&'a self, workspace: &'a WorkspaceRecord) -> BoxFuture<'a, Result<Storage, StoreError>> {
        Sessions::storage(self, workspace.id).boxed()
    }

    fn check<'a>(&'a self, workspace: &'a WorkspaceRecord, options: CheckOptions) -> BoxFuture<'a, Result<CheckReport, StoreError>> {
        Sessions::check(self, workspace, options).boxed()
    }

    fn destroy<'a>(&'a self, workspace: &'a WorkspaceRecord) -> BoxFuture<'a, Result<(), StoreError>> {
        Sessions::destroy(self, workspace.id).boxed()
    }
}

/// Whether a session stands on one of these targets.
pub fn hits(targets: &BTreeSet<Target>, session: &SessionRecord) -> bool {
    let right = match &session.right {
        SessionRight::Ticket { grant, .. } => Target::Grant(*grant),
        SessionRight::Key { key } => Target::Key(*key),
    };
    [Target::Session(session.id), right, Target::Workspace(session.workspace)].iter().any(|target| targets.contains(target))
        || targets.range(session.issue().taken_by()).next().is_some()
}

#[cfg(test)]
mod tests {
    use artifacts_core::namespace::Ino;
    use artifacts_core::revocation::Issue;
    use artifacts_core::session::{InodeRanges, Phase};
    use artifacts_core::ticket::Mode;
    use artifacts_core::{AccountId, GrantId, KeyId, TicketId, Timestamp};

    use super::*;

    fn session(right: SessionRight) -> SessionRecord {
        SessionRecord {
            id: SessionId::from_bits(1),
            account: AccountId::from_bits(1),
            account_region: None,
            workspace: WorkspaceId::from_bits(2),
            workspace_name: "acme/task".to_owned(),
            right,
            generation: 3,
            mode: Mode::Rw,
            root: Ino(1),
            secret_hash: [0; 32],
            agent: String::new(),
            host: String::new(),
            remote_addr: String::new(),
            opened_at: Timestamp::from_unix_ms(0),
            expires_at: None,
            ended_at: None,
            is_going: false,
            phase: Phase::Live,
            inodes: InodeRanges::default(),
        }
    }

    #[test]
    fn a_session_is_hit_by_each_thing_that_it_stands_on_and_by_nothing_else() {
        let grant = GrantId::from_bits(3);
        let key = KeyId::from_bits(4);
        let by_ticket = session(SessionRight::Ticket {
            ticket: TicketId::from_bits(9),
            grant,
            tenant: "acme".parse().unwrap(),
            runtime: "task".parse().unwrap(),
        });
        let by_key = session(SessionRight::Key { key });
        for (target, hits_ticket, hits_key) in [
            (Target::Session(SessionId::from_bits(1)), true, true),
            (Target::Session(SessionId::from_bits(2)), false, false),
            (Target::Workspace(WorkspaceId::from_bits(2)), true, true),
            (Target::Workspace(WorkspaceId::from_bits(1)), false, false),
            (Target::Grant(grant), true, false),
            (Target::Grant(GrantId::from_bits(4)), false, false),
            (Target::Key(key), false, true),
            (Target::Key(KeyId::from_bits(3)), false, false),
            (Target::Account(Issue { account: AccountId::from_bits(1), generation: 3 }), true, true),
            (Target::Account(Issue { account: AccountId::from_bits(1), generation: 2 }), false, false),
            (Target::Account(Issue { account: AccountId::from_bits(2), generation: 9 }), false, false),
        ] {
            let targets = BTreeSet::from([target]);
            assert_eq!((hits(&targets, &by_ticket), hits(&targets, &by_key)), (hits_ticket, hits_key), "{target:?}");
        }
        assert!(!hits(&BTreeSet::new(), &by_ticket));
        assert!(hits(&BTreeSet::from([Target::Key(KeyId::from_bits(8)), Target::Grant(grant)]), &by_ticket));
    }
}
