use std::collections::BTreeMap;

use artifacts_core::SessionId;
use artifacts_core::locks::{Held, Mode, Resource};

use super::world::{World, life_of};
use crate::tree;

/// Who has been given the lock of each group, and which ops were made under one: after a lock has passed on, no op of who had it before may
/// take effect.
#[derive(Debug, Default)]
pub(super) struct Holders {
    /// By group: the fencing token, whose it is, and whether it is alone.
    given: BTreeMap<u8, Vec<(u64, SessionId, u64, bool)>>,
    /// By mount and the time of the op: the group, and whose lock.
    made: BTreeMap<(usize, i64), (u8, u64)>,
}

impl Holders {
    /// An op was made while a lock was held.
    pub(super) fn made(&mut self, op: (usize, i64), group: u8, owner: u64) {
        self.made.insert(op, (group, owner));
    }

    /// Somebody lets go of what it holds: what it did is done.
    pub(super) fn lets_go(&mut self, life: usize, owner: u64) {
        self.made.retain(|(of, _), (_, holder)| (*of, *holder) != (life, owner));
    }

    pub(super) fn clear(&mut self) {
        self.made.clear();
        self.given.clear();
    }

    /// An op takes effect. What is wrong about that, if anything is.
    pub(super) fn took(&self, session: SessionId, op: (usize, i64)) -> Option<String> {
        let &(group, owner) = self.made.get(&op)?;
        let given = self.given.get(&group)?;
        let mine = given.iter().rposition(|&(_, of, by, _)| (of, by) == (session, owner))?;
        let (token, _, _, is_alone) = given[mine];
        let later = given[mine + 1..].iter().find(|&&(_, of, by, alone)| (of, by) != (session, owner) && (alone || is_alone))?;
        Some(format!(
            "LOCKS: an op of mount {} that was made under the lock of group {group} (token {token}) took effect after the lock had been given to mount {} (token {})",
            op.0,
            life_of(later.1),
            later.0
        ))
    }

    fn give(&mut self, group: u8, token: u64, session: SessionId, owner: u64, is_alone: bool) -> Option<String> {
        let given = self.given.entry(group).or_default();
        if let Some(same) = given.iter().find(|&&(of, ..)| of == token) {
            let is_same = (same.1, same.2) == (session, owner);
            return (!is_same).then(|| format!("LOCKS: the fencing token {token} was given twice"));
        }
        if given.last().is_some_and(|&(last, ..)| last > token) {
            return Some(format!("LOCKS: the fencing token {token} was given after a greater one"));
        }
        given.push((token, session, owner, is_alone));
        None
    }
}

impl World {
    /// Somebody holds a lock.
    pub(super) fn note_holder(&mut self, resource: &Resource, held: &Held) {
        let (Resource::Flock(ino), artifacts_core::locks::Holder::File(owner)) = (resource, &held.holder) else { return };
        let group = tree::group_of_lock(*ino);
        self.tally.locks += 1;
        let wrong = self.holders.give(group, held.fencing_token, owner.session, owner.owner, held.mode == Mode::Exclusive);
        self.violations.extend(wrong);
    }
}
