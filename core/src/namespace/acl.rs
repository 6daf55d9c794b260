//! POSIX access control lists (acl(5), POSIX 1003.1e draft 17), as functions of bytes and modes.
//!
//! A list travels and is stored in the kernel's own format, version 2 of `posix_acl_xattr.h`: the version, then 8 bytes an
//! entry. An [`Acl`] is one that the kernel would take (its `posix_acl_valid`), so nothing that is stored can make it
//! refuse a file. An access list that says no more than a mode does is a mode ([`Acl::is_mode`]) and is not stored; one
//! that is stored and the mode of its inode always agree, whichever of the two is set.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::Errno;

/// The name under which an inode's own list is stored.
pub const ACL_ACCESS: Bytes = Bytes::from_static(b"system.posix_acl_access");
/// The name under which the list that a directory hands down is stored.
pub const ACL_DEFAULT: Bytes = Bytes::from_static(b"system.posix_acl_default");
/// The longest list, in bytes: the kernel reads no longer one from a FUSE file system.
pub const ACL_MAX_BYTES: usize = 4096;

const VERSION: u32 = 2;
const HEADER_BYTES: usize = 4;
const ENTRY_BYTES: usize = 8;
/// The id of entries that name nobody.
const NOBODY: u32 = u32::MAX;

const USER_OBJ: u16 = 0x01;
const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;

/// Whether a name is one of those under which lists are stored.
pub(super) fn is_acl_name(name: &[u8]) -> bool {
    name == ACL_ACCESS || name == ACL_DEFAULT
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    tag: u16,
    perm: u16,
    id: u32,
}

/// A valid list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Acl {
    entries: Vec<Entry>,
}

impl Acl {
    /// Reads the kernel's format; a list without entries is `None`, and means that there is to be no list.
    ///
    /// # Errors
    /// EOPNOTSUPP for another version, E2BIG beyond [`ACL_MAX_BYTES`], EINVAL for what is no list or no valid one.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>, Errno> {
        if bytes.len() > ACL_MAX_BYTES {
            return Err(Errno::E2BIG);
        }
        let (version, entries) = bytes.split_at_checked(HEADER_BYTES).ok_or(Errno::EINVAL)?;
        if version != VERSION.to_le_bytes() {
            return Err(Errno::EOPNOTSUPP);
        }
        let (entries, rest) = entries.as_chunks::<ENTRY_BYTES>();
        if !rest.is_empty() {
            return Err(Errno::EINVAL);
        }
        let entries: Vec<_> = entries.iter().map(|bytes| Entry::parse(*bytes)).collect();
        if entries.is_empty() {
            return Ok(None);
        }
        let acl = Self { entries };
        if acl.is_valid() { Ok(Some(acl)) } else { Err(Errno::EINVAL) }
    }

    /// In the kernel's format.
    pub(super) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(HEADER_BYTES + ENTRY_BYTES * self.entries.len());
        bytes.put_u32_le(VERSION);
        for entry in &self.entries {
            bytes.put_u16_le(entry.tag);
            bytes.put_u16_le(entry.perm);
            bytes.put_u32_le(entry.id);
        }
        bytes.freeze()
    }

    /// Entries in their order, each tag as often as it may be, a mask where somebody is named.
    fn is_valid(&self) -> bool {
        let mut expected = USER_OBJ;
        let mut names_somebody = false;
        for entry in &self.entries {
            if entry.perm > 0o7 {
                return false;
            }
            expected = match (entry.tag, expected) {
                (USER_OBJ, USER_OBJ) => USER,
                (USER, USER) | (GROUP, GROUP) if entry.id != NOBODY => {
                    names_somebody = true;
                    expected
                }
                (GROUP_OBJ, USER) => GROUP,
                (MASK, GROUP) => OTHER,
                (OTHER, OTHER) => 0,
                (OTHER, GROUP) if !names_somebody => 0,
                _ => return false,
            };
        }
        expected == 0
    }

    /// Whether a mode says all that this list does.
    pub(super) fn is_mode(&self) -> bool {
        self.entries.iter().all(|entry| matches!(entry.tag, USER_OBJ | GROUP_OBJ | OTHER))
    }

    /// The permission bits that stat(2) shows with this list: the group's are those of the mask if there is one.
    pub(super) fn mode(&self) -> u16 {
        let of = |tag| self.entries.iter().find(|entry| entry.tag == tag).map(|entry| entry.perm);
        let group = of(MASK).or(of(GROUP_OBJ));
        of(USER_OBJ).unwrap_or(0) << 6 | group.unwrap_or(0) << 3 | of(OTHER).unwrap_or(0)
    }

    /// What chmod(2) does to a list: the group's bits go to the mask if there is one.
    pub(super) fn set_mode(&mut self, mode: u16) {
        self.change_mode(|_, bits| bits, mode);
    }

    /// What creation does to a list that is handed down: it grants no more than the mode asks for. Answers the
    /// permission bits of the new inode.
    pub(super) fn restrict(&mut self, mode: u16) -> u16 {
        self.change_mode(|perm, bits| perm & bits, mode);
        self.mode()
    }

    fn change_mode(&mut self, change: impl Fn(u16, u16) -> u16, mode: u16) {
        let group = if self.entries.iter().any(|entry| entry.tag == MASK) { MASK } else { GROUP_OBJ };
        for entry in &mut self.entries {
            let bits = match entry.tag {
                USER_OBJ => mode >> 6,
                OTHER => mode,
                tag if tag == group => mode >> 3,
                _ => continue,
            };
            entry.perm = change(entry.perm, bits & 0o7);
        }
    }
}

