use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::Incarnation;
use crate::name::NodeName;

/// Keys that may count at once: the one in use, the one before and the one to come, and one to spare.
const KEYS_MAX: usize = 4;
const SHORTEST_LINE: usize = 43;

/// The public name of a key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyId(pub [u8; 4]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a list of keys is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MeshKeyError {
    /// No key in it.
    #[error("there is no key; make one with `head -c 32 /dev/urandom | base64`")]
    Empty,
    /// A line that is no key.
    #[error("line {0} is not 32 bytes in base64")]
    Malformed(usize),
    /// More than can be needed.
    #[error("at most {KEYS_MAX} keys")]
    TooMany,
    /// Twice the same.
    #[error("line {0} has a key that is there already")]
    Twice(usize),
}

/// A secret that all members of a mesh share.
#[derive(Clone, PartialEq, Eq)]
pub struct MeshKey {
    secret: [u8; 32],
    id: KeyId,
}

impl MeshKey {
    /// Takes 32 random bytes for a key.
    pub fn new(secret: [u8; 32]) -> Self {
        let [a, b, c, d, ..] = blake3::derive_key("artifacts mesh key id v1", &secret);
        Self { secret, id: KeyId([a, b, c, d]) }
    }

    /// Its public name.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The key of one use, by one incarnation of one sender, in one mesh. Every part has its length or a fixed size, so
    /// no two inputs run together.
    pub(super) fn derive(&self, context: &'static str, mesh: &str, sender: &NodeName, incarnation: &Incarnation) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key(context);
        hasher.update(&self.secret);
        for text in [mesh, sender.as_str()] {
            hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
        }
        hasher.update(&incarnation.generation.to_le_bytes()).update(&incarnation.salt);
        *hasher.finalize().as_bytes()
    }
}

impl fmt::Debug for MeshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MeshKey({})", self.id)
    }
}

/// The keys that a member accepts; it seals with the first.
///
/// To replace a key without a split: add the new one as the second on all members, then put it first on all, then
/// remove the old one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeshKeys {
    first: MeshKey,
    others: Vec<MeshKey>,
}

impl MeshKeys {
    /// A mesh with one key.
    pub fn one(key: MeshKey) -> Self {
        Self { first: key, others: Vec::new() }
    }

    /// Reads one key a line, 32 bytes in base64 each, the one to seal with first. Empty lines and those that begin with
    /// `#` are skipped; a comma ends a line too, for keys in an environment variable.
    ///
    /// # Errors
    /// [`MeshKeyError`], without any part of a key in it.
    pub fn parse(text: &str) -> Result<Self, MeshKeyError> {
        let mut keys: Vec<MeshKey> = Vec::new();
        for (index, line) in text.split(['\n', ',']).enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let malformed = MeshKeyError::Malformed(index + 1);
            if line.len() < SHORTEST_LINE {
                return Err(malformed);
            }
            let bytes = BASE64.decode(line).map_err(|_| malformed.clone())?;
            let key = MeshKey::new(bytes.try_into().map_err(|_| malformed)?);
            if keys.iter().any(|other| other.id == key.id) {
                return Err(MeshKeyError::Twice(index + 1));
            }
            keys.push(key);
        }
        if keys.len() > KEYS_MAX {
            return Err(MeshKeyError::TooMany);
        }
        let mut keys = keys.into_iter();
        let first = keys.next().ok_or(MeshKeyError::Empty)?;
        Ok(Self { first, others: keys.collect() })
    }

    /// The key to seal with.
    pub fn sealing(&self) -> &MeshKey {
        &self.first
    }

    /// The accepted key of this name.
    pub fn get(&self, id: KeyId) -> Option<&MeshKey> {
        std::iter::once(&self.first).chain(&self.others).find(|key| key.id == id)
    }

    /// The names of all, the one to seal with first.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> + '_ {
        std::iter::once(self.first.id).chain(self.others.iter().map(MeshKey::id))
    }
}
