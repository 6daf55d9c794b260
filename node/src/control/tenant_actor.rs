use std::collections::BTreeSet;

use artifacts_core::name::{RuntimeId, Subpath};
use artifacts_core::revocation::Target;
use artifacts_core::ticket::{self, Mode, TicketClaims, TicketFile};
use artifacts_core::{GrantId, Timestamp};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use super::grant_rules::{RevokeChoice, TicketWish, ticket_expiry};
use super::revoker::Revoker;
use super::{ControlError, durable};
use crate::catalog::Records;
use crate::context::SharedContext;
use crate::records::{GrantRecord, TenantRecord, WorkspaceRecord};
use crate::store::{Batch, Durability};

/// How long a grant that stands no more is remembered.
const GRANT_HISTORY_MS: u64 = 30 * 24 * 3600 * 1000;

type Reply<T> = RpcReplyPort<Result<T, ControlError>>;

/// What is asked of a tenant. Workspaces come resolved: they are the account's and were active a moment ago.
pub(super) enum TenantMessage {
    CreateGrant {
        wish: GrantWish,
        reply: Reply<GrantRecord>,
    },
    CreateTicket {
        workspace: WorkspaceRecord,
        wish: TicketWish,
        reply: Reply<TicketFile>,
    },
    RevokeGrant {
        id: GrantId,
        reply: Reply<GrantRecord>,
    },
    RevokeGrants {
        choice: RevokeChoice,
        reply: Reply<Vec<GrantRecord>>,
    },
    /// Deletes the tenant with all its grants, for the account's actor, which waits for it.
    Close {
        reply: Reply<Vec<GrantRecord>>,
    },
    /// Forgets grants that ended long ago.
    Prune,
}

/// A grant that is asked for.
pub(super) struct GrantWish {
    pub(super) workspace: WorkspaceRecord,
    pub(super) runtime: Option<RuntimeId>,
    pub(super) mode: Mode,
    pub(super) subpath: Option<Subpath>,
    pub(super) expires_at: Option<Timestamp>,
}

/// The only writer of one tenant's grants. Whatever it answers is durable.
///
/// It knows the grants that stand, or did when it last looked. After an error of the store it cannot know what was
/// written; it fails and is started anew from the store.
pub(super) struct TenantActor;

pub(super) struct State {
    context: SharedContext,
    revoker: Revoker,
    tenant: TenantRecord,
    grants: Vec<GrantRecord>,
    closed: bool,
}

impl Actor for TenantActor {
    type Msg = TenantMessage;
    type State = State;
    type Arguments = (SharedContext, Revoker, TenantRecord);

    async fn pre_start(
        &self,
        _: ActorRef<TenantMessage>,
        (context, revoker, tenant): Self::Arguments,
    ) -> Result<State, ActorProcessingErr> {
        // Whoever asked read the record some time ago; the tenant may have been deleted since.
        let on_record = context.catalog.tenant(tenant.account, &tenant.slug).await?;
        if on_record.is_none_or(|found| found.id != tenant.id) {
            return Err("the tenant has been deleted".into());
        }
        let mut state = State { context, revoker, tenant, grants: Vec::new(), closed: false };
        state.load().await?;
        Ok(state)
    }

    async fn handle(&self, myself: ActorRef<TenantMessage>, message: TenantMessage, state: &mut State) -> Result<(), ActorProcessingErr> {
        match message {
            TenantMessage::CreateGrant { wish, reply } => answer(reply, state.create_grant(wish).await),
            TenantMessage::CreateTicket { workspace, wish, reply } => answer(reply, state.create_ticket(&workspace, wish).await),
            TenantMessage::RevokeGrant { id, reply } => answer(reply, state.revoke_grant(id).await),
            TenantMessage::RevokeGrants { choice, reply } => answer(reply, state.revoke_grants(&choice).await),
            TenantMessage::Close { reply } => {
                let revoked = state.close().await;
                if state.closed {
                    myself.stop(None);
                }
                answer(reply, revoked)
            }
            TenantMessage::Prune => Ok(state.load().await?),
        }
    }
}

/// Answers, then fails if the store did.
fn answer<T>(reply: Reply<T>, outcome: Result<T, ControlError>) -> Result<(), ActorProcessingErr> {
    let failure = outcome.as_ref().err().and_then(ControlError::store).cloned();
    // Nobody may be waiting any more, which changes nothing.
    let _ = reply.send(outcome);
    failure.map_or(Ok(()), |error| Err(error.into()))
}

impl State {
    /// Reads the grants that stand and removes those that have not for long.
    async fn load(&mut self) -> Result<(), ControlError> {
        let now = self.context.clock.wall();
        let all = self.context.catalog.tenant_grants(self.tenant.account, &self.tenant.slug).await?;
        let mut batch = Batch::new();
        for grant in all.iter().filter(|grant| ended_at(grant).is_some_and(|end| now.since_ms(end) > GRANT_HISTORY_MS)) {
            batch.delete_grant(grant);
        }
        if !batch.is_empty() {
            self.context.store.write(batch, Durability::Visible).await?;
        }
        self.grants = all.into_iter().filter(|grant| grant.stands(now)).collect();
        Ok(())
    }

