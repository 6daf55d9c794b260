use std::collections::VecDeque;

use crate::Random;
use crate::linearizability::files::{Answer, Call, FileId, Slot, Unit};
use artifacts_core::namespace::{Attr, Errno, Extent, Ino, Mutation, NewNode, Position, RenameMode, SetAttr};
use artifacts_core::protocol::{Answer as NodeAnswer, Request};

use crate::steps::{Came, Step};
use crate::tree::{self, DIRS, GROUPS, NAMES, UNIT_BYTES};

/// How many files a program has open at the most.
const OPEN_MAX: usize = 3;

/// A program on a mount: which call comes next, what it asks of the mount, and what that answers.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) number: u16,
    random: Random,
    /// It mostly looks at what is there, again and again.
    looks: bool,
    written: u32,
    open: Vec<(u8, FileId)>,
    /// The group whose lock it holds, or may hold.
    pub(crate) holds: Option<u8>,
    /// It was told that it has it.
    pub(crate) holds_surely: bool,
}

/// A call under way.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) group: u8,
    pub(crate) call: Call,
    /// What the namespace said of the inode that it is about.
    pub(crate) found: Option<Attr>,
    /// A name has been looked up, and what it names is being opened.
    is_found: bool,
    /// What has come of a creation, while what was made is being opened.
    created: Option<Result<(), Errno>>,
}

/// What comes after an answer of the mount.
pub(crate) enum Next {
    /// The call is over; without an answer nobody knows what came of it.
    Over(Option<Answer>),
    /// This has to be done first.
    Steps(VecDeque<Step>),
    /// Another answer is on its way.
    Wait,
}

impl Program {
    pub(crate) fn new(number: u16, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let looks = random.below(3) == 0;
        Self { number, random, looks, written: 0, open: Vec::new(), holds: None, holds_surely: false }
    }

    /// Something, by chance. `fresh` is the number that a file would get.
    pub(crate) fn call(&mut self, fresh: Ino) -> (u8, Call) {
        if self.looks && self.random.below(3) > 0 {
            return self.look();
        }
        if let Some(group) = self.holds {
            return (group, self.under_lock(group));
        }
        if self.random.below(14) == 0 {
            let (group, shared) = (self.group(), self.random.below(3) == 0);
            let (lock, owner) = (0, self.number);
            let waits = self.random.below(3) > 0;
            return (group, if waits { Call::Lock { lock, owner, shared } } else { Call::TryLock { lock, owner, shared } });
        }
        let kind = self.random.below(100);
        if (self.open.is_empty() && kind < 60) || (self.open.len() < OPEN_MAX && kind < 25) {
            let (group, slot) = (self.group(), self.slot());
            let creates = self.random.below(3) == 0;
            return (group, if creates { Call::Create { slot, id: Some(fresh.0) } } else { Call::Open(slot) });
        }
        if kind < 75 && !self.open.is_empty() {
            let index = self.random.below(self.open.len() as u64) as usize;
            let (group, file) = self.open[index];
            if kind > 65 {
                self.open.swap_remove(index);
                return (group, Call::Close(file));
            }
            return (group, self.use_open(file));
        }
        (self.group(), self.use_names())
    }

    fn look(&mut self) -> (u8, Call) {
        match self.open.first() {
            Some(&(group, file)) if self.random.below(2) == 0 => (group, Call::Length(file)),
            _ => (self.group(), Call::Lookup(self.slot())),
        }
    }

    /// What is done while a lock is held: mostly what it is for.
    fn under_lock(&mut self, group: u8) -> Call {
        let open: Vec<FileId> = self.open.iter().filter(|&&(of, _)| of == group).map(|&(_, file)| file).collect();
        match (self.random.below(4), self.random.choose(&open).copied()) {
            (0, _) => Call::Unlock { lock: 0, owner: self.number },
            (_, Some(file)) => self.use_open(file),
            (_, None) => self.use_names(),
        }
    }

    /// What it holds or has open, to be let go of; `None` if nothing is left.
    pub(crate) fn close_one(&mut self) -> Option<(u8, Call)> {
        if let Some(group) = self.holds {
            return Some((group, Call::Unlock { lock: 0, owner: self.number }));
        }
        let (group, file) = self.open.pop()?;
        Some((group, Call::Close(file)))
    }

