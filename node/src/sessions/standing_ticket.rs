use artifacts_core::Timestamp;
use artifacts_core::ticket::{TicketClaims, TicketError, verify};

use crate::context::Context;
use crate::records::GrantRecord;
use crate::store::StoreError;

/// A mount ticket that opens something at this moment.
#[derive(Debug, Clone)]
pub(crate) struct StandingTicket {
    pub(crate) claims: TicketClaims,
    pub(crate) grant: GrantRecord,
}

impl StandingTicket {
    /// When what it opens ends whatever happens.
    pub(crate) fn expires_at(&self) -> Option<Timestamp> {
        let ticket_end = Some(self.claims.expires_at()).filter(|_| !self.claims.renewable);
        [ticket_end, self.grant.expires_at].into_iter().flatten().min()
    }
}

/// Why a ticket opens nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TicketRefusal {
    /// It is not a ticket of ours, or has run out.
    #[error(transparent)]
    Ticket(#[from] TicketError),
    /// What it draws on is gone.
    #[error("the ticket's grant does not stand any more; ask the platform for a new ticket")]
    Gone,
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Checks a ticket: its signature and time, and that its grant stands on record and covers it. The register of revocations may
/// know better.
///
/// # Errors
/// [`TicketRefusal`].
pub(crate) async fn standing_ticket(context: &Context, token: &str) -> Result<StandingTicket, TicketRefusal> {
    let now = context.clock.wall();
    let claims = verify(token, &context.verifying_keys(), now)?;
    let grant = context.catalog.grant(claims.account, claims.grant).await?.ok_or(TicketRefusal::Gone)?;
    let covers = grant.account == claims.account
        && grant.workspace == claims.workspace
        && grant.tenant == claims.tenant
        && grant.runtime.as_ref().is_none_or(|runtime| *runtime == claims.runtime)
        && grant.mode.allows(claims.mode);
    let generation = context.catalog.account(claims.account).await?.map_or(0, |account| account.generation);
    if !covers || !grant.stands(now, generation) {
        return Err(TicketRefusal::Gone);
    }
    Ok(StandingTicket { claims, grant })
}
