use std::sync::Arc;

use super::{Answer, Call, File, FileId, HOLE, Slot, State, Unit};
use crate::linearizability::Model;

/// The model of files and directories; it has no state of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Files {
    /// Who asks, asks the file system itself.
    Direct,
    /// Who asks, asks a kernel that looks for both names of a rename first, one after the other, and then does not ask the
    /// file system at all if it thinks that it knows the answer. Locally it keeps others out meanwhile; other mounts it
    /// cannot. So an answer may be right for each name at the moment at which it was looked for, and for both at none:
    /// - EEXIST, though there is nothing to rename any more;
    /// - success, though another has renamed the same to the same in between: two names of one file need no renaming
    ///   (rename(2)).
    BehindKernel,
}

impl Model for Files {
    type State = State;
    type Call = Call;
    type Answer = Answer;

    fn step(&self, state: &State, call: &Call, answer: Option<&Answer>) -> Option<State> {
        let (next, gives) = match call {
            Call::Create { slot, id } => return create(state, *slot, *id, answer),
            Call::Rename { from, to, replace } if *self == Self::BehindKernel && is_known(state, (*from, *to), *replace, answer) => {
                return Some(state.clone());
            }
            Call::Lock { lock, owner, shared } => {
                if !state.is_free(*lock, *owner, *shared) {
                    return None;
                }
                lock_for(state, *lock, *owner, *shared)
            }
            _ => sequential(state, call),
        };
        answer.is_none_or(|answer| *answer == gives).then_some(next)
    }

    fn observes(&self, call: &Call, answer: &Answer) -> bool {
        let only_looks = matches!(call, Call::Read { .. } | Call::Length(_) | Call::Lookup(_) | Call::List(_));
        only_looks || matches!(answer, Answer::Failed(_))
    }
}

/// The answers of calls that answer one thing in one state.
fn sequential(state: &State, call: &Call) -> (State, Answer) {
    let mut next = state.clone();
    let answer = match call {
        Call::Open(slot) => match state.names.get(slot) {
            Some(&file) => {
                next.files.entry(file).or_default().opens += 1;
                Answer::File(file)
            }
            None => Answer::Failed(libc::ENOENT),
        },
        Call::Lookup(slot) => state.names.get(slot).map_or(Answer::Failed(libc::ENOENT), |&file| Answer::File(file)),
        Call::Close(file) => {
            if let Some(file) = next.files.get_mut(file) {
                file.opens = file.opens.saturating_sub(1);
            }
            next.let_go(*file);
            Answer::Done
        }
        Call::Read { file, at, len } => with_file(state, *file, |units| {
            let end = units.len().min((at + len) as usize);
            Answer::Units(units.get(*at as usize..end).unwrap_or_default().to_vec())
        }),
        Call::Length(file) => with_file(state, *file, |units| Answer::Length(units.len() as u32)),
        Call::Write { file, at, units } => change(&mut next, *file, |content| {
            let end = *at as usize + units.len();
            if content.len() < end {
                content.resize(end, HOLE);
            }
            content[*at as usize..end].copy_from_slice(units);
        }),
        Call::Append { file, units } => change(&mut next, *file, |content| content.extend(units)),
        Call::Truncate { file, len } => change(&mut next, *file, |content| content.resize(*len as usize, HOLE)),
        Call::Unlink(slot) => match next.names.remove(slot) {
            Some(file) => {
                next.let_go(file);
                Answer::Done
            }
            None => Answer::Failed(libc::ENOENT),
        },
        Call::Rename { from, to, replace } => rename(&mut next, *from, *to, *replace),
        Call::List(dir) => Answer::Names(state.names.keys().filter(|slot| slot.dir() == *dir).map(|slot| slot.name()).collect()),
        Call::TryLock { lock, owner, shared } => {
            if !state.is_free(*lock, *owner, *shared) {
                return (next, Answer::Failed(libc::EWOULDBLOCK));
            }
            return lock_for(state, *lock, *owner, *shared);
        }
        Call::Unlock { lock, owner } => {
            if let Some(holders) = next.locks.get_mut(lock) {
                holders.remove(owner);
                if holders.is_empty() {
                    next.locks.remove(lock);
                }
            }
            Answer::Done
        }
        // These answer what the state alone does not say; see `step`.
        Call::Create { .. } | Call::Lock { .. } => Answer::Failed(libc::EINVAL),
    };
    (next, answer)
}

/// The file system chooses the number: any that no file has.
fn create(state: &State, slot: Slot, id: Option<FileId>, answer: Option<&Answer>) -> Option<State> {
    if state.names.contains_key(&slot) {
        return answer.is_none_or(|answer| *answer == Answer::Failed(libc::EEXIST)).then(|| state.clone());
    }
    let file = match answer {
        Some(Answer::File(file)) if id.is_none_or(|id| id == *file) => *file,
        Some(_) => return None,
        None => id?,
    };
    if state.files.contains_key(&file) {
        return None;
    }
    let mut next = state.clone();
    next.names.insert(slot, file);
    next.files.insert(file, File { opens: 1, ..File::default() });
    Some(next)
}

fn lock_for(state: &State, lock: u8, owner: u16, shared: bool) -> (State, Answer) {
    let mut next = state.clone();
    next.locks.entry(lock).or_default().insert(owner, shared);
    (next, Answer::Done)
}

fn with_file(state: &State, file: FileId, look: impl FnOnce(&[Unit]) -> Answer) -> Answer {
    state.files.get(&file).map_or(Answer::Failed(libc::ENOENT), |file| look(&file.units))
}

fn change(state: &mut State, file: FileId, change: impl FnOnce(&mut Vec<Unit>)) -> Answer {
    let Some(file) = state.files.get_mut(&file) else { return Answer::Failed(libc::ENOENT) };
    change(Arc::make_mut(&mut file.units));
    Answer::Done
}

fn rename(state: &mut State, from: Slot, to: Slot, replace: bool) -> Answer {
    let Some(&file) = state.names.get(&from) else { return Answer::Failed(libc::ENOENT) };
    if !replace && state.names.contains_key(&to) {
        return Answer::Failed(libc::EEXIST);
    }
    state.names.remove(&from);
    if let Some(replaced) = state.names.insert(to, file) {
        state.let_go(replaced);
    }
    if let Some(file) = state.files.get_mut(&file) {
        file.came_from = Some(from);
    }
    Answer::Done
}

/// Whether a kernel may have given this answer by itself.
fn is_known(state: &State, (from, to): (Slot, Slot), replace: bool, answer: Option<&Answer>) -> bool {
    if state.names.contains_key(&from) {
        return false;
    }
    let Some(file) = state.names.get(&to) else { return false };
    match answer {
        Some(Answer::Failed(libc::EEXIST)) => !replace,
        Some(Answer::Done) => replace && state.files.get(file).is_some_and(|file| file.came_from == Some(from)),
        _ => false,
    }
}