    fn group(&mut self) -> u8 {
        self.random.below(u64::from(GROUPS)) as u8
    }

    fn slot(&mut self) -> Slot {
        Slot::new(self.random.below(u64::from(DIRS)) as u8, self.random.below(u64::from(NAMES)) as u8)
    }

    fn units(&mut self, most: u64) -> Vec<Unit> {
        let count = 1 + self.random.below(most);
        (0..count)
            .map(|_| {
                self.written += 1;
                (u32::from(self.number) + 1) << 14 | self.written & 0x3fff
            })
            .collect()
    }

    fn use_open(&mut self, file: FileId) -> Call {
        let at = self.random.below(4) as u32;
        let len = 1 + self.random.below(3) as u32;
        match self.random.below(12) {
            0 => Call::Length(file),
            1 => Call::Truncate { file, len: at },
            2..5 => Call::Write { file, at, units: self.units(3) },
            5..8 => Call::Append { file, units: self.units(2) },
            8 => Call::Read { file, at, len },
            _ => Call::Read { file, at: 0, len: 100 },
        }
    }

    fn use_names(&mut self) -> Call {
        let (slot, other) = (self.slot(), self.slot());
        match self.random.below(14) {
            0..4 => Call::Lookup(slot),
            4..6 => Call::Unlink(slot),
            6..10 if slot != other => Call::Rename { from: slot, to: other, replace: self.random.below(3) > 0 },
            _ => Call::List(slot.dir()),
        }
    }

    /// Notes what a call has opened.
    pub(crate) fn over(&mut self, running: &Running, answer: Option<&Answer>) {
        if let (Call::Open(_) | Call::Create { .. }, Some(Answer::File(file))) = (&running.call, answer) {
            self.open.push((running.group, *file));
        }
        match (&running.call, answer) {
            // Without an answer it may be held all the same.
            (Call::Lock { .. } | Call::TryLock { .. }, None | Some(Answer::Done)) => {
                (self.holds, self.holds_surely) = (Some(running.group), answer.is_some());
            }
            (Call::Unlock { .. }, Some(_)) => self.holds = None,
            _ => {}
        }
    }
}

impl Running {
    pub(crate) fn new(group: u8, call: Call) -> Self {
        Self { group, call, found: None, is_found: false, created: None }
    }

    /// What it asks for first, if its name is believed to name this inode.
    pub(crate) fn begin_with(&mut self, believed: Option<Ino>) -> VecDeque<Step> {
        let Some(ino) = believed else { return self.begin() };
        self.is_found = true;
        VecDeque::from([Step::Ask(Request::Open { ino })])
    }

    fn begin(&self) -> VecDeque<Step> {
        let place = |slot: Slot| tree::place(self.group, slot);
        let write = |file: FileId, position, units: &[Unit]| {
            let extents = vec![Extent::inline(tree::bytes_of(units))];
            Step::Commit(Mutation::Write { ino: Ino(file), position, extents, kill_privileges: false })
        };
        VecDeque::from([match &self.call {
            Call::Open(slot) | Call::Lookup(slot) => {
                let (parent, name) = place(*slot);
                Step::Ask(Request::Lookup { parent, name })
            }
            Call::Create { slot, id } => {
                let ((parent, name), ino) = (place(*slot), Ino(id.unwrap_or(0)));
                let create = Mutation::Create { parent, name, ino, node: NewNode::File, mode: 0o644, umask: 0, uid: 0, gid: 0 };
                return VecDeque::from([Step::Commit(create), Step::Ask(Request::Open { ino })]);
            }
            Call::Close(file) => Step::Close(Ino(*file)),
            Call::Read { file, at, len } => {
                let (offset, len) = (u64::from(*at) * UNIT_BYTES, u64::from(*len) * UNIT_BYTES);
                Step::Ask(Request::Pieces { ino: Ino(*file), offset, len })
            }
            Call::Length(file) => Step::Ask(Request::Attr { ino: Ino(*file) }),
            Call::Write { file, at, units } => write(*file, Position::At(u64::from(*at) * UNIT_BYTES), units),
            Call::Append { file, units } => write(*file, Position::End, units),
            Call::Truncate { file, len } => {
                let set = SetAttr { size: Some(u64::from(*len) * UNIT_BYTES), ..SetAttr::default() };
                Step::Commit(Mutation::SetAttr { ino: Ino(*file), set })
            }
            Call::Unlink(slot) => {
                let (parent, name) = place(*slot);
                Step::Commit(Mutation::Unlink { parent, name })
            }
            Call::Rename { from, to, replace } => {
                let ((parent, name), (new_parent, new_name)) = (place(*from), place(*to));
                let mode = if *replace { RenameMode::Replace } else { RenameMode::NoReplace };
                Step::Commit(Mutation::Rename { parent, name, new_parent, new_name, mode })
            }
            Call::List(dir) => Step::Ask(Request::ReadDir { dir: tree::dir_ino(self.group, *dir), after: None, limit: 100 }),
            Call::Lock { owner, shared, .. } => Step::Lock { lock: tree::lock(self.group, *owner, *shared), wait: true },
            Call::TryLock { owner, shared, .. } => Step::Lock { lock: tree::lock(self.group, *owner, *shared), wait: false },
            Call::Unlock { owner, .. } => Step::Unlock(tree::lock(self.group, *owner, false)),
        }])
    }

