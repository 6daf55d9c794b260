//! What grants mean, as pure functions: which grant a ticket may draw on, which grants a revocation hits, how long a
//! ticket lives.

use artifacts_core::name::{RuntimeId, Subpath};
use artifacts_core::ticket::Mode;
use artifacts_core::{Timestamp, WorkspaceId};

use crate::records::GrantRecord;

/// The longest life of a ticket, in seconds.
pub const LONGEST_TICKET_SECONDS: u64 = 24 * 3600;

/// What a ticket is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketWish {
    /// To which workspace.
    pub workspace: WorkspaceId,
    /// For which runtime.
    pub runtime: RuntimeId,
    /// How.
    pub mode: Mode,
    /// Below which directory.
    pub subpath: Option<Subpath>,
    /// How long it lives; see [`ticket_expiry`].
    pub ttl_seconds: u64,
    /// Whether its session may go on after that for as long as the grant stands.
    pub renewable: bool,
}

impl TicketWish {
    /// Whether the ticket may draw on this grant of the same tenant: made for this very runtime, exactly as wide as
    /// asked, and standing until the ticket runs out. A wider grant would do no more than is asked, but revoking it
    /// would then take more than this runtime had been given through it; a tenant-wide one belongs to all runtimes.
    pub fn draws_on(&self, grant: &GrantRecord, now: Timestamp, generation: u64, expires_at: Timestamp) -> bool {
        grant.stands(now, generation)
            && grant.runtime.as_ref() == Some(&self.runtime)
            && grant.workspace == self.workspace
            && grant.mode == self.mode
            && grant.subpath == self.subpath
            && grant.expires_at.is_none_or(|end| expires_at <= end)
    }
}

/// When a ticket that is made at `now` runs out. Claims count whole seconds, so the life is rounded up: a ticket of
/// one second is never dead on arrival, and never lives as long as one second more than was asked.
pub fn ticket_expiry(now: Timestamp, ttl_seconds: u64) -> Timestamp {
    Timestamp::from_unix_ms(now.unix_ms().div_ceil(1000).saturating_add(ttl_seconds).saturating_mul(1000))
}

/// Which of a tenant's grants to revoke. Absent fields choose nothing out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RevokeChoice {
    /// Those made for this runtime. Tenant-wide grants stay: they are not this runtime's alone.
    pub runtime: Option<RuntimeId>,
    /// Those to this workspace.
    pub workspace: Option<WorkspaceId>,
}

impl RevokeChoice {
    /// Whether a grant of the tenant is to be revoked.
    pub fn hits(&self, grant: &GrantRecord, now: Timestamp, generation: u64) -> bool {
        grant.stands(now, generation)
            && self.runtime.as_ref().is_none_or(|runtime| grant.runtime.as_ref() == Some(runtime))
            && self.workspace.is_none_or(|workspace| grant.workspace == workspace)
    }
}

#[cfg(test)]
mod tests {
    use artifacts_core::{AccountId, GrantId};

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_ms(1_700_000_000_500);

    fn grant(change: impl FnOnce(&mut GrantRecord)) -> GrantRecord {
        let mut grant = GrantRecord {
            id: GrantId::from_bits(1),
            account: AccountId::from_bits(1),
            workspace: WorkspaceId::from_bits(1),
            workspace_name: "acme/a".to_owned(),
            tenant: "acme".parse().unwrap(),
            runtime: Some("r1".parse().unwrap()),
            mode: Mode::Rw,
            subpath: None,
            generation: 1,
            created_at: NOW,
            expires_at: None,
            revoked_at: None,
        };
        change(&mut grant);
        grant
    }

    #[test]
    fn a_ticket_draws_only_on_a_grant_that_is_exactly_what_was_asked() {
        let wish = TicketWish {
            workspace: WorkspaceId::from_bits(1),
            runtime: "r1".parse().unwrap(),
            mode: Mode::Rw,
            subpath: None,
            ttl_seconds: 60,
            renewable: false,
        };
        let expires_at = ticket_expiry(NOW, 60);
        let cases: [(&str, GrantRecord, bool); 11] = [
            ("the same", grant(|_| {}), true),
            ("lasts just as long", grant(|grant| grant.expires_at = Some(expires_at)), true),
            ("ends 1 ms before", grant(|grant| grant.expires_at = Some(Timestamp::from_unix_ms(expires_at.unix_ms() - 1))), false),
            ("has run out", grant(|grant| grant.expires_at = Some(NOW)), false),
            ("revoked", grant(|grant| grant.revoked_at = Some(NOW)), false),
            ("revoked with everything", grant(|grant| grant.generation = 0), false),
            ("another runtime's", grant(|grant| grant.runtime = Some("r2".parse().unwrap())), false),
            ("every runtime's", grant(|grant| grant.runtime = None), false),
            ("another workspace", grant(|grant| grant.workspace = WorkspaceId::from_bits(2)), false),
            ("another mode", grant(|grant| grant.mode = Mode::Ro), false),
            ("another directory", grant(|grant| grant.subpath = Some("a".parse().unwrap())), false),
        ];
        for (what, grant, draws) in cases {
            assert_eq!(wish.draws_on(&grant, NOW, 1, expires_at), draws, "{what}");
        }
    }

    #[test]
    fn a_revocation_hits_what_it_names() {
        let all = RevokeChoice::default();
        let runtime = RevokeChoice { runtime: Some("r1".parse().unwrap()), ..RevokeChoice::default() };
        let workspace = RevokeChoice { workspace: Some(WorkspaceId::from_bits(1)), ..RevokeChoice::default() };
        let both = RevokeChoice { runtime: runtime.runtime.clone(), workspace: workspace.workspace };
        let cases: [(&str, GrantRecord, [bool; 4]); 7] = [
            ("this runtime's, this workspace", grant(|_| {}), [true; 4]),
            ("another runtime's", grant(|grant| grant.runtime = Some("r2".parse().unwrap())), [true, false, true, false]),
            ("every runtime's", grant(|grant| grant.runtime = None), [true, false, true, false]),
            ("another workspace", grant(|grant| grant.workspace = WorkspaceId::from_bits(2)), [true, true, false, false]),
            ("revoked with everything", grant(|grant| grant.generation = 0), [false; 4]),
            ("revoked already", grant(|grant| grant.revoked_at = Some(NOW)), [false; 4]),
            ("has run out", grant(|grant| grant.expires_at = Some(NOW)), [false; 4]),
        ];
        for (what, grant, hit) in cases {
            assert_eq!([&all, &runtime, &workspace, &both].map(|choice| choice.hits(&grant, NOW, 1)), hit, "{what}");
        }
    }

    #[test]
    fn a_ticket_lives_as_long_as_asked_and_less_than_a_second_more() {
        for (now_ms, ttl, expires_ms) in [(5_000, 1, 6_000), (5_001, 1, 7_000), (5_999, 1, 7_000), (0, 86_400, 86_400_000)] {
            assert_eq!(ticket_expiry(Timestamp::from_unix_ms(now_ms), ttl).unix_ms(), expires_ms);
        }
    }
}