impl Entry {
    fn parse(bytes: [u8; ENTRY_BYTES]) -> Self {
        let [tag, tag_high, perm, perm_high, id @ ..] = bytes;
        let tag = u16::from_le_bytes([tag, tag_high]);
        // Ids that mean nothing are read by nobody, and stored as the kernel writes them.
        let id = if matches!(tag, USER | GROUP) { u32::from_le_bytes(id) } else { NOBODY };
        Self { tag, perm: u16::from_le_bytes([perm, perm_high]), id }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn bytes(entries: &[(u16, u16, u32)]) -> Vec<u8> {
        let mut bytes = VERSION.to_le_bytes().to_vec();
        for (tag, perm, id) in entries {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(perm.to_le_bytes());
            bytes.extend(id.to_le_bytes());
        }
        bytes
    }

    fn acl(entries: &[(u16, u16, u32)]) -> Acl {
        Acl::parse(&bytes(entries)).unwrap().unwrap()
    }

    const TRIVIAL: [(u16, u16, u32); 3] = [(USER_OBJ, 6, 0), (GROUP_OBJ, 4, 0), (OTHER, 0, 0)];
    const NAMED: [(u16, u16, u32); 5] = [(USER_OBJ, 7, 0), (USER, 5, 1000), (GROUP_OBJ, 4, 0), (MASK, 5, 0), (OTHER, 1, 0)];

    #[test]
    fn only_what_the_kernel_takes_is_a_list() {
        for (what, entries, is_valid) in [
            ("a mode", &TRIVIAL[..], true),
            ("a user", &NAMED[..], true),
            ("a group", &[(USER_OBJ, 7, 0), (GROUP_OBJ, 4, 0), (GROUP, 7, 5), (MASK, 5, 0), (OTHER, 1, 0)][..], true),
            ("a mask alone", &[(USER_OBJ, 7, 0), (GROUP_OBJ, 4, 0), (MASK, 5, 0), (OTHER, 1, 0)][..], true),
            ("no mask for a user", &[(USER_OBJ, 7, 0), (USER, 5, 1000), (GROUP_OBJ, 4, 0), (OTHER, 1, 0)][..], false),
            ("nobody named", &[(USER_OBJ, 7, 0), (USER, 5, NOBODY), (GROUP_OBJ, 4, 0), (MASK, 5, 0), (OTHER, 1, 0)][..], false),
            ("no owner", &TRIVIAL[1..], false),
            ("no others", &TRIVIAL[..2], false),
            ("twice the owner", &[TRIVIAL[0], TRIVIAL[0], TRIVIAL[1], TRIVIAL[2]][..], false),
            ("another order", &[TRIVIAL[1], TRIVIAL[0], TRIVIAL[2]][..], false),
            ("something behind the end", &[TRIVIAL[0], TRIVIAL[1], TRIVIAL[2], TRIVIAL[2]][..], false),
            ("more than rwx", &[(USER_OBJ, 8, 0), TRIVIAL[1], TRIVIAL[2]][..], false),
            ("an unknown tag", &[TRIVIAL[0], TRIVIAL[1], TRIVIAL[2], (0x40, 0, 0)][..], false),
        ] {
            let parsed = Acl::parse(&bytes(entries));
            assert_eq!(parsed.as_ref().err().copied(), (!is_valid).then_some(Errno::EINVAL), "{what}: {parsed:?}");
        }
        assert_eq!(Acl::parse(&bytes(&[])), Ok(None));
        assert_eq!(Acl::parse(&[]), Err(Errno::EINVAL));
        assert_eq!(Acl::parse(&[2, 0, 0, 0, 1]), Err(Errno::EINVAL));
        assert_eq!(Acl::parse(&[1, 0, 0, 0]), Err(Errno::EOPNOTSUPP));
        assert_eq!(Acl::parse(&vec![0; ACL_MAX_BYTES + 1]), Err(Errno::E2BIG));
    }

    #[test]
    fn a_list_and_a_mode_say_the_same() {
        let mut trivial = acl(&TRIVIAL);
        assert_eq!((trivial.is_mode(), trivial.mode()), (true, 0o640));
        trivial.set_mode(0o751);
        assert_eq!((trivial.mode(), &trivial), (0o751, &acl(&[(USER_OBJ, 7, 0), (GROUP_OBJ, 5, 0), (OTHER, 1, 0)])));
        let mut named = acl(&NAMED);
        assert_eq!((named.is_mode(), named.mode()), (false, 0o751));
        named.set_mode(0o4620);
        let expected = acl(&[(USER_OBJ, 6, 0), (USER, 5, 1000), (GROUP_OBJ, 4, 0), (MASK, 2, 0), (OTHER, 0, 0)]);
        assert_eq!((named.mode(), named), (0o620, expected), "the group keeps its own, the mask takes the mode's");
    }

    #[test]
    fn what_is_handed_down_grants_no_more_than_was_asked_for() {
        let mut named = acl(&NAMED);
        assert_eq!(named.restrict(0o666), 0o640);
        assert_eq!(named, acl(&[(USER_OBJ, 6, 0), (USER, 5, 1000), (GROUP_OBJ, 4, 0), (MASK, 4, 0), (OTHER, 0, 0)]));
        let mut trivial = acl(&TRIVIAL);
        assert_eq!(trivial.restrict(0o777), 0o640);
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_the_same(bytes: Vec<u8>) {
            if let Ok(Some(acl)) = Acl::parse(&bytes) {
                prop_assert_eq!(Acl::parse(&acl.encode()), Ok(Some(acl)));
            }
        }

        #[test]
        fn every_mode_has_a_list(mode in 0..=0o777u16) {
            let mut acl = acl(&NAMED);
            acl.set_mode(mode);
            prop_assert_eq!(acl.mode(), mode);
            prop_assert_eq!(Acl::parse(&acl.encode()), Ok(Some(acl)));
        }
    }
}
