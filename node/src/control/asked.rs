use crate::audit::{AuditEvent, AuditKind, By};
use crate::context::Context;
use crate::records::AccountRecord;

/// Who asks for a change, as an actor is told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker {
    /// Who.
    pub(super) by: By,
    /// The generation of the account's rights as the asker knows it. What is issued on older knowledge is of no effect.
    pub(super) generation: u64,
}

impl Asker {
    pub(super) fn new(by: By, account: &AccountRecord) -> Self {
        Self { by, generation: account.generation }
    }

    /// That this has happened, for the audit trail.
    pub(super) fn event(&self, context: &Context, kind: AuditKind) -> AuditEvent {
        AuditEvent::now(context, kind, self.by)
    }
}

/// A message, and who sends it.
pub(super) struct Asked<M> {
    pub(super) asker: Asker,
    pub(super) message: M,
}
