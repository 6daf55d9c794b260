//! How a tenant's quotas are given to its workspaces, as pure functions.
//!
//! A tenant's quota is what its workspaces may be *given* together: each of them has a quota of its own, which its owner keeps
//! to the byte, and these never add up to more than the tenant's. So the tenant never holds more than its quota, and no write
//! has to ask anybody about other workspaces.

use crate::records::{Quotas, WorkspaceRecord};

/// Why a workspace, or a tenant, cannot have these quotas.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants say it")]
pub enum QuotaProblem {
    /// The tenant has this quota, so each of its workspaces needs one; so much is not given yet.
    Needed { field: &'static str, free: u64 },
    /// More than what is not given yet.
    Exceeded { field: &'static str, free: u64 },
    /// The tenant's workspaces have been given more than that.
    Given { field: &'static str, given: u64 },
}

/// Whether `wanted` fits into the tenant's quotas beside what `others` have been given.
///
/// # Errors
/// [`QuotaProblem::Needed`], [`QuotaProblem::Exceeded`].
pub fn fit(tenant: Quotas, others: &[WorkspaceRecord], wanted: Quotas) -> Result<(), QuotaProblem> {
    for (field, limit, of) in LIMITS {
        let Some(limit) = limit(&tenant) else { continue };
        let free = limit.saturating_sub(given(others, of));
        match of(&wanted) {
            None => return Err(QuotaProblem::Needed { field, free }),
            Some(wanted) if wanted > free => return Err(QuotaProblem::Exceeded { field, free }),
            Some(_) => {}
        }
    }
    Ok(())
}

/// Whether a tenant with these workspaces can have these quotas.
///
/// # Errors
/// [`QuotaProblem::Given`].
pub fn cover(tenant: Quotas, workspaces: &[WorkspaceRecord]) -> Result<(), QuotaProblem> {
    for (field, limit, of) in LIMITS {
        let Some(limit) = limit(&tenant) else { continue };
        let unlimited = workspaces.iter().any(|workspace| of(&workspace.quotas()).is_none());
        let given = if unlimited { u64::MAX } else { given(workspaces, of) };
        if given > limit {
            return Err(QuotaProblem::Given { field, given });
        }
    }
    Ok(())
}

/// What workspaces have been given together.
pub fn given(workspaces: &[WorkspaceRecord], of: fn(&Quotas) -> Option<u64>) -> u64 {
    workspaces.iter().filter_map(|workspace| of(&workspace.quotas())).fold(0, u64::saturating_add)
}

type Limit = fn(&Quotas) -> Option<u64>;

/// Each limit by its name in the API.
const LIMITS: [(&str, Limit, Limit); 2] =
    [("quota_bytes", bytes as Limit, bytes as Limit), ("quota_inodes", inodes as Limit, inodes as Limit)];

/// The limit on bytes.
pub fn bytes(quotas: &Quotas) -> Option<u64> {
    quotas.bytes
}

/// The limit on inodes.
pub fn inodes(quotas: &Quotas) -> Option<u64> {
    quotas.inodes
}

#[cfg(test)]
mod tests {
    use artifacts_core::{AccountId, Timestamp, WorkspaceId};

    use super::*;
    use crate::records::WorkspaceStatus;

    fn workspace(bytes: Option<u64>, inodes: Option<u64>) -> WorkspaceRecord {
        WorkspaceRecord {
            id: WorkspaceId::from_bits(1),
            account: AccountId::from_bits(1),
            handle: "acme".parse().unwrap(),
            name: "w".parse().unwrap(),
            status: WorkspaceStatus::Active,
            tenant: Some("t".parse().unwrap()),
            region: "local".into(),
            abroad: false,
            origin: None,
            quota_bytes: bytes,
            quota_inodes: inodes,
            created_at: Timestamp::from_unix_ms(0),
        }
    }

    const fn quotas(bytes: Option<u64>, inodes: Option<u64>) -> Quotas {
        Quotas { bytes, inodes }
    }

    #[test]
    fn workspaces_are_given_no_more_than_the_tenant_has() {
        let others = [workspace(Some(60), Some(5)), workspace(Some(30), None)];
        let exceeded = |field, free| Err(QuotaProblem::Exceeded { field, free });
        for (tenant, wanted, outcome) in [
            (quotas(None, None), quotas(None, None), Ok(())),
            (quotas(Some(100), None), quotas(Some(10), None), Ok(())),
            (quotas(Some(100), None), quotas(Some(11), None), exceeded("quota_bytes", 10)),
            (quotas(Some(80), None), quotas(Some(1), None), exceeded("quota_bytes", 0)),
            (quotas(Some(100), None), quotas(None, Some(1)), Err(QuotaProblem::Needed { field: "quota_bytes", free: 10 })),
            (quotas(Some(100), Some(6)), quotas(Some(10), Some(2)), exceeded("quota_inodes", 1)),
        ] {
            assert_eq!(fit(tenant, &others, wanted), outcome, "{tenant:?} {wanted:?}");
        }
    }

    #[test]
    fn a_tenant_keeps_a_quota_that_covers_what_it_has_given() {
        let some = [workspace(Some(60), Some(5)), workspace(Some(30), None)];
        for (tenant, outcome) in [
            (quotas(None, None), Ok(())),
            (quotas(Some(90), None), Ok(())),
            (quotas(Some(89), None), Err(QuotaProblem::Given { field: "quota_bytes", given: 90 })),
            (quotas(None, Some(1_000)), Err(QuotaProblem::Given { field: "quota_inodes", given: u64::MAX })),
        ] {
            assert_eq!(cover(tenant, &some), outcome, "{tenant:?}");
        }
        assert_eq!(cover(quotas(Some(1), Some(1)), &[]), Ok(()));
    }
}
