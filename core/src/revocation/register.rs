use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Issue, RevocationRecord, SignedRevocation, Target};
use crate::ticket::VerifyingKeys;
use crate::{GrantId, KeyId, SessionId, Timestamp, WorkspaceId};

/// What a session stands on; each must be free of a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Standing {
    /// The session itself.
    pub session: SessionId,
    /// The grant, for a session opened with a ticket.
    pub grant: Option<GrantId>,
    /// The API key, for a session opened with one.
    pub key: Option<KeyId>,
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The account that has issued the grant or the key; a node of an earlier version does not say.
    #[serde(default)]
    pub issue: Option<Issue>,
}

/// All revocations that are known and may still matter.
#[derive(Debug, Clone, Default)]
pub struct RevocationRegister {
    records: BTreeMap<Target, RevocationRecord>,
}

impl RevocationRegister {
    /// Takes in a record if a trusted key signed it. Answers whether it was news.
    pub fn merge(&mut self, signed: &SignedRevocation, keys: &VerifyingKeys) -> bool {
        signed.verifies(keys) && self.admit(signed.record.clone())
    }

    /// Takes in a record that this process issued or verified itself. Of two for one target the earlier stays, so
    /// the outcome does not depend on the order of arrival.
    pub fn admit(&mut self, record: RevocationRecord) -> bool {
        match self.records.get(&record.target) {
            Some(known) if (known.revoked_at, known.id) <= (record.revoked_at, record.id) => false,
            _ => self.records.insert(record.target, record).is_none(),
        }
    }

    /// The record that takes this target's rights, if there is one.
    pub fn revoked(&self, target: Target) -> Option<&RevocationRecord> {
        self.records.get(&target)
    }

    /// Whether everything of this issue is revoked.
    pub fn is_void(&self, issue: Issue) -> bool {
        self.records.range(issue.taken_by()).next().is_some()
    }

    /// Whether everything that a session stands on still stands.
    pub fn stands(&self, on: &Standing) -> bool {
        self.against(on).next().is_none()
    }

    /// The first record that took what a session stands on.
    pub fn first_against(&self, on: &Standing) -> Option<&RevocationRecord> {
        self.against(on).min_by_key(|record| (record.revoked_at, record.id))
    }

    fn against(&self, on: &Standing) -> impl Iterator<Item = &RevocationRecord> {
        let targets = [
            Some(Target::Session(on.session)),
            on.grant.map(Target::Grant),
            on.key.map(Target::Key),
            Some(Target::Workspace(on.workspace)),
        ];
        let of_issue = on.issue.into_iter().flat_map(move |issue| self.records.range(issue.taken_by())).map(|(_, record)| record);
        targets.into_iter().flatten().filter_map(move |target| self.records.get(&target)).chain(of_issue)
    }

    /// Forgets records older than `age_ms`: by then no ticket of the target can be alive.
    pub fn forget_older_than(&mut self, age_ms: u64, now: Timestamp) {
        self.records.retain(|_, record| now.since_ms(record.revoked_at) <= age_ms);
    }

    /// How many records are held.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AccountId, RevocationId};
    use ed25519_dalek::SigningKey;
    use proptest::prelude::*;

    fn record(id: u128, target: Target, at: u64) -> RevocationRecord {
        RevocationRecord {
            id: RevocationId::from_bits(id),
            account: AccountId::from_bits(1),
            target,
            revoked_at: Timestamp::from_unix_ms(at),
        }
    }

    fn standing() -> Standing {
        Standing {
            session: SessionId::from_bits(1),
            grant: Some(GrantId::from_bits(2)),
            key: Some(KeyId::from_bits(3)),
            workspace: WorkspaceId::from_bits(4),
            issue: Some(issue(5, 7)),
        }
    }

    fn issue(account: u128, generation: u64) -> Issue {
        Issue { account: AccountId::from_bits(account), generation }
    }

    #[test]
    fn each_foundation_can_be_taken_away() {
        let on = standing();
        let targets = [
            (Target::Session(on.session), false),
            (Target::Session(SessionId::from_bits(9)), true),
            (Target::Grant(GrantId::from_bits(2)), false),
            (Target::Grant(GrantId::from_bits(9)), true),
            (Target::Key(KeyId::from_bits(3)), false),
            (Target::Workspace(on.workspace), false),
            (Target::Account(issue(5, 6)), true),
            (Target::Account(issue(5, 7)), false),
            (Target::Account(issue(5, 8)), false),
            (Target::Account(issue(4, 9)), true),
            (Target::Account(issue(6, 9)), true),
        ];
        for (target, stands) in targets {
            let mut register = RevocationRegister::default();
            assert!(register.admit(record(1, target, 5)));
            assert!(!register.admit(record(1, target, 5)), "the same record is no news");
            assert_eq!(register.stands(&on), stands, "{target:?}");
            let found = register.first_against(&on).map(|record| record.target);
            assert_eq!(found, (!stands).then_some(target), "{target:?}");
        }
    }

    #[test]
    fn of_several_records_the_first_took_the_right() {
        let on = standing();
        let mut register = RevocationRegister::default();
        register.admit(record(1, Target::Workspace(on.workspace), 7));
        register.admit(record(2, Target::Account(issue(5, 7)), 6));
        register.admit(record(3, Target::Grant(GrantId::from_bits(2)), 8));
        assert_eq!(register.first_against(&on).map(|record| record.id), Some(RevocationId::from_bits(2)));
    }

    #[test]
    fn only_a_trusted_signature_counts() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let stranger = SigningKey::from_bytes(&[2; 32]);
        let keys = VerifyingKeys::from_iter([("k".to_owned(), key.verifying_key())]);
        let target = Target::Grant(GrantId::from_bits(2));
        let mut register = RevocationRegister::default();
        assert!(!register.merge(&SignedRevocation::sign(record(1, target, 5), "k", &stranger), &keys));
        assert!(!register.merge(&SignedRevocation::sign(record(1, target, 5), "other", &key), &keys));
        let mut tampered = SignedRevocation::sign(record(1, target, 5), "k", &key);
        tampered.record.target = Target::Workspace(WorkspaceId::from_bits(4));
        assert!(!register.merge(&tampered, &keys));
        assert!(register.stands(&standing()));
        assert!(register.merge(&SignedRevocation::sign(record(1, target, 5), "k", &key), &keys));
        assert!(!register.stands(&standing()));
    }

    #[test]
    fn old_records_are_forgotten() {
        let mut register = RevocationRegister::default();
        register.admit(record(1, Target::Grant(GrantId::from_bits(2)), 1_000));
        register.forget_older_than(500, Timestamp::from_unix_ms(1_500));
        assert_eq!(register.len(), 1);
        register.forget_older_than(500, Timestamp::from_unix_ms(1_501));
        assert!(register.is_empty());
    }

    proptest! {
        #[test]
        fn order_of_arrival_does_not_matter(mut arrivals in proptest::collection::vec((0u128..20, 0u128..4, 0u64..5), 0..20), seed: u64) {
            let build = |arrivals: &[(u128, u128, u64)]| {
                let mut register = RevocationRegister::default();
                for &(id, target, at) in arrivals {
                    register.admit(record(id, Target::Grant(GrantId::from_bits(target)), at));
                }
                register.records
            };
            let first = build(&arrivals);
            let turn = (seed as usize) % arrivals.len().max(1);
            arrivals.rotate_left(turn);
            arrivals.reverse();
            prop_assert_eq!(first, build(&arrivals));
        }
    }
}
