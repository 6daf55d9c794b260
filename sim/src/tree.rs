//! Names and contents of the model as those of a namespace.

#![allow(clippy::expect_used, reason = "a workspace that cannot be planted ends the test")]

use artifacts_core::namespace::{Attr, Context, Ino, MemoryView, Mutation, Name, NewNode, Op, Piece, Source, apply, format};
use crate::linearizability::files::{HOLE, Slot, Unit, decode, encode};
use bytes::Bytes;

pub(crate) const GROUPS: u8 = 2;
pub(crate) const DIRS: u8 = 2;
pub(crate) const NAMES: u8 = 2;
pub(crate) const UNIT_BYTES: u64 = 4;
/// The first number that no directory has.
pub(crate) const FIRST_FILE: u64 = 1_000;

/// A workspace with all directories in it.
pub(crate) fn planted() -> MemoryView {
    let mut view = MemoryView::default();
    view.absorb(&format(0, 0, 0o755, 0));
    for (group, dir) in (0..GROUPS).flat_map(|group| (0..DIRS).map(move |dir| (group, dir))) {
        let (ino, name) = (dir_ino(group, dir), name_of(&format!("{group}-{dir}")));
        let mutation = Mutation::Create { parent: Ino::ROOT, name, ino, node: NewNode::Directory, mode: 0o755, umask: 0, uid: 0, gid: 0 };
        let applied = apply(&view, &Context::default(), &Op { mutation, time: 1 }).expect("an empty workspace takes directories");
        view.absorb(&applied.changes);
    }
    view
}

pub(crate) fn dir_ino(group: u8, dir: u8) -> Ino {
    Ino(Ino::FIRST_LEASED.0 + u64::from(group * DIRS + dir))
}

/// Whether this is a directory.
pub(crate) fn is_dir(ino: Ino) -> bool {
    ino.0 < FIRST_FILE
}

/// Where a name stands.
pub(crate) fn place(group: u8, slot: Slot) -> (Ino, Name) {
    (dir_ino(group, slot.dir()), name_of(&slot.name().to_string()))
}

fn name_of(text: &str) -> Name {
    Name::new(Bytes::copy_from_slice(text.as_bytes())).expect("a plain name")
}

pub(crate) fn bytes_of(units: &[Unit]) -> Bytes {
    encode(units, UNIT_BYTES as usize).into()
}

/// The units of a file from `at` on, at most `len`.
pub(crate) fn units_of(attr: &Attr, pieces: &[Piece], at: u32, len: u32) -> Vec<Unit> {
    let size = (attr.size / UNIT_BYTES) as u32;
    let mut content = vec![HOLE; size as usize];
    for piece in pieces {
        let Source::Inline { data, .. } = &piece.extent.source else { continue };
        let first = (piece.offset / UNIT_BYTES) as usize;
        for (index, unit) in decode(data, UNIT_BYTES as usize).into_iter().enumerate() {
            if let Some(place) = content.get_mut(first + index) {
                *place = unit;
            }
        }
    }
    let end = size.min(at + len);
    content.get(at as usize..end as usize).unwrap_or_default().to_vec()
}
