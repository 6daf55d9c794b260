//! Typed identifiers: 128 random bits behind a prefix that names the kind, such as `ws_0k3v…`.
//!
//! An id is opaque: it carries no name, no time and no order. Two kinds never mix, because the kind is part of
//! the type and of the text. The random bits come from the caller (see the crate's rule on randomness).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Crockford's base 32 in lower case: no `i`, `l`, `o`, `u`, so an id survives being read aloud.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 26 digits of five bits hold 128 bits; the first digit uses three of its bits.
const DIGITS: usize = 26;

/// What an [`Id`] identifies.
pub trait Kind {
    /// The text before the underscore, as in `ws`.
    const PREFIX: &'static str;
}

/// An identifier of one kind of object.
pub struct Id<K>(u128, PhantomData<fn() -> K>);

impl<K: Kind> Id<K> {
    /// Makes an id from 128 bits that the caller drew at random.
    pub const fn from_bits(bits: u128) -> Self {
        Self(bits, PhantomData)
    }

    /// The 128 bits.
    pub const fn bits(self) -> u128 {
        self.0
    }
}

/// The text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid id: expected `{prefix}_` and 26 characters of [0-9a-z]")]
pub struct ParseIdError {
    prefix: &'static str,
}

impl<K: Kind> FromStr for Id<K> {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = ParseIdError { prefix: K::PREFIX };
        let digits = text.strip_prefix(K::PREFIX).and_then(|rest| rest.strip_prefix('_')).ok_or(error.clone())?;
        if digits.len() != DIGITS {
            return Err(error);
        }
        let mut bits: u128 = 0;
        for (index, digit) in digits.bytes().enumerate() {
            let value = ALPHABET.iter().position(|&known| known == digit).ok_or(error.clone())? as u128;
            if index == 0 && value > 7 {
                return Err(error);
            }
            bits = (bits << 5) | value;
        }
        Ok(Self::from_bits(bits))
    }
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0u8; DIGITS];
        for (index, digit) in digits.iter_mut().enumerate() {
            let shift = 5 * (DIGITS - 1 - index);
            *digit = ALPHABET[(self.0 >> shift) as usize & 31];
        }
        f.write_str(K::PREFIX)?;
        f.write_str("_")?;
        f.write_str(&String::from_utf8_lossy(&digits))
    }
}

impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text in self-describing formats (JSON), 16 bytes in binary ones.
impl<K: Kind> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.to_be_bytes().serialize(serializer) }
    }
}

impl<'de, K: Kind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
            text.parse().map_err(D::Error::custom)
        } else {
            Ok(Self::from_bits(u128::from_be_bytes(<[u8; 16]>::deserialize(deserializer)?)))
        }
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// Declares the kinds: a marker, its prefix and the alias that everybody uses.
macro_rules! kinds {
    ($($marker:ident, $alias:ident, $prefix:literal, $what:literal;)*) => {$(
        #[doc = concat!("Marks ids of ", $what, ".")]
        #[derive(Debug)]
        pub enum $marker {}
        impl Kind for $marker {
            const PREFIX: &'static str = $prefix;
        }
        #[doc = concat!("Identifies ", $what, ".")]
        pub type $alias = Id<$marker>;
    )*};
}

kinds! {
    Account, AccountId, "acc", "an account (root user)";
    Key, KeyId, "key", "an API key";
    Tenant, TenantId, "ten", "a tenant";
    Workspace, WorkspaceId, "ws", "a workspace";
    Grant, GrantId, "grt", "an access grant";
    Ticket, TicketId, "tkt", "a mount ticket";
    Session, SessionId, "ses", "a mount session";
    Segment, SegmentId, "seg", "a data segment";
    Revocation, RevocationId, "rev", "a revocation record";
    Snapshot, SnapshotId, "snp", "a snapshot of a workspace";
    Lock, LockId, "lck", "one holding of a named lock";
    Audit, AuditId, "aud", "an entry of an audit trail";
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_round_trips(bits: u128) {
            let id = WorkspaceId::from_bits(bits);
            prop_assert_eq!(id.to_string().parse::<WorkspaceId>().unwrap(), id);
            let json = serde_json::to_string(&id).unwrap();
            prop_assert_eq!(serde_json::from_str::<WorkspaceId>(&json).unwrap(), id);
            let binary = postcard::to_stdvec(&id).unwrap();
            prop_assert_eq!(binary.len(), 16);
            prop_assert_eq!(postcard::from_bytes::<WorkspaceId>(&binary).unwrap(), id);
        }
    }

    #[test]
    fn other_kinds_and_malformed_text_are_refused() {
        let good = GrantId::from_bits(42).to_string();
        assert!(good.parse::<WorkspaceId>().is_err());
        for bad in ["", "grt", "grt_", "grt_0", &format!("{good}0"), &good.to_uppercase(), "grt_zzzzzzzzzzzzzzzzzzzzzzzzzz"] {
            assert!(bad.parse::<GrantId>().is_err(), "{bad}");
        }
    }
}
