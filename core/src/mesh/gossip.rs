//! What members tell each other: the messages of chitchat in a form of ours, which can be judged before chitchat sees
//! it, and which is cut to size without its compression.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::name::NodeName;

/// One life of a member, as gossip names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MemberId {
    /// Its name.
    pub name: NodeName,
    /// Which life.
    pub generation: u64,
    /// Where it receives datagrams.
    pub address: SocketAddr,
}

/// What a member knows of another, in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestEntry {
    /// Whom.
    pub member: MemberId,
    /// Grows while it lives.
    pub heartbeat: u64,
    /// Up to which version removed keys have been forgotten.
    pub collected: u64,
    /// The version of its newest key.
    pub version: u64,
}

/// What became of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// It has this value.
    Set,
    /// It was removed.
    Removed,
    /// It has this value and is removed after the grace period.
    Expiring,
}

/// One key of a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyValue {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
    /// The version that this change made.
    pub version: u64,
    /// What became of it.
    pub status: Status,
}

/// What is new of one member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeltaEntry {
    /// Whose.
    pub member: MemberId,
    /// Up to which version removed keys have been forgotten.
    pub collected: u64,
    /// The version after which the changes begin.
    pub after: u64,
    /// The changes, in the order of their versions.
    pub changes: Vec<KeyValue>,
    /// The newest version, where no change tells.
    pub version: Option<u64>,
}

/// One message of the gossip protocol: a question, an answer with a question back, and an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Gossip {
    /// What I know.
    Syn(Vec<DigestEntry>),
    /// What I know, and what you do not.
    SynAck(Vec<DigestEntry>, Vec<DeltaEntry>),
    /// What you do not know.
    Ack(Vec<DeltaEntry>),
}

/// A message cannot be sent or is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GossipError {
    /// More members than fit.
    #[error("the list of members does not fit into a datagram")]
    TooLarge,
    /// Not a message of this version.
    #[error("it does not decode")]
    Malformed,
}

impl Gossip {
    /// The members in it, with what is known of them.
    pub fn digest(&self) -> &[DigestEntry] {
        match self {
            Self::Syn(digest) | Self::SynAck(digest, _) => digest,
            Self::Ack(_) => &[],
        }
    }

    /// The news in it.
    pub fn delta(&self) -> &[DeltaEntry] {
        match self {
            Self::SynAck(_, delta) | Self::Ack(delta) => delta,
            Self::Syn(_) => &[],
        }
    }

    /// Takes the heartbeat of these identities out: whoever receives it does not learn from it that they live.
    pub fn still(&mut self, name: &NodeName) {
        if let Self::Syn(digest) | Self::SynAck(digest, _) = self {
            digest.iter_mut().filter(|entry| entry.member.name == *name).for_each(|entry| entry.heartbeat = 0);
        }
    }

    /// Leaves out every member that is not wanted.
    pub fn retain(&mut self, mut wanted: impl FnMut(&MemberId) -> bool) {
        if let Self::Syn(digest) | Self::SynAck(digest, _) = self {
            digest.retain(|entry| wanted(&entry.member));
        }
        if let Self::SynAck(_, delta) | Self::Ack(delta) = self {
            delta.retain(|entry| wanted(&entry.member));
        }
    }

    /// The message as at most `limit_bytes` bytes. News that do not fit are left out from the end, as the protocol
    /// provides for: who lacks them asks again, and each message carries some.
    ///
    /// # Errors
    /// [`GossipError::TooLarge`] if the digest alone does not fit.
    pub fn encode(mut self, limit_bytes: usize) -> Result<Vec<u8>, GossipError> {
        let bytes = postcard::to_stdvec(&self).map_err(|_| GossipError::Malformed)?;
        if bytes.len() <= limit_bytes {
            return Ok(bytes);
        }
        let excess = bytes.len() - limit_bytes;
        match &mut self {
            Self::SynAck(_, delta) | Self::Ack(delta) => shorten(delta, excess),
            Self::Syn(_) => {}
        }
        let bytes = postcard::to_stdvec(&self).map_err(|_| GossipError::Malformed)?;
        if bytes.len() > limit_bytes { Err(GossipError::TooLarge) } else { Ok(bytes) }
    }

    /// Reads one message that fills these bytes.
    ///
    /// # Errors
    /// [`GossipError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, GossipError> {
        match postcard::take_from_bytes(bytes) {
            Ok((message, [])) => Ok(message),
            _ => Err(GossipError::Malformed),
        }
    }
}

/// Takes at least `excess` bytes off the end, in whole changes. Counting the lengths that precede lists as unchanged
/// takes off a few bytes more than needed, never fewer.
fn shorten(delta: &mut Vec<DeltaEntry>, mut excess: usize) {
    while excess > 0 {
        let Some(last) = delta.last_mut() else { return };
        match last.changes.pop() {
            Some(change) if !last.changes.is_empty() => excess = excess.saturating_sub(encoded_len(&change)),
            // A member without the first of its changes is no news.
            Some(change) => {
                excess = excess.saturating_sub(encoded_len(&change) + encoded_len(last));
                delta.pop();
            }
            None => {
                excess = excess.saturating_sub(encoded_len(last));
                delta.pop();
            }
        }
    }
}

fn encoded_len<T: Serialize>(part: &T) -> usize {
    postcard::experimental::serialized_size(part).unwrap_or(0)
}
