use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Errno, Extent, FileKind, Ino, Inode, NAME_MAX_BYTES, SegmentRecord, Usage};
use crate::SegmentId;

/// A file name: 1 to 255 bytes without `/` and NUL, and neither `.` nor `..`. Need not be UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Bytes", into = "Bytes")]
pub struct Name(Bytes);

impl Name {
    /// Checks the rule.
    ///
    /// # Errors
    /// ENAMETOOLONG past 255 bytes, EINVAL for any other breach.
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self, Errno> {
        let bytes = bytes.into();
        if bytes.len() > NAME_MAX_BYTES {
            return Err(Errno::ENAMETOOLONG);
        }
        if bytes.is_empty() || &*bytes == b"." || &*bytes == b".." || bytes.iter().any(|&byte| byte == b'/' || byte == 0) {
            return Err(Errno::EINVAL);
        }
        Ok(Self(bytes))
    }

    /// The smallest name there is, where a listing begins.
    pub fn first() -> Self {
        Self(Bytes::from_static(&[1]))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, to be shared.
    pub(crate) fn as_shared(&self) -> &Bytes {
        &self.0
    }
}

impl TryFrom<Bytes> for Name {
    type Error = Errno;
    fn try_from(bytes: Bytes) -> Result<Self, Errno> {
        Self::new(bytes)
    }
}

impl From<Name> for Bytes {
    fn from(name: Name) -> Bytes {
        name.0
    }
}

/// Where a record stands. The order of the enum and of its fields is the order of the encoded keys, so a range of
/// one is a range of the other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// An inode.
    Inode(Ino),
    /// An entry of a directory.
    Dentry(Ino, Name),
    /// Data of a file from this offset on.
    Extent(Ino, u64),
    /// An extended attribute, by inode and full name.
    Xattr(Ino, Bytes),
    /// How many links of the inode (first) stand in the directory (second); kept only for several links.
    Parent(Ino, Ino),
    /// An inode without links that waits for its last close.
    Orphan(Ino),
    /// A data segment.
    Segment(SegmentId),
    /// What the workspace holds.
    Usage,
}

/// What stands at a [`Key`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// At [`Key::Inode`].
    Inode(Inode),
    /// At [`Key::Dentry`]: the inode and, for readdir(3), its kind.
    Dentry(Ino, FileKind),
    /// At [`Key::Extent`].
    Extent(Extent),
    /// At [`Key::Xattr`].
    Xattr(Bytes),
    /// At [`Key::Parent`].
    Parent(u32),
    /// At [`Key::Orphan`].
    Orphan,
    /// At [`Key::Segment`].
    Segment(SegmentRecord),
    /// At [`Key::Usage`].
    Usage(Usage),
}

const INODE: u8 = b'i';
pub(crate) const DENTRY: u8 = b'n';
pub(crate) const EXTENT: u8 = b'o';
pub(crate) const XATTR: u8 = b'p';
pub(crate) const PARENT: u8 = b'q';
const ORPHAN: u8 = b'r';
const SEGMENT: u8 = b's';
const USAGE: u8 = b'u';

impl Key {
    /// The key as ordered bytes.
    pub fn encode(&self) -> Vec<u8> {
        let table = |tag: u8, first: &[u8], second: &[u8]| [&[tag], first, second].concat();
        match self {
            Key::Inode(ino) => table(INODE, &ino.0.to_be_bytes(), &[]),
            Key::Dentry(dir, name) => table(DENTRY, &dir.0.to_be_bytes(), name.as_bytes()),
            Key::Extent(ino, offset) => table(EXTENT, &ino.0.to_be_bytes(), &offset.to_be_bytes()),
            Key::Xattr(ino, name) => table(XATTR, &ino.0.to_be_bytes(), name),
            Key::Parent(ino, dir) => table(PARENT, &ino.0.to_be_bytes(), &dir.0.to_be_bytes()),
            Key::Orphan(ino) => table(ORPHAN, &ino.0.to_be_bytes(), &[]),
            Key::Segment(id) => table(SEGMENT, &id.bits().to_be_bytes(), &[]),
            Key::Usage => vec![USAGE],
        }
    }

    /// Whether what stands at an encoded key is what a program has written: bytes of a file, or of an extended attribute.
    pub fn holds_data(encoded: &[u8]) -> bool {
        matches!(encoded.first(), Some(&(EXTENT | XATTR)))
    }

