//! Access control lists of one shape, which is enough for every rule: the owner, one named user, the group, a mask,
//! others.

use bytes::Bytes;

/// The permissions of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ModelAcl {
    pub(super) user: u16,
    pub(super) named: u16,
    pub(super) group: u16,
    pub(super) mask: u16,
    pub(super) other: u16,
}

/// Tag and id of each entry, in order.
const ENTRIES: [(u16, u32); 5] = [(1, u32::MAX), (2, 1000), (4, u32::MAX), (0x10, u32::MAX), (0x20, u32::MAX)];

impl ModelAcl {
    pub(super) fn encode(&self) -> Bytes {
        let mut bytes = 2u32.to_le_bytes().to_vec();
        for ((tag, id), perm) in ENTRIES.iter().zip([self.user, self.named, self.group, self.mask, self.other]) {
            bytes.extend([tag.to_le_bytes(), perm.to_le_bytes()].concat());
            bytes.extend(id.to_le_bytes());
        }
        bytes.into()
    }

    /// Reads what [`ModelAcl::encode`] wrote.
    pub(super) fn decode(bytes: &Bytes) -> Self {
        let perm = |index: usize| u16::from(bytes[4 + 8 * index + 2]);
        Self { user: perm(0), named: perm(1), group: perm(2), mask: perm(3), other: perm(4) }
    }

    pub(super) fn mode(&self) -> u16 {
        self.user << 6 | self.mask << 3 | self.other
    }

    /// What creation with this mode makes of it.
    pub(super) fn restricted(&self, mode: u16) -> Self {
        Self { user: self.user & mode >> 6, mask: self.mask & mode >> 3, other: self.other & mode, ..self.clone() }
    }
}
