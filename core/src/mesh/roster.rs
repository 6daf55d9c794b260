use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::gossip::MemberId;
use super::limits::{FORGET_AFTER_MS, INCARNATIONS_MAX, MEMBERS_MAX};
use crate::name::NodeName;

/// Which identities are in circulation, so that there are never more than the gossip protocol can list.
///
/// An identity counts from the first mention until nobody has mentioned it for [`FORGET_AFTER_MS`], which is longer
/// than the gossip protocol keeps the dead. What comes after the limit is left out of what chitchat sees.
#[derive(Debug, Default)]
pub(super) struct Roster {
    members: BTreeMap<(NodeName, u64), (SocketAddr, u64)>,
}

impl Roster {
    /// Notes a mention. False if it is one too many, or has another address than before.
    pub(super) fn admit(&mut self, member: &MemberId, now_ms: u64) -> bool {
        // The common case first, without a copy of the name.
        let of_name = (member.name.clone(), 0)..=(member.name.clone(), u64::MAX);
        let mut incarnations = 0;
        for ((_, generation), (address, mentioned_ms)) in self.members.range_mut(of_name) {
            if *generation == member.generation {
                let same = *address == member.address;
                if same {
                    *mentioned_ms = now_ms;
                }
                return same;
            }
            incarnations += 1;
        }
        if incarnations >= INCARNATIONS_MAX || self.members.len() >= MEMBERS_MAX {
            self.members.retain(|_, (_, mentioned_ms)| now_ms.saturating_sub(*mentioned_ms) < FORGET_AFTER_MS);
            let left = self.members.keys().filter(|(name, _)| *name == member.name).count();
            if left >= INCARNATIONS_MAX || self.members.len() >= MEMBERS_MAX {
                return false;
            }
        }
        self.members.insert((member.name.clone(), member.generation), (member.address, now_ms));
        true
    }
}