    fn open(&self) -> Result<Timestamp, ControlError> {
        if self.closed { Err(ControlError::TenantNotFound(self.tenant.slug.clone())) } else { Ok(self.context.clock.wall()) }
    }

    async fn create_grant(&mut self, wish: GrantWish) -> Result<GrantRecord, ControlError> {
        let now = self.open()?;
        let grant = GrantRecord {
            id: self.context.entropy.id(),
            account: self.tenant.account,
            workspace: wish.workspace.id,
            workspace_name: wish.workspace.address(),
            tenant: self.tenant.slug.clone(),
            runtime: wish.runtime,
            mode: wish.mode,
            subpath: wish.subpath,
            created_at: now,
            expires_at: wish.expires_at,
            revoked_at: None,
        };
        let mut batch = Batch::new();
        batch.put_grant(&grant);
        durable::write(&self.context, batch).await?;
        self.grants.retain(|grant| grant.stands(now));
        self.grants.push(grant.clone());
        Ok(grant)
    }

    async fn create_ticket(&mut self, workspace: &WorkspaceRecord, wish: TicketWish) -> Result<TicketFile, ControlError> {
        let now = self.open()?;
        let expires_at = ticket_expiry(now, wish.ttl_seconds);
        // The register may know of a revocation whose record the store was too ill to confirm.
        let usable = |grant: &&GrantRecord| wish.draws_on(grant, now, expires_at) && !self.revoker.revoked(Target::Grant(grant.id));
        let grant = match self.grants.iter().find(usable) {
            Some(grant) => grant.id,
            None => {
                let grant = GrantWish {
                    workspace: workspace.clone(),
                    runtime: Some(wish.runtime.clone()),
                    mode: wish.mode,
                    subpath: wish.subpath.clone(),
                    expires_at: Some(expires_at),
                };
                self.create_grant(grant).await?.id
            }
        };
        let claims = TicketClaims {
            jti: self.context.entropy.id(),
            account: self.tenant.account,
            grant,
            tenant: self.tenant.slug.clone(),
            runtime: wish.runtime,
            workspace: workspace.id,
            region: workspace.elsewhere(),
            handle: workspace.handle.clone(),
            name: workspace.name.clone(),
            mode: wish.mode,
            subpath: wish.subpath,
            renewable: wish.renewable,
            iat: now.unix_seconds(),
            exp: expires_at.unix_seconds(),
        };
        let token = {
            let ring = self.context.key_ring.read();
            let (kid, key) = ring.current().ok_or(ControlError::Interrupted)?;
            ticket::sign(&claims, kid, &key)
        };
        metrics::counter!("artifacts_tickets_total").increment(1);
        let file = TicketFile::new(&claims, token, self.context.endpoints_for(claims.region.as_ref()));
        // What it says for people.
        Ok(TicketFile { workspace: workspace.address(), ..file })
    }

    async fn revoke_grant(&mut self, id: GrantId) -> Result<GrantRecord, ControlError> {
        self.open()?;
        let found = self.context.catalog.grant(self.tenant.account, id).await?;
        let own =
            |grant: &GrantRecord| grant.account == self.tenant.account && grant.tenant == self.tenant.slug && grant.revoked_at.is_none();
        // One that has run out may still be revoked: the caller wants to be sure.
        let grant = found.filter(own).ok_or(ControlError::GrantNotFound(id))?;
        self.revoke(vec![grant], Batch::new()).await?.pop().ok_or(ControlError::GrantNotFound(id))
    }

    async fn revoke_grants(&mut self, choice: &RevokeChoice) -> Result<Vec<GrantRecord>, ControlError> {
        let now = self.open()?;
        let hit: Vec<GrantRecord> = self.grants.iter().filter(|grant| choice.hits(grant, now)).cloned().collect();
        if hit.is_empty() { Ok(hit) } else { self.revoke(hit, Batch::new()).await }
    }

    /// Grants and tenant go in one batch, so a tenant that is gone has no grant that stands.
    async fn close(&mut self) -> Result<Vec<GrantRecord>, ControlError> {
        let now = self.open()?;
        let standing = self.grants.iter().filter(|grant| grant.stands(now)).cloned().collect();
        let mut batch = Batch::new();
        batch.delete_tenant(&self.tenant);
        let revoked = self.revoke(standing, batch).await?;
        self.closed = true;
        Ok(revoked)
    }

    async fn revoke(&mut self, mut grants: Vec<GrantRecord>, mut batch: Batch) -> Result<Vec<GrantRecord>, ControlError> {
        let now = self.context.clock.wall();
        for grant in &mut grants {
            grant.revoked_at = Some(now);
            batch.put_grant(grant);
        }
        let revoked: BTreeSet<GrantId> = grants.iter().map(|grant| grant.id).collect();
        self.revoker.revoke(self.tenant.account, revoked.iter().copied().map(Target::Grant), batch).await?;
        self.grants.retain(|grant| !revoked.contains(&grant.id));
        Ok(grants)
    }
}

/// Since when a grant stands no more, or from when on.
fn ended_at(grant: &GrantRecord) -> Option<Timestamp> {
    match (grant.revoked_at, grant.expires_at) {
        (Some(revoked), Some(expires)) => Some(revoked.min(expires)),
        (end, None) | (None, end) => end,
    }
}