    /// An answer of the mount has come.
    pub(crate) fn came(&mut self, came: Came) -> Next {
        if let Came::Answered(Ok(NodeAnswer::Attr(attr))) = &came {
            self.found = Some(attr.clone());
        }
        match (&self.call, came) {
            (Call::Open(_), Came::Answered(Ok(NodeAnswer::Attr(attr)))) if !self.is_found => {
                self.is_found = true;
                Next::Steps([Step::Ask(Request::Open { ino: attr.ino })].into())
            }
            // It went in between: the kernel looks its name up again.
            (Call::Open(_), Came::Answered(Err(Errno::ENOENT))) if self.is_found => {
                self.is_found = false;
                Next::Steps(self.begin())
            }
            (Call::Create { .. }, Came::Applied(result)) => {
                self.created = Some(result.map(drop));
                Next::Wait
            }
            (Call::Create { id, .. }, Came::Answered(opened)) => Next::Over(match (self.created.take(), opened) {
                (Some(Ok(())), Ok(_)) => id.map(Answer::File),
                (Some(Err(errno)), _) => failed(errno),
                // Made, and gone before it could be opened; the kernel looks again.
                _ => None,
            }),
            (call, came) => Next::Over(whole(call, came)),
        }
    }
}

/// What a call answers whose last step has come to this.
fn whole(call: &Call, came: Came) -> Option<Answer> {
    let length = |attr: &Attr| (attr.size / UNIT_BYTES) as u32;
    match came {
        Came::Applied(Ok(_)) | Came::Durable(Ok(())) | Came::Locked(Ok(())) | Came::Closed => Some(Answer::Done),
        Came::Applied(Err(errno)) | Came::Answered(Err(errno)) | Came::Durable(Err(errno)) | Came::Locked(Err(errno)) => failed(errno),
        Came::Answered(Ok(answer)) => Some(match (call, answer) {
            (Call::Length(_), NodeAnswer::Attr(attr)) => Answer::Length(length(&attr)),
            (_, NodeAnswer::Attr(attr)) => Answer::File(attr.ino.0),
            (Call::Read { at, len, .. }, NodeAnswer::Pieces { attr, pieces, .. }) => {
                Answer::Units(tree::units_of(&attr, &pieces, *at, *len))
            }
            (_, NodeAnswer::Entries(entries)) => {
                let names = entries.iter().filter_map(|entry| std::str::from_utf8(entry.name.as_bytes()).ok()?.parse().ok());
                Answer::Names(names.collect())
            }
            (call, answer) => panic!("{call:?} answered {answer:?}"),
        }),
    }
}

/// An error that says something of the state; any other says nothing.
fn failed(errno: Errno) -> Option<Answer> {
    matches!(errno, Errno::ENOENT | Errno::EEXIST | Errno::EAGAIN).then(|| Answer::Failed(errno.number()))
}
