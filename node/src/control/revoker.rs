use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use artifacts_core::protocol::FenceReason;
use artifacts_core::revocation::{RevocationRecord, SignedRevocation, Target};
use artifacts_core::{AccountId, TicketId, WorkspaceId};

use super::{ControlError, DataPlane, durable};
use crate::audit::AuditEvent;
use crate::catalog::Catalog;
use crate::context::SharedContext;
use crate::locks::Locks;
use crate::sessions::FenceReport;
use crate::store::Batch;

/// Takes rights away. Cheap to clone.
#[derive(Clone)]
pub(super) struct Revoker {
    context: SharedContext,
    data_plane: Arc<dyn DataPlane>,
    locks: Locks,
}

impl Revoker {
    pub(super) fn new(context: SharedContext, data_plane: Arc<dyn DataPlane>, locks: Locks) -> Self {
        Self { context, data_plane, locks }
    }

    /// Signs a record for each target and writes them to the log together with the change that says the same of the
    /// object and the entries of the audit trail, durably; only then does this process act on them. [`Revoker::fence`] comes after, outside the actor.
    ///
    /// # Errors
    /// The store's. Unless it is certain that nothing was written, the records may be in the log, where a second call
    /// would find the rights gone already and do nothing. So they are enforced all the same: a right that may be gone
    /// is not honoured.
    pub(super) async fn revoke(
        &self,
        account: AccountId,
        targets: impl IntoIterator<Item = Target>,
        events: impl IntoIterator<Item = AuditEvent>,
        mut batch: Batch,
    ) -> Result<(), ControlError> {
        let signed = self.sign(account, targets)?;
        for revocation in &signed {
            Catalog::append_revocation(&mut batch, revocation);
        }
        let written = durable::write_noted(&self.context, account, events, batch).await;
        if written.as_ref().is_err_and(durable::took_no_effect) {
            return Ok(written?);
        }
        let targets = signed.iter().map(|revocation| revocation.record.target).collect();
        metrics::counter!("artifacts_revocations_total").increment(signed.len() as u64);
        let mut register = self.context.revocations.write();
        for revocation in signed {
            register.admit(revocation.record.clone());
            self.context.log.lock().push(revocation);
        }
        drop(register);
        if written.is_err() {
            let revoker = self.clone();
            tokio::spawn(async move { revoker.fence(targets, Duration::ZERO).await });
        }
        Ok(written?)
    }

    fn sign(&self, account: AccountId, targets: impl IntoIterator<Item = Target>) -> Result<Vec<SignedRevocation>, ControlError> {
        let revoked_at = self.context.clock.wall();
        let ring = self.context.key_ring.read();
        let (kid, key) = ring.current(revoked_at).ok_or(ControlError::Interrupted)?;
        let record = |target| RevocationRecord { id: self.context.entropy.id(), account, target, revoked_at };
        Ok(targets.into_iter().map(|target| SignedRevocation::sign(record(target), kid, &key)).collect())
    }

    /// Whether the target is known to be revoked.
    pub(super) fn revoked(&self, target: Target) -> bool {
        self.context.revocations.read().revoked(target).is_some()
    }

    /// Ends every session that stands on one of these targets. Returns once the data plane accepts nothing of them,
    /// or later: after each mount has confirmed or `wait` has passed. The named locks that were taken by what is revoked, or
    /// with the ticket of a session that is ended, are free then.
    pub(super) async fn fence(&self, targets: BTreeSet<Target>, wait: Duration) -> FenceReport {
        let tickets = self.tickets_of(&targets).await;
        let of_locks: Vec<Target> = targets.iter().copied().collect();
        let (report, ()) = tokio::join!(self.fence_sessions(targets, Some(wait)), self.locks.revoke(&of_locks, &tickets));
        metrics::counter!("artifacts_fenced_sessions_total").increment(report.fenced);
        report
    }

    /// As [`Revoker::fence`], of what the log says at a start.
    pub(super) async fn catch_up(&self, targets: BTreeSet<Target>) {
        let of_locks: Vec<Target> = targets.iter().copied().collect();
        let (report, ()) = tokio::join!(self.fence_sessions(targets, None), self.locks.revoke(&of_locks, &[]));
        metrics::counter!("artifacts_fenced_sessions_total").increment(report.fenced);
    }

    async fn fence_sessions(&self, targets: BTreeSet<Target>, wait: Option<Duration>) -> FenceReport {
        let (workspaces, others): (BTreeSet<_>, BTreeSet<_>) =
            targets.into_iter().partition(|target| matches!(target, Target::Workspace(_)));
        let mut report = FenceReport::default();
        for (targets, reason) in [(others, FenceReason::Revoked), (workspaces, FenceReason::WorkspaceDeleted)] {
            if !targets.is_empty() {
                let part = match wait {
                    Some(wait) => self.data_plane.fence(targets, reason, wait).await,
                    None => self.data_plane.catch_up(targets, reason).await,
                };
                report.matched += part.matched;
                report.fenced += part.fenced;
                report.confirmed += part.confirmed;
            }
        }
        report
    }

    /// The tickets with which the sessions among these were opened, and of which workspace.
    async fn tickets_of(&self, targets: &BTreeSet<Target>) -> Vec<(WorkspaceId, TicketId)> {
        let mut tickets = Vec::new();
        for target in targets {
            let Target::Session(session) = target else { continue };
            let found = self.data_plane.session(*session).await.ok().flatten();
            tickets.extend(found.and_then(|session| session.record.ticket()));
        }
        tickets
    }
}
