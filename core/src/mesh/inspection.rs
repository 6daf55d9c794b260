//! What a message with a good seal must keep to before chitchat sees it.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::gossip::{DeltaEntry, DigestEntry, Gossip, MemberId};
use super::limits::{KEY_MAX_BYTES, KEYS_MAX, MEMBERS_MAX, NUMBER_MAX, VALUE_MAX_BYTES};
use crate::name::NodeName;

/// A rule that a message breaks. Its sender is broken or hostile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// More members or keys than there may be.
    #[error("it has too many members or keys")]
    TooMany,
    /// The same member twice.
    #[error("it names a member twice")]
    Twice,
    /// An address to which nothing can be sent.
    #[error("it has an unusable address")]
    Address,
    /// A heartbeat, version or generation that is made to overflow.
    #[error("it has a number that is too large")]
    Number,
    /// Versions that do not grow.
    #[error("its versions do not grow")]
    Order,
    /// A key that is empty, too long, or not printable ASCII.
    #[error("it has an unusable key")]
    Key,
    /// A value that is too long.
    #[error("it has a value that is too long")]
    Value,
    /// The sender does not list itself, or lists itself as somebody else.
    #[error("its sender is not who it says")]
    Sender,
    /// It tells the receiver the receiver's own state.
    #[error("it speaks for the receiver")]
    Receiver,
}

/// Who sent a message, and to whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parties<'a> {
    pub(super) sender: &'a NodeName,
    pub(super) sender_generation: u64,
    pub(super) receiver: &'a NodeName,
    pub(super) receiver_generation: u64,
}

/// Judges a message as a whole.
pub(super) fn inspect(message: &Gossip, parties: Parties<'_>) -> Result<(), Violation> {
    if !matches!(message, Gossip::Ack(_)) {
        digest(message.digest(), parties)?;
    }
    delta(message.delta(), parties)
}

fn digest(digest: &[DigestEntry], parties: Parties<'_>) -> Result<(), Violation> {
    if digest.len() > MEMBERS_MAX {
        return Err(Violation::TooMany);
    }
    let mut seen = BTreeSet::new();
    let mut itself = false;
    for entry in digest {
        member(&entry.member, parties)?;
        numbers(&[entry.heartbeat, entry.collected, entry.version])?;
        if !seen.insert((&entry.member.name, entry.member.generation)) {
            return Err(Violation::Twice);
        }
        itself |= entry.member.name == *parties.sender && entry.member.generation == parties.sender_generation;
    }
    if itself { Ok(()) } else { Err(Violation::Sender) }
}

fn delta(delta: &[DeltaEntry], parties: Parties<'_>) -> Result<(), Violation> {
    if delta.len() > MEMBERS_MAX {
        return Err(Violation::TooMany);
    }
    let mut seen = BTreeSet::new();
    for entry in delta {
        member(&entry.member, parties)?;
        if entry.member.name == *parties.receiver && entry.member.generation == parties.receiver_generation {
            return Err(Violation::Receiver);
        }
        numbers(&[entry.collected, entry.after, entry.version.unwrap_or(0)])?;
        if !seen.insert((&entry.member.name, entry.member.generation)) {
            return Err(Violation::Twice);
        }
        changes(entry)?;
    }
    Ok(())
}

fn changes(entry: &DeltaEntry) -> Result<(), Violation> {
    if entry.changes.len() > KEYS_MAX {
        return Err(Violation::TooMany);
    }
    // With changes the last of them tells the version; a version beside them could be lower, which chitchat does not survive.
    if entry.version.is_some() && !entry.changes.is_empty() {
        return Err(Violation::Order);
    }
    let mut last = 0;
    for change in &entry.changes {
        let printable = change.key.bytes().all(|byte| byte.is_ascii_graphic());
        if change.key.is_empty() || change.key.len() > KEY_MAX_BYTES || !printable {
            return Err(Violation::Key);
        }
        if change.value.len() > VALUE_MAX_BYTES {
            return Err(Violation::Value);
        }
        numbers(&[change.version])?;
        if change.version <= last {
            return Err(Violation::Order);
        }
        last = change.version;
    }
    Ok(())
}

fn member(member: &MemberId, parties: Parties<'_>) -> Result<(), Violation> {
    numbers(&[member.generation])?;
    if !is_usable_address(&member.address) {
        return Err(Violation::Address);
    }
    // Its earlier lives may still be in circulation; later ones than this cannot be.
    if member.name == *parties.sender && member.generation > parties.sender_generation {
        return Err(Violation::Sender);
    }
    Ok(())
}

fn numbers(numbers: &[u64]) -> Result<(), Violation> {
    if numbers.iter().all(|&number| number < NUMBER_MAX) { Ok(()) } else { Err(Violation::Number) }
}

/// Whether datagrams can be sent there.
pub fn is_usable_address(address: &SocketAddr) -> bool {
    let broadcast = matches!(address, SocketAddr::V4(v4) if v4.ip().is_broadcast());
    address.port() != 0 && !address.ip().is_unspecified() && !address.ip().is_multicast() && !broadcast
}
