//! The decision. An image may be left if there is a *cut*, a number of operations of each mount, such that
//!
//! - the operations before the cut, in an order in which they can have happened, give exactly the image and what each of
//!   them had answered. Of two calls of different mounts the one that returned before the other was made came first; calls
//!   that overlap may have come in any order;
//! - the cut is a prefix of one order of all: a mount goes on alone behind the cut of the other only as long as its answers
//!   do not depend on what was cut;
//! - nothing of a mount is cut that it had fsynced, or, if the mount lived on, that had returned.

use super::{Image, Outcome, Record, State};

/// What happened until the crash.
#[derive(Debug, Clone)]
pub struct History {
    /// What each mount did; one or two.
    pub mounts: Vec<MountHistory>,
}

/// The operations of one mount, in the order in which they were made, one at a time.
#[derive(Debug, Clone)]
pub struct MountHistory {
    /// The operations.
    pub records: Vec<Record>,
    /// How many of them must be left.
    pub kept: Kept,
}

/// What a crash may not take from a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// What was fsynced: the mount was lost.
    Synced,
    /// What had returned: the mount lived on.
    Returned,
}

/// How many operations of each mount are left.
pub type Cut = Vec<usize>;

/// Why an image may not be left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is a prefix, but a shorter one than was promised.
    Lost {
        /// The longest cut that gives the image.
        left: Cut,
        /// What had been promised.
        promised: Cut,
    },
    /// It is no prefix at all.
    NoPrefix,
}

/// Finds a cut that explains an image, or says what is wrong with it.
///
/// # Errors
/// The [`Fault`].
pub fn check(history: &History, image: &Image) -> Result<Cut, Fault> {
    let records = [0, 1].map(|mount| history.mounts.get(mount).map_or(&[][..], |mount| &mount.records));
    let promised: Cut = history.mounts.iter().map(MountHistory::promised).collect();
    let floor = [0, 1].map(|mount| promised.get(mount).copied().unwrap_or(0));
    let in_use = |cut: [usize; 2]| cut[..history.mounts.len()].to_vec();
    let prepared = || State::prepared(history.mounts.len());
    if let Some(cut) = (Search { records, image, floor }).run(prepared(), &mut |_| true) {
        return Ok(in_use(cut));
    }
    // It fails; now all cuts are of interest, to say how.
    let mut longest: Option<[usize; 2]> = None;
    Search { records, image, floor: [0; 2] }.run(prepared(), &mut |cut| {
        if longest.is_none_or(|longest| longest.iter().sum::<usize>() < cut.iter().sum()) {
            longest = Some(cut);
        }
        false
    });
    Err(longest.map_or(Fault::NoPrefix, |longest| Fault::Lost { left: in_use(longest), promised }))
}

impl MountHistory {
    fn promised(&self) -> usize {
        let is_promise = |record: &Record| match self.kept {
            Kept::Synced => record.op.is_sync() && record.outcome == Outcome::Done,
            Kept::Returned => record.has_returned(),
        };
        self.records.iter().rposition(is_promise).map_or(0, |last| last + 1)
    }
}

struct Search<'a> {
    records: [&'a [Record]; 2],
    image: &'a Image,
    /// Shorter cuts are of no interest.
    floor: [usize; 2],
}

impl Search<'_> {
    /// Goes through every cut that can have been, until `accept` takes one that gives the image.
    fn run(&self, prepared: State, accept: &mut dyn FnMut([usize; 2]) -> bool) -> Option<[usize; 2]> {
        // The cuts with equally many operations, and the states that each can have.
        let mut level = vec![([0, 0], vec![prepared])];
        while !level.is_empty() {
            let mut next: Vec<([usize; 2], Vec<State>)> = Vec::new();
            for (cut, states) in level {
                if self.gives_image(cut, &states) && accept(cut) {
                    return Some(cut);
                }
                for mount in 0..2 {
                    let must_wait = self.must_wait(cut, mount);
                    if must_wait && cut[1 - mount] < self.floor[1 - mount] {
                        continue;
                    }
                    let stepped = self.step(cut, mount, &states);
                    if stepped.is_empty() {
                        continue;
                    }
                    let beyond = with_one_more(cut, mount);
                    if must_wait {
                        // Only if the other mount's operation, which comes first, was cut; then so is all that follows it there.
                        if let Some(found) = self.alone(beyond, mount, stepped, accept) {
                            return Some(found);
                        }
                        continue;
                    }
                    match next.iter_mut().find(|(reached, _)| *reached == beyond) {
                        Some((_, known)) => known.extend(stepped.into_iter().filter(|state| !known.contains(state)).collect::<Vec<_>>()),
                        None => next.push((beyond, stepped)),
                    }
                }
            }
            level = next;
        }
        None
    }

    /// Goes on with one mount alone.
    fn alone(
        &self,
        mut cut: [usize; 2],
        mount: usize,
        mut states: Vec<State>,
        accept: &mut dyn FnMut([usize; 2]) -> bool,
    ) -> Option<[usize; 2]> {
        while !states.is_empty() {
            if self.gives_image(cut, &states) && accept(cut) {
                return Some(cut);
            }
            states = self.step(cut, mount, &states);
            cut = with_one_more(cut, mount);
        }
        None
    }

    fn gives_image(&self, cut: [usize; 2], states: &[State]) -> bool {
        let is_long_enough = cut.iter().zip(self.floor).all(|(cut, floor)| *cut >= floor);
        is_long_enough && states.iter().any(|state| state.is(self.image))
    }

    /// Whether an operation of the other mount that is not in the cut had returned before the next one of this mount was
    /// made.
    fn must_wait(&self, cut: [usize; 2], mount: usize) -> bool {
        let other = 1 - mount;
        let ended_ns = self.records[other].get(cut[other]).and_then(|record| record.end_ns);
        let start_ns = self.records[mount].get(cut[mount]).map(|record| record.start_ns);
        matches!((ended_ns, start_ns), (Some(ended_ns), Some(start_ns)) if ended_ns < start_ns)
    }

    /// The states after the next operation of a mount, as far as it answers what it had answered.
    fn step(&self, cut: [usize; 2], mount: usize, states: &[State]) -> Vec<State> {
        let Some(record) = self.records[mount].get(cut[mount]) else { return Vec::new() };
        let step = |state: &State| {
            let mut state = state.clone();
            let outcome = state.apply(mount, &record.op);
            (outcome == record.outcome || !record.has_returned()).then_some(state)
        };
        states.iter().filter_map(step).collect()
    }
}

const fn with_one_more(mut cut: [usize; 2], mount: usize) -> [usize; 2] {
    cut[mount] += 1;
    cut
}
