use std::collections::BTreeSet;
use std::sync::Weak;
use std::time::Duration;

use artifacts_core::cluster::Shard;
use artifacts_core::namespace::Usage;
use artifacts_core::protocol::FenceReason;
use artifacts_core::revocation::{RevocationRecord, Target};
use artifacts_core::{AccountId, SessionId, WorkspaceId};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use serde::de::DeserializeOwned;

use super::Fleet;
use super::follow::CURRENT_MS;
use super::handle::{Inner, add};
use super::peer::PeerCall;
use crate::context::SharedContext;
use crate::control::DataPlane;
use crate::records::WorkspaceRecord;
use crate::sessions::{CheckOptions, CheckReport, FenceReport, SessionStatus, Storage};
use crate::store::StoreError;
use crate::time::pause;

/// How long one question may take.
const LIMIT: Duration = Duration::from_secs(5);
/// And one that makes a workspace's owner read all of it.
const LONG_LIMIT: Duration = Duration::from_secs(3600);

/// Workspaces and sessions wherever they are, for the control plane of one shard.
pub(super) struct FleetPlane {
    fleet: Weak<Inner>,
    context: SharedContext,
    shard: Shard,
}

impl FleetPlane {
    pub(super) fn new(fleet: &Fleet, context: &SharedContext, shard: Shard) -> Self {
        Self { fleet: fleet.weak(), context: context.clone(), shard }
    }

    fn fleet(&self) -> Result<Fleet, StoreError> {
        self.fleet.upgrade().map(Fleet).ok_or(StoreError::Closed)
    }

    async fn ask<T: DeserializeOwned>(&self, home: Shard, call: PeerCall, limit: Duration) -> Result<T, StoreError> {
        Ok(self.fleet()?.ask(home, &call, limit).await?)
    }

    async fn ask_workspace<T: DeserializeOwned>(&self, workspace: WorkspaceId, call: PeerCall) -> Result<T, StoreError> {
        let limit = if matches!(call, PeerCall::Check(..) | PeerCall::Destroy(_)) { LONG_LIMIT } else { LIMIT };
        self.ask(self.context.store.shards().of(workspace), call, limit).await
    }

    /// The records that say so; all of them are in the register before anything is fenced.
    fn records(&self, targets: &BTreeSet<Target>) -> Vec<RevocationRecord> {
        let register = self.context.revocations.read();
        targets.iter().filter_map(|target| register.revoked(*target).cloned()).collect()
    }

    async fn fence_everywhere(&self, fleet: &Fleet, records: Vec<RevocationRecord>, wait: Duration) -> FenceReport {
        let others = fleet.others();
        let call = PeerCall::Fence { records: records.clone(), wait_ms: wait.as_millis() as u64 };
        let limit = wait + Duration::from_millis(CURRENT_MS);
        let pushes = others.iter().map(|member| {
            let call = &call;
            async move {
                let pushed = fleet.ask_member(member, call, limit).await;
                match pushed.map(serde_json::from_value::<FenceReport>) {
                    Ok(Ok(report)) => Some((&member.id.name, report)),
                    other => {
                        tracing::warn!(node = %member.id.name, ?other, "a node has not confirmed a revocation");
                        metrics::counter!("artifacts_revocations_unconfirmed_total").increment(1);
                        None
                    }
                }
            }
        });
        let (here, told) = tokio::join!(fleet.enforce(&records, wait), join_all(pushes));
        let told: Vec<_> = told.into_iter().flatten().collect();
        self.outlast(fleet, &told.iter().map(|(name, _)| (*name).clone()).collect()).await;
        told.into_iter().fold(here, |sum, (_, report)| add(sum, report))
    }

