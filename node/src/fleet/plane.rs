use std::collections::BTreeSet;
use std::sync::Weak;
use std::time::Duration;

use artifacts_core::cluster::{Region, Shard};
use artifacts_core::mesh::Member;
use artifacts_core::name::{Handle, NodeName};
use artifacts_core::namespace::Usage;
use artifacts_core::protocol::FenceReason;
use artifacts_core::revocation::{RevocationRecord, Target};
use artifacts_core::{SessionId, WorkspaceId};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use serde::de::DeserializeOwned;

use super::Fleet;
use super::follow::CURRENT_MS;
use super::handle::{Inner, add};
use super::peer::PeerCall;
use super::place::Home;
use crate::context::SharedContext;
use crate::control::{ControlError, DataPlane};
use crate::records::{AccountRecord, WorkspaceRecord};
use crate::sessions::{CheckOptions, CheckReport, FenceReport, SessionStatus, Storage};
use crate::store::StoreError;
use crate::time::pause;

/// How long one question may take.
const LIMIT: Duration = Duration::from_secs(5);
/// One that waits for mounts to give back what they decide by themselves.
const RECALL_LIMIT: Duration = Duration::from_secs(40);
/// By how much the push goes before gossip, which is for whom it does not reach.
const HEAD_START: Duration = Duration::from_millis(30);
/// Whoever was not heard for so long has not heard a beacon for a good while either: gossip is a conversation.
const HEARD_MS: u64 = 10_000;
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

    async fn ask_workspace<T: DeserializeOwned>(&self, workspace: &WorkspaceRecord, call: PeerCall) -> Result<T, StoreError> {
        let limit = match call {
            PeerCall::Check(..) | PeerCall::Copy(..) | PeerCall::Destroy(_) => LONG_LIMIT,
            PeerCall::SetQuotas(_) => RECALL_LIMIT,
            _ => LIMIT,
        };
        let fleet = self.fleet()?;
        Ok(fleet.ask(&fleet.home_of(workspace), &call, limit).await?)
    }

    /// A session of this region, or of another one.
    async fn session_in(&self, region: &Region, id: SessionId) -> Result<Option<SessionStatus>, StoreError> {
        Ok(self.fleet()?.ask(&Home::of(region, id), &PeerCall::Session(id), LIMIT).await?)
    }

    /// The regions that may have to do with what these are about: this one, and those where the accounts have had workspaces.
    async fn concerned(&self, fleet: &Fleet, records: &[RevocationRecord]) -> BTreeSet<Region> {
        let accounts: BTreeSet<_> = records.iter().map(|record| record.account).collect();
        let mut regions = BTreeSet::from([fleet.regions().here().clone()]);
        for account in accounts.into_iter().filter(|_| !fleet.regions().is_single()) {
            match self.context.catalog.account(account).await {
                Ok(found) => regions.extend(found.into_iter().flat_map(|account| account.abroad)),
                // Whoever has nothing to do with it has nothing to do.
                Err(_) => regions.extend(fleet.regions().others().cloned()),
            }
        }
        regions
    }

    /// The records that say so; all of them are in the register before anything is fenced.
    fn records(&self, targets: &BTreeSet<Target>) -> Vec<RevocationRecord> {
        let register = self.context.revocations.read();
        targets.iter().filter_map(|target| register.revoked(*target).cloned()).collect()
    }

    async fn fence_everywhere(&self, fleet: &Fleet, records: Vec<RevocationRecord>, wait: Duration) -> FenceReport {
        let made_ms = fleet.clock().monotonic_ms();
        let saying = fleet.clone();
        tokio::spawn(async move {
            pause(HEAD_START).await;
            saying.0.say_now.notify_one();
        });
        let regions = self.concerned(fleet, &records).await;
        let mut others: Vec<Member> = regions.iter().flat_map(|region| fleet.members_of(region)).collect();
        others.retain(|member| member.id.name != *fleet.ring().me());
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
        self.outlast(fleet, &regions, &told.iter().map(|(name, _)| (*name).clone()).collect(), made_ms).await;
        told.into_iter().fold(here, |sum, (_, report)| add(sum, report))
    }

    /// Waits until a node that has not confirmed cannot vouch for anybody on the strength of what it knew before. Nodes that have
    /// neither asked nor been heard lately cannot anyway; one that is heard may go by beacons that were made before `made_ms`.
    async fn outlast(&self, fleet: &Fleet, regions: &BTreeSet<Region>, told: &BTreeSet<NodeName>, made_ms: u64) {
        let Some(unit) = fleet.unit(self.shard) else { return };
        let now_ms = fleet.clock().monotonic_ms();
        let is_concerned = |member: &Member| {
            let region = member.facts.as_ref().map(|facts| Region::from(facts.region.as_str()));
            region.is_none_or(|region| regions.contains(&region)) && !told.contains(&member.id.name)
        };
        let me = fleet.ring().me();
        let untold = fleet.ring().view().members.into_iter().filter(|member| member.id.name != *me && is_concerned(member));
        let is_heard = |name: &NodeName| fleet.ring().silence_ms(name).is_some_and(|silent_ms| silent_ms < HEARD_MS);
        let knew_ms = |name: &NodeName| unit.followed_at_ms(name).max(is_heard(name).then_some(made_ms));
        let until_ms = untold.filter_map(|member| knew_ms(&member.id.name)).max().map_or(0, |at_ms| at_ms + CURRENT_MS);
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

    fn claim_handle<'a>(&'a self, handle: &'a Handle) -> BoxFuture<'a, Result<bool, ControlError>> {
        async move {
            let fleet = self.fleet()?;
            if !fleet.regions_agree() {
                return Err(ControlError::RegionsDisagree);
            }
            let (here, first) = (fleet.regions().here(), fleet.regions().first());
            if here == first {
                return Ok(true);
            }
            let call = PeerCall::Claim(handle.clone(), here.clone());
            let claimed = fleet.ask(&Home::of_handle(first, handle.as_str()), &call, LIMIT).await;
            Ok(claimed.map_err(StoreError::from)?)
        }
        .boxed()
    }

    fn sessions<'a>(&'a self, account: Option<&'a AccountRecord>) -> BoxFuture<'a, Result<Vec<SessionStatus>, StoreError>> {
        async move {
            let fleet = self.fleet()?;
            let mut others = fleet.others();
            for region in account.into_iter().flat_map(|account| &account.abroad) {
                let members = fleet.members_of(region);
                if members.is_empty() {
                    return Err(StoreError::OutOfReach { region: region.clone() });
                }
                others.extend(members);
            }
            let account = account.map(|account| account.id);
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
        async move { self.session_in(self.fleet()?.regions().here(), id).await }.boxed()
    }

    fn session_of<'a>(&'a self, account: &'a AccountRecord, id: SessionId) -> BoxFuture<'a, Result<Option<SessionStatus>, StoreError>> {
        async move {
            let (mut found, mut failed) = (self.session(id).await?, None);
            for region in &account.abroad {
                if found.is_some() {
                    break;
                }
                match self.session_in(region, id).await {
                    Ok(session) => found = session,
                    Err(error) => failed = Some(error),
                }
            }
            match (found, failed) {
                (None, Some(error)) => Err(error),
                (found, _) => Ok(found),
            }
        }
        .boxed()
    }

    fn format<'a>(&'a self, workspace: &'a WorkspaceRecord) -> BoxFuture<'a, Result<(), StoreError>> {
        self.ask_workspace(workspace, PeerCall::Format(workspace.clone())).boxed()
    }

    fn set_quotas<'a>(&'a self, workspace: &'a WorkspaceRecord) -> BoxFuture<'a, Result<(), StoreError>> {
        self.ask_workspace(workspace, PeerCall::SetQuotas(workspace.clone())).boxed()
    }

    fn id_beside<'a>(&'a self, workspace: &'a WorkspaceRecord) -> BoxFuture<'a, Result<WorkspaceId, StoreError>> {
        self.ask_workspace(workspace, PeerCall::IdBeside(workspace.id)).boxed()
    }

    fn copy<'a>(&'a self, source: &'a WorkspaceRecord, copy: &'a WorkspaceRecord) -> BoxFuture<'a, Result<(), StoreError>> {
        self.ask_workspace(source, PeerCall::Copy(source.clone(), copy.id)).boxed()
    }

    fn usage<'a>(&'a self, workspace: &'a WorkspaceRecord) -> BoxFuture<'a, Result<Usage, StoreError>> {
        self.ask_workspace(workspace, PeerCall::Usage(workspace.id)).boxed()
    }

    fn storage<'a>(&'a self, workspace: &'a WorkspaceRecord) -> BoxFuture<'a, Result<Storage, StoreError>> {
        self.ask_workspace(workspace, PeerCall::Storage(workspace.id)).boxed()
    }

    fn check<'a>(&'a self, workspace: &'a WorkspaceRecord, options: CheckOptions) -> BoxFuture<'a, Result<CheckReport, StoreError>> {
        self.ask_workspace(workspace, PeerCall::Check(workspace.clone(), options)).boxed()
    }

    fn destroy<'a>(&'a self, workspace: &'a WorkspaceRecord) -> BoxFuture<'a, Result<(), StoreError>> {
        self.ask_workspace(workspace, PeerCall::Destroy(workspace.id)).boxed()
    }
}
