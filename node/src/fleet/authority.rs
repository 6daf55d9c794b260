use std::sync::Weak;
use std::time::Duration;

use artifacts_core::AccountId;
use artifacts_core::ErrorCode;
use artifacts_core::protocol::{Opening, Refusal};
use artifacts_core::revocation::Standing;
use artifacts_core::ticket::peek;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::Fleet;
use super::handle::Inner;
use super::peer::{PeerCall, unavailable};
use crate::random::secret_hash;
use crate::records::WorkspaceRecord;
use crate::sessions::{Authority, Right};

/// How long one question may take.
const LIMIT: Duration = Duration::from_secs(3);

/// Asks the owners of accounts.
pub(super) struct FleetAuthority {
    fleet: Weak<Inner>,
}

impl FleetAuthority {
    pub(super) fn new(fleet: &Fleet) -> Self {
        Self { fleet: fleet.weak() }
    }

    fn fleet(&self) -> Result<Fleet, Refusal> {
        let fleet = self.fleet.upgrade().map(Fleet);
        fleet.ok_or_else(|| Refusal::new(ErrorCode::Unavailable, "the node is stopping; try again"))
    }
}

impl Fleet {
    /// What a ticket or a key opens, by the word of its account's owner.
    pub(super) async fn right(&self, opening: &Opening) -> Result<Right, Refusal> {
        let shard = match opening {
            Opening::Ticket { token } => peek(token).map(|claims| self.map().of(claims.account)),
            Opening::ApiKey { key, .. } => Some(self.map().of_bytes(&secret_hash(key))),
            Opening::Resume { .. } => None,
        };
        // What cannot be read anybody can refuse.
        let shard = shard.unwrap_or(self.map().of_cluster());
        self.ask::<Result<Right, Refusal>>(shard, &PeerCall::Right(opening.clone()), LIMIT)
            .await
            .unwrap_or_else(|error| Err(unavailable(&error)))
    }
}

impl Authority for FleetAuthority {
    fn right<'a>(&'a self, opening: &'a Opening) -> BoxFuture<'a, Result<Right, Refusal>> {
        async move { self.fleet()?.right(opening).await }.boxed()
    }

    fn confirm<'a>(&'a self, account: AccountId, standing: &'a Standing) -> BoxFuture<'a, Result<WorkspaceRecord, Refusal>> {
        async move {
            let fleet = self.fleet()?;
            let call = PeerCall::Confirm(account, *standing);
            let confirmed = fleet.ask::<Result<WorkspaceRecord, Refusal>>(fleet.map().of(account), &call, LIMIT).await;
            confirmed.unwrap_or_else(|error| Err(unavailable(&error)))
        }
        .boxed()
    }

    fn is_current(&self, account: AccountId) -> bool {
        let Some(fleet) = self.fleet.upgrade().map(Fleet) else { return false };
        let is_current = fleet.is_current(fleet.map().of(account));
        if !is_current {
            fleet.0.follow_now.notify_one();
        }
        is_current
    }
}