    /// Reads what [`Key::encode`] wrote; `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (&tag, rest) = bytes.split_first()?;
        let number = |bytes: &[u8]| Some(u64::from_be_bytes(bytes.try_into().ok()?));
        let split = || rest.split_at_checked(8).and_then(|(ino, tail)| Some((Ino(number(ino)?), tail)));
        Some(match tag {
            INODE => Key::Inode(Ino(number(rest)?)),
            ORPHAN => Key::Orphan(Ino(number(rest)?)),
            SEGMENT => Key::Segment(SegmentId::from_bits(u128::from_be_bytes(rest.try_into().ok()?))),
            USAGE if rest.is_empty() => Key::Usage,
            DENTRY => split().and_then(|(dir, name)| Some(Key::Dentry(dir, Name::new(name.to_vec()).ok()?)))?,
            EXTENT => split().and_then(|(ino, offset)| Some(Key::Extent(ino, number(offset)?)))?,
            XATTR => split().map(|(ino, name)| Key::Xattr(ino, Bytes::copy_from_slice(name)))?,
            PARENT => split().and_then(|(ino, dir)| Some(Key::Parent(ino, Ino(number(dir)?))))?,
            _ => return None,
        })
    }

    /// A key within the tables of entries, extents, attributes or parent counts that stands no later than any whose
    /// encoding is `start` or later and begins with `prefix`; `None` for other prefixes.
    pub(crate) fn at_or_after(start: &[u8], prefix: &[u8]) -> Option<Self> {
        let (&tag, ino) = prefix.split_first()?;
        let ino = Ino(u64::from_be_bytes(ino.try_into().ok()?));
        let rest = start.strip_prefix(prefix).unwrap_or_default();
        let number = || {
            let mut bytes = [0; 8];
            let len = rest.len().min(8);
            bytes[..len].copy_from_slice(&rest[..len]);
            u64::from_be_bytes(bytes)
        };
        Some(match tag {
            DENTRY => Key::Dentry(ino, Name::new(rest.to_vec()).unwrap_or_else(|_| Name::first())),
            EXTENT => Key::Extent(ino, number()),
            XATTR => Key::Xattr(ino, Bytes::copy_from_slice(rest)),
            PARENT => Key::Parent(ino, Ino(number())),
            _ => return None,
        })
    }

    /// The inode to which the record belongs; none of the workspace's accounts.
    pub fn owner(&self) -> Option<Ino> {
        match self {
            Key::Inode(ino) | Key::Dentry(ino, _) | Key::Extent(ino, _) | Key::Xattr(ino, _) | Key::Parent(ino, _) | Key::Orphan(ino) => {
                Some(*ino)
            }
            Key::Segment(_) | Key::Usage => None,
        }
    }

    /// The inode to which all records belong whose encoded keys begin with this prefix, if it names one.
    pub fn owner_of(prefix: &[u8]) -> Option<Ino> {
        match prefix.split_first()? {
            (&(DENTRY | EXTENT | XATTR | PARENT), ino) => Some(Ino(u64::from_be_bytes(ino.try_into().ok()?))),
            _ => None,
        }
    }

    /// The bytes that all entries of directory `dir` begin with.
    pub fn dentries_of(dir: Ino) -> Vec<u8> {
        [&[DENTRY][..], &dir.0.to_be_bytes()].concat()
    }

    /// The bytes that all extents of `ino` begin with.
    pub fn extents_of(ino: Ino) -> Vec<u8> {
        [&[EXTENT][..], &ino.0.to_be_bytes()].concat()
    }

    /// The bytes that all extended attributes of `ino` begin with.
    pub fn xattrs_of(ino: Ino) -> Vec<u8> {
        [&[XATTR][..], &ino.0.to_be_bytes()].concat()
    }

    /// The bytes that all parent counts of `ino` begin with.
    pub fn parents_of(ino: Ino) -> Vec<u8> {
        [&[PARENT][..], &ino.0.to_be_bytes()].concat()
    }

    /// The bytes that all extents begin with.
    pub fn extents() -> Vec<u8> {
        vec![EXTENT]
    }

    /// The bytes that all segments begin with.
    pub fn segments() -> Vec<u8> {
        vec![SEGMENT]
    }

    /// The bytes that all orphans begin with.
    pub fn orphans() -> Vec<u8> {
        vec![ORPHAN]
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn any_key() -> impl Strategy<Value = Key> {
        let ino = any::<u64>().prop_map(Ino);
        let name = proptest::collection::vec(1u8..=255, 1..20).prop_filter_map("a name", |bytes| Name::new(bytes).ok());
        let xattr = proptest::collection::vec(any::<u8>(), 0..20);
        prop_oneof![
            ino.clone().prop_map(Key::Inode),
            (ino.clone(), name).prop_map(|(dir, name)| Key::Dentry(dir, name)),
            (ino.clone(), any::<u64>()).prop_map(|(ino, offset)| Key::Extent(ino, offset)),
            (ino.clone(), xattr).prop_map(|(ino, name)| Key::Xattr(ino, name.into())),
            (ino.clone(), ino.clone()).prop_map(|(ino, dir)| Key::Parent(ino, dir)),
            ino.prop_map(Key::Orphan),
            any::<u128>().prop_map(|bits| Key::Segment(SegmentId::from_bits(bits))),
            Just(Key::Usage),
        ]
    }

    proptest! {
        #[test]
        fn encoding_keeps_the_order_and_round_trips(a in any_key(), b in any_key()) {
            prop_assert_eq!(Key::decode(&a.encode()).unwrap(), a.clone());
            prop_assert_eq!(a.encode().cmp(&b.encode()), a.cmp(&b));
        }

        #[test]
        fn garbage_is_no_key(bytes: Vec<u8>) {
            if let Some(key) = Key::decode(&bytes) {
                prop_assert_eq!(key.encode(), bytes);
            }
        }
    }

    #[test]
    fn names_at_their_edges() {
        assert!(Name::new(vec![b'x'; 255]).is_ok());
        assert_eq!(Name::new(vec![b'x'; 256]), Err(Errno::ENAMETOOLONG));
        assert!(Name::new(&b"\xff\xfe"[..]).is_ok(), "names are bytes");
        for bad in [&b""[..], b".", b"..", b"a/b", b"a\0b"] {
            assert_eq!(Name::new(bad), Err(Errno::EINVAL));
        }
    }
}
