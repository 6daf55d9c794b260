//! Names and contents of the model as those of a namespace.

#![allow(clippy::expect_used, reason = "a workspace that cannot be planted ends the test")]

use std::sync::Arc;

use crate::linearizability::files::{File, HOLE, Slot, State, Unit, decode, encode};
use artifacts_core::locks::{FileLock, LockSpace, Mode};
use artifacts_core::namespace::{self, Attr, Context, Ino, MemoryView, Mutation, Name, NewNode, Op, Piece, Source, apply, format};
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

/// The lock of a group, as flock(2) takes it.
pub(crate) fn lock(group: u8, owner: u16, shared: bool) -> FileLock {
    let mode = if shared { Mode::Shared } else { Mode::Exclusive };
    FileLock { ino: dir_ino(group, 0), space: LockSpace::Flock, mode, owner: u64::from(owner), pid: u32::from(owner) }
}

/// The group whose lock this is.
pub(crate) fn group_of_lock(ino: Ino) -> u8 {
    ((ino.0 - Ino::FIRST_LEASED.0) / u64::from(DIRS)) as u8
}

/// Where a name stands.
pub(crate) fn place(group: u8, slot: Slot) -> (Ino, Name) {
    (dir_ino(group, slot.dir()), name_of(&slot.name().to_string()))
}

fn name_of(text: &str) -> Name {
    Name::new(Bytes::copy_from_slice(text.as_bytes())).expect("a plain name")
}

/// What a group holds when nothing is open.
pub(crate) fn state_of(view: &MemoryView, group: u8) -> Option<State> {
    let mut state = State::default();
    for dir in 0..DIRS {
        for entry in namespace::read_dir(view, dir_ino(group, dir), None, 100).ok()? {
            let name = std::str::from_utf8(entry.name.as_bytes()).ok()?.parse().ok()?;
            let ino = entry.ino;
            let (attr, pieces) = namespace::pieces(view, ino, 0, u64::MAX >> 1, usize::MAX).ok()?;
            let units = units_of(&attr, &pieces, 0, u32::MAX >> 1);
            state.names.insert(Slot::new(dir, name), ino.0);
            state.files.insert(ino.0, File { units: Arc::new(units), ..File::default() });
        }
    }
    Some(state)
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
