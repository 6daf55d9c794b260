use std::sync::Arc;

use super::{Answer, Call, File, FileId, HOLE, Slot, State, Unit};
use crate::linearizability::Model;

/// The model of files and directories; it has no state of its own.
#[derive(Debug, Clone, Copy, Default)]
pub struct Files;

impl Model for Files {
    type State = State;
    type Call = Call;
    type Answer = Answer;

    fn step(&self, state: &State, call: &Call, answer: Option<&Answer>) -> Option<State> {
        let (next, gives) = match call {
            Call::Create { slot, id } => return create(state, *slot, *id, answer),
            Call::Rename { from, to, replace: false } => return rename_if_free(state, *from, *to, answer),
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
        Call::Rename { from, to, .. } => rename(&mut next, *from, *to),
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

fn rename(state: &mut State, from: Slot, to: Slot) -> Answer {
    let Some(file) = state.names.remove(&from) else { return Answer::Failed(libc::ENOENT) };
    if let Some(replaced) = state.names.insert(to, file) {
        state.let_go(replaced);
    }
    Answer::Done
}

/// RENAME_NOREPLACE. The kernel looks for both names before it asks the file system for anything, one after the other: an
/// answer that is right for one of them may be given while the other is wrong too.
fn rename_if_free(state: &State, from: Slot, to: Slot, answer: Option<&Answer>) -> Option<State> {
    let (is_there, is_taken) = (state.names.contains_key(&from), state.names.contains_key(&to));
    match answer {
        Some(Answer::Failed(libc::ENOENT)) => (!is_there).then(|| state.clone()),
        Some(Answer::Failed(libc::EEXIST)) => is_taken.then(|| state.clone()),
        Some(Answer::Done) | None if is_there && !is_taken => {
            let mut next = state.clone();
            rename(&mut next, from, to);
            Some(next)
        }
        None => Some(state.clone()),
        Some(_) => None,
    }
}
