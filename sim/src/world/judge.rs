//! The verdict on what was seen.

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};
use artifacts_core::namespace::{MemoryView, check};

use super::event::Event;
use super::world::World;
use crate::linearizability::files::{Call, Files, State};
use crate::linearizability::{CONFIGURATIONS_MAX, Operation, Verdict, check};
use crate::store::Part;
use crate::tree::{self, GROUPS};

impl World {
    /// Looks for one order of all that was seen, unless something was lost that may be.
    pub(super) fn judge(&mut self) -> Result<()> {
        self.clients.clear();
        // Programs that died with a frozen mount would go on as others of the next segment.
        self.events.retain(|_, event| !matches!(event, Event::Act(_)));
        let recent = self.recent();
        for life in &mut self.lives[recent] {
            life.answered.clear();
            life.held.clear();
        }
        self.holders.clear();
        self.judge_durable();
        self.judge_namespace()?;
        self.found()?;
        let mut histories: Vec<Vec<_>> = (0..GROUPS).map(|_| Vec::new()).collect();
        let mut locks: Vec<BTreeMap<u16, u64>> = (0..GROUPS).map(|_| BTreeMap::new()).collect();
        for mut record in std::mem::take(&mut self.records) {
            if record.is_lost {
                self.tally.lost += 1;
                continue;
            }
            // Everything has come to rest: what has had no effect by now has none.
            record.op.returned_ns.get_or_insert(self.now_us * 1_000);
            let group = usize::from(record.group);
            // A lock of a session that is over was let go then, or given to another when it was silent for too long.
            let life = &self.lives[record.life];
            let free_us = life.sealed_us.map(|at_us| life.lapsed_us.unwrap_or(at_us).min(at_us));
            if let (Call::Lock { owner, .. } | Call::TryLock { owner, .. }, Some(at_us)) = (&record.op.call, free_us) {
                locks[group].insert(*owner, at_us.saturating_mul(1_000));
            }
            histories[group].push(record.op);
        }
        for (history, locks) in histories.iter_mut().zip(locks) {
            for (owner, called_ns) in locks {
                let call = Call::Unlock { lock: 0, owner };
                history.push(Operation { client: owner, call, called_ns, answer: None, returned_ns: Some(self.now_us * 1_000) });
            }
        }
        for life in self.recent() {
            self.lives[life].lapsed_us = None;
        }
        let count: usize = histories.iter().map(Vec::len).sum();
        self.tally.ops += count as u64;
        if std::mem::take(&mut self.is_lossy) {
            self.tally.lossy += 1;
            self.lost.clear();
            return self.begin_anew();
        }
        for (states, history) in self.states.iter_mut().zip(histories) {
            match check(&Files::Direct, states, &history, CONFIGURATIONS_MAX) {
                Verdict::Linearizable { states: found } => {
                    let mut found: Vec<State> = found.into_iter().map(State::at_rest).collect();
                    found.iter_mut().for_each(|state| state.locks.clear());
                    found.sort_unstable();
                    found.dedup();
                    *states = found;
                }
                Verdict::Violation(violation) => bail!("ORDER: after {} operations: {violation}", self.tally.ops),
                Verdict::Undecided { .. } => {
                    self.tally.undecided += 1;
                    return self.begin_anew();
                }
            }
        }
        if let Some(lost) = self.lost.first() {
            bail!("LOST: after {} operations, of which all have an order: {lost}", self.tally.ops);
        }
        Ok(())
    }

    fn view(&self) -> Option<&MemoryView> {
        let units = self.hosts.iter().filter_map(|host| host.workspace.serving());
        let mut owners = units.filter(|unit| self.store.is_owner(Part::Workspace, unit.epoch));
        owners.next().map(|unit| unit.node.view())
    }

    /// Goes on from what is there.
    fn begin_anew(&mut self) -> Result<()> {
        let Some(view) = self.view() else { bail!("LIVENESS: nobody serves the workspace") };
        let states = (0..GROUPS).map(|group| tree::state_of(view, group).map(|state| vec![state])).collect::<Option<_>>();
        let Some(states) = states else { bail!("NAMESPACE: what is there cannot be read") };
        self.states = states;
        Ok(())
    }

    /// What is there is a file system.
    pub(super) fn judge_namespace(&self) -> Result<()> {
        for view in self.view().into_iter().chain([&self.store.workspace.durable.view]) {
            let findings = check::check_invariants(view).map_err(|_| anyhow::anyhow!("NAMESPACE: records are missing"))?;
            ensure!(findings.is_empty(), "NAMESPACE: {}", findings.join("; "));
        }
        Ok(())
    }
}
