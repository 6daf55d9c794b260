use std::collections::HashMap;
use std::sync::Arc;

use artifacts_core::{SessionId, TicketId};

use super::Handle;
use crate::records::SessionRight;

/// The sessions that are known, by what they are looked up by.
#[derive(Default)]
pub(super) struct Handles {
    by_id: HashMap<SessionId, Arc<Handle>>,
    /// The session that was opened last on each ticket.
    by_ticket: HashMap<TicketId, SessionId>,
}

impl Handles {
    pub(super) fn insert(&mut self, handle: Arc<Handle>) {
        // One that is over, and was found on record because its mount may still be going, has no ticket any more.
        if let Some(ticket) = ticket_of(&handle).filter(|_| handle.shared.accepts()) {
            self.by_ticket.insert(ticket, handle.record.id);
        }
        self.by_id.insert(handle.record.id, handle);
    }

    pub(super) fn remove(&mut self, id: SessionId) -> Option<Arc<Handle>> {
        let handle = self.by_id.remove(&id)?;
        if let Some(ticket) = ticket_of(&handle)
            && self.by_ticket.get(&ticket) == Some(&id)
        {
            self.by_ticket.remove(&ticket);
        }
        Some(handle)
    }

    pub(super) fn get(&self, id: SessionId) -> Option<&Arc<Handle>> {
        self.by_id.get(&id)
    }

    pub(super) fn of_ticket(&self, ticket: TicketId) -> Option<&Arc<Handle>> {
        self.by_id.get(self.by_ticket.get(&ticket)?)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Arc<Handle>> {
        self.by_id.values()
    }
}

fn ticket_of(handle: &Handle) -> Option<TicketId> {
    match handle.record.right {
        SessionRight::Ticket { ticket, .. } => Some(ticket),
        SessionRight::Key { .. } => None,
    }
}
