use std::collections::BTreeSet;

use artifacts_core::name::{RuntimeId, Subpath};
use artifacts_core::revocation::Target;
use artifacts_core::ticket::{self, Mode, TicketClaims, TicketFile};
use artifacts_core::{GrantId, Timestamp};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use super::asked::{Asked, Asker};
use super::grant_rules::{RevokeChoice, TicketWish, ticket_expiry};
use super::revoker::Revoker;
use super::{ControlError, durable};
use crate::audit::{AuditEvent, AuditKind};
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
    type Msg = Asked<TenantMessage>;
    type State = State;
    type Arguments = (SharedContext, Revoker, TenantRecord);

    async fn pre_start(
        &self,
        _: ActorRef<Asked<TenantMessage>>,
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

    async fn handle(
        &self,
        myself: ActorRef<Asked<TenantMessage>>,
        Asked { asker, message }: Asked<TenantMessage>,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            TenantMessage::CreateGrant { wish, reply } => answer(reply, state.create_grant(asker, wish).await),
            TenantMessage::CreateTicket { workspace, wish, reply } => match state.create_ticket(asker, &workspace, wish).await {
                Ok((ticket, event)) => {
                    let (context, account) = (state.context.clone(), state.tenant.account);
                    // It changes nothing here, so others need not wait. One that is not in the trail is given to nobody.
                    tokio::spawn(async move {
                        let written = durable::write_noted(&context, account, [event], Batch::new()).await;
                        let _ = reply.send(written.map(|()| ticket).map_err(ControlError::from));
                    });
                    Ok(())
                }
                Err(error) => answer(reply, Err(error)),
            },
            TenantMessage::RevokeGrant { id, reply } => answer(reply, state.revoke_grant(asker, id).await),
            TenantMessage::RevokeGrants { choice, reply } => answer(reply, state.revoke_grants(asker, &choice).await),
            TenantMessage::Close { reply } => {
                let revoked = state.close(asker).await;
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
        let mut all = self.context.catalog.tenant_grants(self.tenant.account, &self.tenant.slug).await?;
        let account = self.context.catalog.account(self.tenant.account).await?;
        if let Some(account) = &account {
            all = all.into_iter().map(|grant| grant.under(account)).collect();
        }
        let generation = account.map_or(0, |account| account.generation);
        let mut batch = Batch::new();
        for grant in all.iter().filter(|grant| ended_at(grant).is_some_and(|end| now.since_ms(end) > GRANT_HISTORY_MS)) {
            batch.delete_grant(grant);
        }
        if !batch.is_empty() {
            self.context.store.write(batch, Durability::Visible).await?;
        }
        self.grants = all.into_iter().filter(|grant| grant.stands(now, generation)).collect();
        Ok(())
    }

    fn open(&self) -> Result<Timestamp, ControlError> {
        if self.closed { Err(ControlError::TenantNotFound(self.tenant.slug.clone())) } else { Ok(self.context.clock.wall()) }
    }

    async fn create_grant(&mut self, asker: Asker, wish: GrantWish) -> Result<GrantRecord, ControlError> {
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
            generation: asker.generation,
            created_at: now,
            expires_at: wish.expires_at,
            revoked_at: None,
        };
        let event = asker.event(&self.context, AuditKind::GrantCreated).of_grant(&grant);
        let mut batch = Batch::new();
        batch.put_grant(&grant);
        durable::write_noted(&self.context, self.tenant.account, [event], batch).await?;
        self.grants.retain(|grant| grant.stands(now, asker.generation));
        self.grants.push(grant.clone());
        Ok(grant)
    }

    async fn create_ticket(
        &mut self,
        asker: Asker,
        workspace: &WorkspaceRecord,
        wish: TicketWish,
    ) -> Result<(TicketFile, AuditEvent), ControlError> {
        let now = self.open()?;
        let expires_at = ticket_expiry(now, wish.ttl_seconds);
        // The register may know of a revocation whose record the store was too ill to confirm.
        let usable = |grant: &&GrantRecord| {
            wish.draws_on(grant, now, asker.generation, expires_at) && !self.revoker.revoked(Target::Grant(grant.id))
        };
        let grant = match self.grants.iter().find(usable) {
            Some(grant) => grant.clone(),
            None => {
                let grant = GrantWish {
                    workspace: workspace.clone(),
                    runtime: Some(wish.runtime.clone()),
                    mode: wish.mode,
                    subpath: wish.subpath.clone(),
                    expires_at: Some(expires_at),
                };
                self.create_grant(asker, grant).await?
            }
        };
        let claims = TicketClaims {
            jti: self.context.entropy.id(),
            account: self.tenant.account,
            grant: grant.id,
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
            let (kid, key) = ring.current(now).ok_or(ControlError::Interrupted)?;
            ticket::sign(&claims, kid, &key)
        };
        let issued = asker.event(&self.context, AuditKind::TicketIssued).of_grant(&grant);
        let event = AuditEvent {
            ticket_id: Some(claims.jti),
            runtime_id: Some(claims.runtime.clone()),
            mode: Some(claims.mode),
            expires_at: Some(expires_at),
            ..issued
        };
        metrics::counter!("artifacts_tickets_total").increment(1);
        let file = TicketFile::new(&claims, token, self.context.endpoints_for(claims.region.as_ref()));
        // What it says for people.
        Ok((TicketFile { workspace: workspace.address(), ..file }, event))
    }

    async fn revoke_grant(&mut self, asker: Asker, id: GrantId) -> Result<GrantRecord, ControlError> {
        self.open()?;
        let found = self.context.catalog.grant(self.tenant.account, id).await?;
        let own = |grant: &GrantRecord| {
            grant.account == self.tenant.account
                && grant.tenant == self.tenant.slug
                && grant.revoked_at.is_none()
                && grant.generation >= asker.generation
        };
        // One that has run out may still be revoked: the caller wants to be sure.
        let grant = found.filter(own).ok_or(ControlError::GrantNotFound(id))?;
        self.revoke(asker, vec![grant], Vec::new(), Batch::new()).await?.pop().ok_or(ControlError::GrantNotFound(id))
    }

    async fn revoke_grants(&mut self, asker: Asker, choice: &RevokeChoice) -> Result<Vec<GrantRecord>, ControlError> {
        let now = self.open()?;
        let hit: Vec<GrantRecord> = self.grants.iter().filter(|grant| choice.hits(grant, now, asker.generation)).cloned().collect();
        if hit.is_empty() { Ok(hit) } else { self.revoke(asker, hit, Vec::new(), Batch::new()).await }
    }

    /// Grants and tenant go in one batch, so a tenant that is gone has no grant that stands.
    async fn close(&mut self, asker: Asker) -> Result<Vec<GrantRecord>, ControlError> {
        let now = self.open()?;
        let standing = self.grants.iter().filter(|grant| grant.stands(now, asker.generation)).cloned().collect();
        let mut batch = Batch::new();
        batch.delete_tenant(&self.tenant);
        let event = asker.event(&self.context, AuditKind::TenantDeleted).of_tenant(&self.tenant);
        let revoked = self.revoke(asker, standing, vec![event], batch).await?;
        self.closed = true;
        Ok(revoked)
    }

    async fn revoke(
        &mut self,
        asker: Asker,
        mut grants: Vec<GrantRecord>,
        mut events: Vec<AuditEvent>,
        mut batch: Batch,
    ) -> Result<Vec<GrantRecord>, ControlError> {
        let now = self.context.clock.wall();
        for grant in &mut grants {
            grant.revoked_at = Some(now);
            batch.put_grant(grant);
            events.push(asker.event(&self.context, AuditKind::GrantRevoked).of_grant(grant));
        }
        let revoked: BTreeSet<GrantId> = grants.iter().map(|grant| grant.id).collect();
        let targets = revoked.iter().copied().map(Target::Grant);
        self.revoker.revoke(self.tenant.account, targets, events, batch).await?;
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
