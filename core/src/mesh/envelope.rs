//! What is sealed, and how.
//!
//! ```text
//! version 1 │ key id 4 │ generation 8 │ salt 16 │ receiver's salt 16 │ counter 8 │ name length 1 │ name │ sealed…, tag 16
//! ```
//! Numbers are little endian. All before the sealed part is authenticated with it (ChaCha20-Poly1305); the key is the
//! sender's own and of one use, the nonce its counter. A sender that does not know the receiver's salt writes zeros.

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};

use super::keys::{KeyId, MeshKey, MeshKeys};
use super::{Incarnation, limits};
use crate::name::NodeName;

const VERSION: u8 = 1;
const FIXED_BYTES: usize = 1 + 4 + 8 + 16 + 16 + 8 + 1;
const TAG_BYTES: usize = 16;
/// In place of a salt that is not known.
pub(super) const NOBODY: [u8; 16] = [0; 16];

/// What is sealed: each has keys of its own, so none can pass for another.
#[derive(Debug, Clone, Copy)]
pub(super) enum Use<'a> {
    /// A datagram of gossip.
    Datagram,
    /// The head of a call to this path.
    Call(&'a str),
}

impl<'a> Use<'a> {
    fn context(self) -> &'static str {
        match self {
            Self::Datagram => "artifacts mesh datagram v1",
            Self::Call(_) => "artifacts mesh call v1",
        }
    }

    /// What is authenticated besides the header.
    fn place(self) -> &'a str {
        match self {
            Self::Datagram => "",
            Self::Call(path) => path,
        }
    }

    fn max_bytes(self) -> usize {
        match self {
            Self::Datagram => limits::DATAGRAM_MAX_BYTES,
            Self::Call(_) => limits::CALL_HEAD_MAX_BYTES,
        }
    }

    /// How long the content may be.
    pub(super) fn content_max_bytes(self, sender: &NodeName) -> usize {
        self.max_bytes() - FIXED_BYTES - sender.as_str().len() - TAG_BYTES
    }
}

/// Why something sealed is refused before anything of it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Over [`limits::DATAGRAM_MAX_BYTES`], or [`limits::CALL_HEAD_MAX_BYTES`].
    #[error("it is too large")]
    TooLarge,
    /// Not one of ours.
    #[error("it is malformed")]
    Malformed,
    /// Of a version we do not speak.
    #[error("it is of another version")]
    Version,
    /// Sealed with a key we do not have.
    #[error("it is sealed with an unknown key")]
    UnknownKey,
    /// The seal is broken: forged, changed, or of another mesh.
    #[error("its seal is broken")]
    Forged,
}

/// What stands in front of the sealed part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) key: KeyId,
    pub(super) sender: NodeName,
    pub(super) incarnation: Incarnation,
    /// The salt of the receiver's incarnation.
    pub(super) receiver: [u8; 16],
    pub(super) counter: u64,
}

impl Header {
    fn bytes(&self) -> Vec<u8> {
        let name = self.sender.as_str().as_bytes();
        let mut bytes = Vec::with_capacity(FIXED_BYTES + name.len());
        bytes.push(VERSION);
        bytes.extend(self.key.0);
        bytes.extend(self.incarnation.generation.to_le_bytes());
        bytes.extend(self.incarnation.salt);
        bytes.extend(self.receiver);
        bytes.extend(self.counter.to_le_bytes());
        // A name has at most 63 bytes.
        bytes.push(name.len() as u8);
        bytes.extend(name);
        bytes
    }

    fn parse(datagram: &[u8]) -> Result<(Self, usize), EnvelopeError> {
        let mut rest = datagram;
        if take(&mut rest)? != [VERSION] {
            return Err(EnvelopeError::Version);
        }
        let key = KeyId(take(&mut rest)?);
        let generation = u64::from_le_bytes(take(&mut rest)?);
        let salt = take(&mut rest)?;
        let receiver = take(&mut rest)?;
        let counter = u64::from_le_bytes(take(&mut rest)?);
        let [name_len] = take(&mut rest)?;
        let name = rest.get(..usize::from(name_len)).ok_or(EnvelopeError::Malformed)?;
        let sender = std::str::from_utf8(name).ok().and_then(|name| name.parse().ok()).ok_or(EnvelopeError::Malformed)?;
        if generation >= limits::NUMBER_MAX {
            return Err(EnvelopeError::Malformed);
        }
        let header = Self { key, sender, incarnation: Incarnation { generation, salt }, receiver, counter };
        Ok((header, FIXED_BYTES + name.len()))
    }
}

/// Which key a datagram names, without any look at whether it is sealed with it: for whoever hands it on.
pub fn key_of_datagram(datagram: &[u8]) -> Option<KeyId> {
    let mut rest = datagram;
    (take(&mut rest) == Ok([VERSION])).then_some(())?;
    take(&mut rest).ok().map(KeyId)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], EnvelopeError> {
    let (first, others) = rest.split_first_chunk().ok_or(EnvelopeError::Malformed)?;
    *rest = others;
    Ok(*first)
}

/// Seals with the key that `header` names, which must be this one.
pub(super) fn seal(key: &MeshKey, mesh: &str, purpose: Use<'_>, header: &Header, content: &[u8]) -> Option<Vec<u8>> {
    if content.len() > purpose.content_max_bytes(&header.sender) {
        return None;
    }
    let mut bytes = header.bytes();
    let aad = [bytes.as_slice(), purpose.place().as_bytes()].concat();
    let key = key.derive(purpose.context(), mesh, &header.sender, &header.incarnation);
    bytes.extend(cipher(key).encrypt(&nonce(header.counter), Payload { msg: content, aad: &aad }).ok()?);
    Some(bytes)
}

/// Who sealed it, and what is in it.
pub(super) fn open(keys: &MeshKeys, mesh: &str, purpose: Use<'_>, bytes: &[u8]) -> Result<(Header, Vec<u8>), EnvelopeError> {
    if bytes.len() > purpose.max_bytes() {
        return Err(EnvelopeError::TooLarge);
    }
    let (header, header_len) = Header::parse(bytes)?;
    let key = keys.get(header.key).ok_or(EnvelopeError::UnknownKey)?;
    let (head, msg) = bytes.split_at(header_len);
    let aad = [head, purpose.place().as_bytes()].concat();
    let key = key.derive(purpose.context(), mesh, &header.sender, &header.incarnation);
    let content = cipher(key).decrypt(&nonce(header.counter), Payload { msg, aad: &aad }).map_err(|_| EnvelopeError::Forged)?;
    Ok((header, content))
}

pub(super) fn cipher(key: [u8; 32]) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new(&key.into())
}

pub(super) fn nonce(counter: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&counter.to_le_bytes());
    nonce.into()
}
