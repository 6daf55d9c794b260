use std::sync::Weak;
use std::time::Duration;

use artifacts_core::cluster::{Region, Verdict};
use artifacts_core::protocol::{Opening, Refusal};
use artifacts_core::revocation::Standing;
use artifacts_core::ticket::{TicketError, peek, verify};
use artifacts_core::{AccountId, ErrorCode};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::Fleet;
use super::handle::Inner;
use super::peer::{PeerCall, unavailable};
use super::place::Home;
use crate::audit::AuditEvent;
use crate::random::secret_hash;
use crate::records::{SessionRecord, WorkspaceRecord};
use crate::sessions::{Authority, Right};
use crate::store::StoreError;

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
        let regions = self.regions();
        let (home, credential) = match opening {
            Opening::Ticket { token } => (Home::of_ticket(regions, token), token.as_str()),
            Opening::ApiKey { key, .. } => (Some(Home::of_key(regions, key)), key.as_str()),
            Opening::Resume { .. } => (None, ""),
        };
        // What cannot be read anybody can refuse.
        let home = home.unwrap_or_else(|| Home::shard(regions.here(), self.map().of_cluster()));
        let is_abroad = !self.is_here(&home.region);
        if is_abroad {
            self.look_at(&home, credential)?;
        }
        let asked = self.ask::<Result<Right, Refusal>>(&home, &PeerCall::Right(opening.clone()), LIMIT).await;
        let outcome = asked.unwrap_or_else(|error| Err(unavailable(&error)));
        if !is_abroad {
            return outcome;
        }
        match &outcome {
            Ok(_) => self.note_credential(&home, credential, true),
            Err(refusal) if refusal.code == ErrorCode::Unauthorized => self.note_credential(&home, credential, false),
            Err(_) => {}
        }
        outcome.map(|right| Right { account_region: Some(home.region), ..right })
    }

    /// Whether a credential is worth asking another region about.
    pub(super) fn look_at(&self, home: &Home, credential: &str) -> Result<(), Refusal> {
        if let Some(error) = self.flaw_of_ticket(home, credential) {
            return Err(Refusal::new(ErrorCode::Unauthorized, error.to_string()));
        }
        match self.judge_credential(home, credential) {
            Verdict::Ask => Ok(()),
            Verdict::Refused => Err(Refusal::new(ErrorCode::Unauthorized, "the credential is unknown, expired or revoked")),
            Verdict::TooMany(_) => {
                Err(Refusal::new(ErrorCode::RateLimited, "too many unknown credentials are shown at the moment; try again"))
            }
        }
    }

    /// What is wrong with a ticket of another region, as far as its published keys and the time say; nothing with what is no ticket.
    pub(super) fn flaw_of_ticket(&self, home: &Home, credential: &str) -> Option<TicketError> {
        peek(credential)?;
        let keys = self.common().abroad.read().verifying_keys(&home.region)?;
        let flaw = verify(credential, &keys, self.clock().wall()).err();
        // A key that is not known may be newer than what we have heard of that region.
        flaw.filter(|flaw| *flaw != TicketError::UnknownKey)
    }

    /// Whether to show a credential to the region that it names.
    pub(super) fn judge_credential(&self, home: &Home, credential: &str) -> Verdict {
        let now_ms = self.clock().monotonic_ms();
        self.0.strangers.lock().entry(home.region.clone()).or_default().judge(&secret_hash(credential), now_ms)
    }

    /// What that region has made of it.
    pub(super) fn note_credential(&self, home: &Home, credential: &str, let_in: bool) {
        let now_ms = self.clock().monotonic_ms();
        self.0.strangers.lock().entry(home.region.clone()).or_default().note(secret_hash(credential), let_in, now_ms);
    }

    /// Where the account of a session lives.
    fn account_of(&self, session: &SessionRecord) -> Home {
        Home::of(session.account_region.as_ref().unwrap_or(self.regions().here()), session.account)
    }
}

impl Authority for FleetAuthority {
    fn right<'a>(&'a self, opening: &'a Opening) -> BoxFuture<'a, Result<Right, Refusal>> {
        async move { self.fleet()?.right(opening).await }.boxed()
    }

    fn confirm<'a>(&'a self, session: &'a SessionRecord, standing: &'a Standing) -> BoxFuture<'a, Result<WorkspaceRecord, Refusal>> {
        async move {
            let fleet = self.fleet()?;
            let call = PeerCall::Confirm(session.account, *standing);
            let confirmed = fleet.ask::<Result<WorkspaceRecord, Refusal>>(&fleet.account_of(session), &call, LIMIT).await;
            confirmed.unwrap_or_else(|error| Err(unavailable(&error)))
        }
        .boxed()
    }

    fn record<'a>(
        &'a self,
        account: AccountId,
        region: Option<&'a Region>,
        events: &'a [AuditEvent],
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        async move {
            let fleet = self.fleet.upgrade().map(Fleet).ok_or(StoreError::Closed)?;
            let home = Home::of(region.unwrap_or(fleet.regions().here()), account);
            Ok(fleet.ask(&home, &PeerCall::Record(account, events.to_vec()), LIMIT).await?)
        }
        .boxed()
    }

    fn is_current(&self, session: &SessionRecord) -> bool {
        let Some(fleet) = self.fleet.upgrade().map(Fleet) else { return false };
        let is_current = fleet.seat(&fleet.account_of(session)).is_some_and(|seat| fleet.is_current(&seat));
        if !is_current {
            fleet.0.follow_now.notify_one();
        }
        is_current
    }
}
