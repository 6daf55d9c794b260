//! chitchat's messages, from its bytes to ours and back. Its types are closed, so its own coding (of 0.11.2, which the
//! workspace pins) is the way in and out.
//!
//! On the way out the bytes are chitchat's own. On the way in they are made here, from a message that has passed every
//! check, and never compressed: no byte from the network reaches a decompressor.

use std::net::{IpAddr, SocketAddr};

use artifacts_core::mesh::{DeltaEntry, DigestEntry, Gossip, KeyValue, MemberId, Status};
use chitchat::{ChitchatMessage, Deserializable as _, Serializable as _};

/// `45_139` little endian, and version 0.
const PREAMBLE: [u8; 3] = [0x53, 0xb0, 0];
const SYN: u8 = 0;
const SYN_ACK: u8 = 1;
const ACK: u8 = 2;

const END: u8 = 0;
const COMPRESSED: u8 = 1;
const PLAIN: u8 = 2;
/// A block holds at most this much, compressed or not.
const BLOCK_MAX_BYTES: usize = u16::MAX as usize;

const MEMBER: u8 = 0;
const CHANGE: u8 = 1;
const VERSION: u8 = 2;

/// What chitchat wants to send. Nothing for the answer to a stranger, which cannot come up behind a seal, and for
/// anything that this version of chitchat does not write.
pub fn from_chitchat(message: &ChitchatMessage) -> Option<Gossip> {
    read(&message.serialize_to_vec())
}

/// What chitchat is to receive.
pub fn to_chitchat(message: &Gossip, cluster: &str) -> Option<ChitchatMessage> {
    let bytes = write(message, cluster)?;
    let mut rest = bytes.as_slice();
    ChitchatMessage::deserialize(&mut rest).ok().filter(|_| rest.is_empty())
}

pub(crate) fn read(bytes: &[u8]) -> Option<Gossip> {
    let mut rest = bytes.strip_prefix(&PREAMBLE)?;
    match byte(&mut rest)? {
        // The cluster's name follows, which is in the seal.
        SYN => Some(Gossip::Syn(digest(&mut rest)?)),
        SYN_ACK => Some(Gossip::SynAck(digest(&mut rest)?, delta(&mut rest)?)),
        ACK => Some(Gossip::Ack(delta(&mut rest)?)),
        _ => None,
    }
}

fn digest(rest: &mut &[u8]) -> Option<Vec<DigestEntry>> {
    let count = u16::from_le_bytes(array(rest)?);
    (0..count)
        .map(|_| Some(DigestEntry { member: member(rest)?, heartbeat: number(rest)?, collected: number(rest)?, version: number(rest)? }))
        .collect()
}

fn delta(rest: &mut &[u8]) -> Option<Vec<DeltaEntry>> {
    let ops = blocks(rest)?;
    let mut ops = ops.as_slice();
    let mut delta: Vec<DeltaEntry> = Vec::new();
    while let Some(tag) = byte(&mut ops) {
        match tag {
            MEMBER => {
                let (member, collected, after) = (member(&mut ops)?, number(&mut ops)?, number(&mut ops)?);
                delta.push(DeltaEntry { member, collected, after, changes: Vec::new(), version: None });
            }
            CHANGE => {
                let (key, value, version) = (text(&mut ops)?, text(&mut ops)?, number(&mut ops)?);
                let status = match byte(&mut ops)? {
                    0 => Status::Set,
                    1 => Status::Removed,
                    2 => Status::Expiring,
                    _ => return None,
                };
                delta.last_mut()?.changes.push(KeyValue { key, value, version, status });
            }
            VERSION => delta.last_mut()?.version = Some(number(&mut ops)?),
            _ => return None,
        }
    }
    Some(delta)
}

fn blocks(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let kind = byte(rest)?;
        if kind == END {
            return Some(content);
        }
        let len = usize::from(u16::from_le_bytes(array(rest)?));
        let (block, others) = rest.split_at_checked(len)?;
        *rest = others;
        match kind {
            COMPRESSED => content.extend(zstd::bulk::decompress(block, BLOCK_MAX_BYTES).ok()?),
            PLAIN => content.extend(block),
            _ => return None,
        }
    }
}

