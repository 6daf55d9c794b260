use std::collections::{BTreeMap, BTreeSet};

use crate::linearizability::files::{Answer, Call};
use artifacts_core::leases::Lease;
use artifacts_core::mount::{Belief, Believed};
use artifacts_core::namespace::{Attr, Ino, Name};

use crate::tree::{self, UNIT_BYTES};

/// The kernel above a mount: names and lengths that it was shown to be believed, from which it answers without asking anybody.
///
/// Like the real one it takes in nothing that was found while a call of its own programs changed something.
#[derive(Debug, Default)]
pub(crate) struct Kernel {
    believed: Believed,
    /// Counts on with each change of what may be believed.
    now: u64,
    names: BTreeMap<(Ino, Name), Ino>,
    lengths: BTreeMap<Ino, u32>,
    /// Inodes that it knows.
    known: BTreeSet<Ino>,
    /// Changes of its own programs so far, and those under way.
    changes: u64,
    under_way: u64,
    /// A fault that must be found: it drops nothing when leases on inodes end.
    keeps_believing: bool,
}

/// The beginning of a call.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Moment {
    stamp: u64,
    changes: u64,
    is_change: bool,
}

impl Kernel {
    pub(crate) fn new(keeps_believing: bool) -> Self {
        Self { keeps_believing, ..Self::default() }
    }

    /// What may be believed changes.
    pub(crate) fn change(&mut self, belief: Belief) {
        self.believed.change(belief, self.now);
        self.now += 1;
    }

    /// The answer to a call, if it is believed.
    pub(crate) fn answer(&self, group: u8, call: &Call) -> Option<Answer> {
        Some(match call {
            Call::Lookup(slot) => Answer::File(self.names.get(&tree::place(group, *slot))?.0),
            Call::Length(file) => Answer::Length(*self.lengths.get(&Ino(*file))?),
            _ => return None,
        })
    }

    /// The inode that a name is believed to name.
    pub(crate) fn believed_name(&self, group: u8, call: &Call) -> Option<Ino> {
        let Call::Open(slot) = call else { return None };
        self.names.get(&tree::place(group, *slot)).copied()
    }

    /// A call goes to the mount.
    pub(crate) fn begin(&mut self, group: u8, call: &Call) -> Moment {
        let is_change = self.forget_changed(group, call);
        if is_change {
            self.changes += 1;
            self.under_way += 1;
        }
        Moment { stamp: self.now, changes: self.changes, is_change }
    }

    /// A call is over, and has found these attributes or none.
    pub(crate) fn end(&mut self, moment: Moment, group: u8, call: &Call, found: Option<&Attr>) {
        let is_alone = self.under_way == u64::from(moment.is_change) && self.changes == moment.changes;
        if moment.is_change {
            self.under_way -= 1;
            self.changes += 1;
            self.forget_changed(group, call);
        }
        let Some(attr) = found else { return };
        self.known.insert(attr.ino);
        if !is_alone {
            return;
        }
        if let Call::Lookup(slot) | Call::Create { slot, .. } = call {
            let place = tree::place(group, *slot);
            if self.believed.may_show(moment.stamp, &[place.0, attr.ino]) {
                self.names.insert(place, attr.ino);
            }
        }
        if self.believed.may_show(moment.stamp, &[attr.ino]) {
            self.lengths.insert(attr.ino, (attr.size / UNIT_BYTES) as u32);
        }
    }

    /// What a call changes by itself. Answers whether it changes anything.
    fn forget_changed(&mut self, group: u8, call: &Call) -> bool {
        let dirs = match call {
            Call::Write { file, .. } | Call::Append { file, .. } | Call::Truncate { file, .. } => {
                self.lengths.remove(&Ino(*file));
                return true;
            }
            Call::Create { slot, .. } | Call::Unlink(slot) => [slot.dir(), slot.dir()],
            Call::Rename { from, to, .. } => [from.dir(), to.dir()],
            _ => return false,
        };
        let dirs = dirs.map(|dir| tree::dir_ino(group, dir));
        self.names.retain(|(parent, _), _| !dirs.contains(parent));
        true
    }

    /// Whether it knows any of these. Directories it always does.
    pub(crate) fn knows_any(&self, leases: &[Lease]) -> bool {
        leases.iter().any(|lease| tree::is_dir(lease.ino) || self.known.contains(&lease.ino))
    }

    /// Leases on these are to end: what is believed of them goes, and all names.
    pub(crate) fn drop_inodes(&mut self, leases: &[Lease]) {
        if self.keeps_believing {
            return;
        }
        self.names.clear();
        for lease in leases {
            self.lengths.remove(&lease.ino);
        }
    }

    /// All that is believed goes.
    pub(crate) fn drop_everything(&mut self) {
        self.names.clear();
        self.lengths.clear();
    }
}
