//! What the audit trail says of how a session ends.

use artifacts_core::protocol::FenceReason;
use artifacts_core::session::{Out, Phase};
use artifacts_core::{AuditId, Timestamp};

use super::standing;
use crate::audit::{AuditEvent, AuditKind, By, Revoked};
use crate::context::Context;
use crate::records::SessionRecord;

/// That it is over: nothing of it is accepted any more.
pub(super) fn over(context: &Context, record: &SessionRecord) -> AuditEvent {
    let Phase::Fenced(reason) = record.phase else {
        return AuditEvent::now(context, AuditKind::SessionEnded, By::holder(&record.right)).of_session(record);
    };
    let event = AuditEvent::now(context, AuditKind::SessionFenced, By::Node).of_session(record);
    let cause = cause(context, record, reason);
    AuditEvent {
        reason: Some(reason.code().to_owned()),
        revoked: cause.map(|(revoked, _)| revoked),
        after_ms: cause.map(|(_, since)| event.at.since_ms(since)),
        ..event
    }
}

/// That the mount of a fenced session is out. It bears the bits of the session's id, so that the trail takes it once even if a node
/// that has passed it on dies before it has noted that.
pub(super) fn out(context: &Context, record: &SessionRecord, how: Out) -> AuditEvent {
    let event = AuditEvent::now(context, AuditKind::SessionOut, By::Node).of_session(record);
    let ended_at = record.ended_at.unwrap_or(event.at);
    let at = match how {
        Out::Confirmed => event.at,
        // A node that was away meanwhile says it late.
        Out::LeaseEnded => event.at.min(ended_at.plus_ms(context.config.session_lease_ms)),
    };
    let reason = if let Phase::Fenced(reason) = record.phase { Some(reason) } else { None };
    let cause = reason.and_then(|reason| cause(context, record, reason));
    AuditEvent {
        id: AuditId::from_bits(record.id.bits()),
        at,
        reason: reason.map(|reason| reason.code().to_owned()),
        revoked: cause.map(|(revoked, _)| revoked),
        how: Some(how),
        after_ms: Some(at.since_ms(cause.map_or(ended_at, |(_, since)| since))),
        ..event
    }
}

/// What was revoked, and when that was recorded.
fn cause(context: &Context, record: &SessionRecord, reason: FenceReason) -> Option<(Revoked, Timestamp)> {
    if !matches!(reason, FenceReason::Revoked | FenceReason::WorkspaceDeleted) {
        return None;
    }
    let register = context.revocations.read();
    register.first_against(&standing(record)).map(|found| (found.target.into(), found.revoked_at))
}
