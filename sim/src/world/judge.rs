//! The verdict on what was seen.

use std::collections::HashSet;

use anyhow::{Result, bail};
use crate::linearizability::files::{Files, State};
use crate::linearizability::{CONFIGURATIONS_MAX, Verdict, check};

use super::event::Event;
use super::world::World;
use crate::tree::GROUPS;

impl World {
    pub(super) fn judge(&mut self) -> Result<()> {
        self.clients.clear();
        // Programs that died with a frozen mount would go on as others of the next segment.
        self.events.retain(|_, event| !matches!(event, Event::Act(_)));
        for life in &mut self.lives {
            life.answered.clear();
            life.held.clear();
        }
        let mut histories: Vec<Vec<_>> = (0..GROUPS).map(|_| Vec::new()).collect();
        for mut record in self.records.drain(..) {
            if record.is_lost {
                self.tally.lost += 1;
                continue;
            }
            // Everything has come to rest: what has had no effect by now has none.
            record.op.returned_ns.get_or_insert(self.now_us * 1_000);
            histories[usize::from(record.group)].push(record.op);
        }
        for (states, history) in self.states.iter_mut().zip(histories) {
            self.tally.ops += history.len() as u64;
            match check(&Files::Direct, states, &history, CONFIGURATIONS_MAX) {
                Verdict::Linearizable { states: found } => {
                    let found: HashSet<State> = found.into_iter().map(State::at_rest).collect();
                    *states = found.into_iter().collect();
                }
                Verdict::Violation(violation) => bail!("after {} operations: {violation}", self.tally.ops),
                Verdict::Undecided { returned } => bail!("undecided after {returned} of {} operations", history.len()),
            }
        }
        if let Some(lost) = self.lost.first() {
            bail!("after {} operations, of which all have an order: {lost}", self.tally.ops);
        }
        Ok(())
    }
}