    /// Waits until a node that has not confirmed cannot vouch for anybody on the strength of what it knew before. Nodes that have
    /// not asked lately cannot anyway.
    async fn outlast(&self, fleet: &Fleet, told: &BTreeSet<artifacts_core::name::NodeName>) {
        let Some(unit) = fleet.unit(self.shard) else { return };
        let now_ms = fleet.clock().monotonic_ms();
        let untold = fleet.ring().view().members.into_iter().map(|member| member.id.name).filter(|name| !told.contains(name));
        let until_ms = untold.filter_map(|name| unit.followed_at_ms(&name)).max().map_or(0, |at_ms| at_ms + CURRENT_MS);
        pause(Duration::from_millis(until_ms.saturating_sub(now_ms))).await;
    }
}

impl DataPlane for FleetPlane {
    fn fence(&self, targets: BTreeSet<Target>, _: FenceReason, wait: Duration) -> BoxFuture<'_, FenceReport> {
        async move {
            let records = self.records(&targets);
            match self.fleet() {
                Ok(fleet) => self.fence_everywhere(&fleet, records, wait).await,
                Err(_) => FenceReport::default(),
            }
        }
        .boxed()
    }

    fn catch_up(&self, targets: BTreeSet<Target>, _: FenceReason) -> BoxFuture<'_, FenceReport> {
        async move {
            let records = self.records(&targets);
            match self.fleet() {
                // Other nodes read the feed of this shard, which has begun anew.
                Ok(fleet) => fleet.enforce(&records, Duration::ZERO).await,
                Err(_) => FenceReport::default(),
            }
        }
        .boxed()
    }

    fn sessions(&self, account: Option<AccountId>) -> BoxFuture<'_, Result<Vec<SessionStatus>, StoreError>> {
        async move {
            let fleet = self.fleet()?;
            let others = fleet.others();
            let call = PeerCall::Sessions(account);
            let asked = join_all(others.iter().map(|member| fleet.ask_member(member, &call, LIMIT))).await;
            let mut sessions: Vec<SessionStatus> = fleet.units().iter().flat_map(|unit| unit.sessions.list()).collect();
            sessions.retain(|session| account.is_none_or(|account| session.record.account == account));
            for answer in asked {
                let listed: Result<Vec<SessionStatus>, _> = serde_json::from_value(answer?);
                sessions.extend(listed.map_err(|error| StoreError::unavailable(error.to_string()))?);
            }
            // One that moves from a node to another may be told by both.
            sessions.sort_by_key(|session| (session.record.id, session.connected));
            sessions.reverse();
            sessions.dedup_by_key(|session| session.record.id);
            Ok(sessions)
        }
        .boxed()
    }

    fn session(&self, id: SessionId) -> BoxFuture<'_, Result<Option<SessionStatus>, StoreError>> {
        self.ask(self.context.store.shards().of(id), PeerCall::Session(id), LIMIT).boxed()
    }

    fn format<'a>(&'a self, workspace: &'a WorkspaceRecord) -> BoxFuture<'a, Result<(), StoreError>> {
        self.ask_workspace(workspace.id, PeerCall::Format(workspace.clone())).boxed()
    }

    fn usage(&self, workspace: WorkspaceId) -> BoxFuture<'_, Result<Usage, StoreError>> {
        self.ask_workspace(workspace, PeerCall::Usage(workspace)).boxed()
    }

    fn storage(&self, workspace: WorkspaceId) -> BoxFuture<'_, Result<Storage, StoreError>> {
        self.ask_workspace(workspace, PeerCall::Storage(workspace)).boxed()
    }

    fn check<'a>(&'a self, workspace: &'a WorkspaceRecord, options: CheckOptions) -> BoxFuture<'a, Result<CheckReport, StoreError>> {
        self.ask_workspace(workspace.id, PeerCall::Check(workspace.clone(), options)).boxed()
    }

    fn destroy(&self, workspace: WorkspaceId) -> BoxFuture<'_, Result<(), StoreError>> {
        self.ask_workspace(workspace, PeerCall::Destroy(workspace)).boxed()
    }
}