fn member(rest: &mut &[u8]) -> Option<MemberId> {
    let name = text(rest)?.parse().ok()?;
    let generation = number(rest)?;
    let ip = match byte(rest)? {
        4 => IpAddr::from(array::<4>(rest)?),
        6 => IpAddr::from(array::<16>(rest)?),
        _ => return None,
    };
    Some(MemberId { name, generation, address: SocketAddr::new(ip, u16::from_le_bytes(array(rest)?)) })
}

fn text(rest: &mut &[u8]) -> Option<String> {
    let len = usize::from(u16::from_le_bytes(array(rest)?));
    let (text, others) = rest.split_at_checked(len)?;
    *rest = others;
    String::from_utf8(text.to_vec()).ok()
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    array(rest).map(u64::from_le_bytes)
}

fn byte(rest: &mut &[u8]) -> Option<u8> {
    array::<1>(rest).map(|[byte]| byte)
}

fn array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, others) = rest.split_first_chunk()?;
    *rest = others;
    Some(*first)
}

pub(crate) fn write(message: &Gossip, cluster: &str) -> Option<Vec<u8>> {
    let mut bytes = PREAMBLE.to_vec();
    match message {
        Gossip::Syn(digest) => {
            bytes.push(SYN);
            put_digest(&mut bytes, digest)?;
            put_text(&mut bytes, cluster)?;
        }
        Gossip::SynAck(digest, delta) => {
            bytes.push(SYN_ACK);
            put_digest(&mut bytes, digest)?;
            put_delta(&mut bytes, delta)?;
        }
        Gossip::Ack(delta) => {
            bytes.push(ACK);
            put_delta(&mut bytes, delta)?;
        }
    }
    Some(bytes)
}

fn put_digest(bytes: &mut Vec<u8>, digest: &[DigestEntry]) -> Option<()> {
    bytes.extend(u16::try_from(digest.len()).ok()?.to_le_bytes());
    for entry in digest {
        put_member(bytes, &entry.member)?;
        for number in [entry.heartbeat, entry.collected, entry.version] {
            bytes.extend(number.to_le_bytes());
        }
    }
    Some(())
}

fn put_delta(bytes: &mut Vec<u8>, delta: &[DeltaEntry]) -> Option<()> {
    let mut ops = Vec::new();
    for entry in delta {
        ops.push(MEMBER);
        put_member(&mut ops, &entry.member)?;
        ops.extend(entry.collected.to_le_bytes());
        ops.extend(entry.after.to_le_bytes());
        for change in &entry.changes {
            ops.push(CHANGE);
            put_text(&mut ops, &change.key)?;
            put_text(&mut ops, &change.value)?;
            ops.extend(change.version.to_le_bytes());
            ops.push(match change.status {
                Status::Set => 0,
                Status::Removed => 1,
                Status::Expiring => 2,
            });
        }
        if let Some(version) = entry.version {
            ops.push(VERSION);
            ops.extend(version.to_le_bytes());
        }
    }
    for block in ops.chunks(BLOCK_MAX_BYTES) {
        bytes.push(PLAIN);
        bytes.extend(u16::try_from(block.len()).ok()?.to_le_bytes());
        bytes.extend(block);
    }
    bytes.push(END);
    Some(())
}

fn put_member(bytes: &mut Vec<u8>, member: &MemberId) -> Option<()> {
    put_text(bytes, member.name.as_str())?;
    bytes.extend(member.generation.to_le_bytes());
    match member.address.ip() {
        IpAddr::V4(ip) => {
            bytes.push(4);
            bytes.extend(ip.octets());
        }
        IpAddr::V6(ip) => {
            bytes.push(6);
            bytes.extend(ip.octets());
        }
    }
    bytes.extend(member.address.port().to_le_bytes());
    Some(())
}

fn put_text(bytes: &mut Vec<u8>, text: &str) -> Option<()> {
    bytes.extend(u16::try_from(text.len()).ok()?.to_le_bytes());
    bytes.extend(text.as_bytes());
    Some(())
}
