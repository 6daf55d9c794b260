use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::gossip::MemberId;
use super::limits::{FORGET_AFTER_MS, LIFE_EVERY_MS, LIVES_AT_ONCE, MEMBERS_MAX};
use crate::name::NodeName;

/// Which identities are in circulation, so that there are never more than the gossip protocol can list.
///
/// An identity counts from the first mention until nobody has mentioned it for [`FORGET_AFTER_MS`], which is longer
/// than the gossip protocol keeps the dead. What comes after the limit is left out of what chitchat sees, and so are lives of
/// one name that follow each other too fast ([`LIVES_AT_ONCE`]); what is mentioned again later may be taken then.
#[derive(Debug, Default)]
pub(super) struct Roster {
    members: BTreeMap<(NodeName, u64), (SocketAddr, u64)>,
    /// By when each name will have its whole allowance again; absent if it has (the generic cell rate algorithm, ITU-T I.371).
    whole_again_ms: BTreeMap<NodeName, u64>,
}

impl Roster {
    fn mention(&mut self, key: &(NodeName, u64), of: SocketAddr, now_ms: u64) -> Option<bool> {
        let (address, mentioned_ms) = self.members.get_mut(key)?;
        let same = *address == of;
        if same {
            *mentioned_ms = now_ms;
        }
        Some(same)
    }

    /// Notes a mention. False if it is one too many, or has another address than before.
    pub(super) fn admit(&mut self, member: &MemberId, now_ms: u64) -> bool {
        let key = (member.name.clone(), member.generation);
        if let Some(same) = self.mention(&key, member.address, now_ms) {
            return same;
        }
        let of_name = (member.name.clone(), 0)..=(member.name.clone(), u64::MAX);
        if self.members.range(of_name).next_back().is_some_and(|((_, newest), _)| *newest > member.generation) {
            // It was over before this member heard of it, and must not use up what the name may do now.
            return false;
        }
        if self.members.len() >= MEMBERS_MAX {
            self.members.retain(|_, (_, mentioned_ms)| now_ms.saturating_sub(*mentioned_ms) < FORGET_AFTER_MS);
            if self.members.len() >= MEMBERS_MAX {
                return false;
            }
        }
        self.whole_again_ms.retain(|_, at_ms| *at_ms > now_ms);
        let whole_again_ms = self.whole_again_ms.get(&member.name).copied().unwrap_or(now_ms);
        if whole_again_ms > now_ms + (LIVES_AT_ONCE - 1) * LIFE_EVERY_MS {
            return false;
        }
        self.whole_again_ms.insert(member.name.clone(), whole_again_ms + LIFE_EVERY_MS);
        self.members.insert(key, (member.address, now_ms));
        true
    }
}
