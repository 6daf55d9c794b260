use crate::revocation::{Issue, RevocationRegister, Standing, Target};
use crate::{KeyId, Timestamp};

/// By what right somebody is in a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pass {
    /// A host, by its mesh credential.
    Credential {
        /// Which.
        id: KeyId,
        /// Who has issued it, and in which generation of its rights.
        issue: Issue,
    },
    /// A guest, by its session and all that this stands on.
    Session(Standing),
}

/// What a member was let into a cell with, and what may end it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Admission {
    /// By what right.
    pub pass: Pass,
    /// When it runs out.
    pub expires_at: Option<Timestamp>,
}

impl Admission {
    /// Whether it lets nobody in any more: it has run out, or something that it stands on was revoked.
    pub fn has_ended(&self, register: &RevocationRegister, now: Timestamp) -> bool {
        let stands = match &self.pass {
            Pass::Credential { id, issue } => register.revoked(Target::Key(*id)).is_none() && !register.is_void(*issue),
            Pass::Session(standing) => register.stands(standing),
        };
        !stands || self.expires_at.is_some_and(|at| at <= now)
    }
}
