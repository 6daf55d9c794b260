use std::collections::HashSet;
use std::fs::{self, File};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use artifacts_tests::crash::Random;
use artifacts_tests::linearizability::files::{Files, State};
use artifacts_tests::linearizability::programs::{Client, DIRS, Group, Histories, add, survey};
use artifacts_tests::linearizability::{CONFIGURATIONS_MAX, Verdict, check, keep};
use artifacts_tests::time::{Duration, now};
use artifacts_tests::{Lab, Mount, Scratch};
use serde_json::json;

use crate::round::{Visitor, all_stay, others_come_and_go};

/// In one of so many rounds all mounts but one come and go.
const COME_AND_GO_EVERY: u64 = 6;

/// Rounds on one workspace, and what is known of it between them.
pub(crate) struct Run {
    lab: Lab,
    workspace: String,
    mounts: Vec<Mount>,
    seed: u64,
    random: Random,
    rounds: u64,
    clients: AtomicU16,
    ops: u64,
    /// What each group may hold.
    states: Vec<Vec<State>>,
    started: Instant,
    checking: Duration,
}

impl Run {
    pub(crate) fn start(scratch: &Arc<Scratch>, seed: u64, mounts: usize) -> Result<Self> {
        ensure!(mounts > 1, "with one mount there is nothing to be coherent with");
        let lab = Lab::start(scratch, &json!({}))?;
        let workspace = lab.workspace("shared")?;
        let mounts = (0..mounts).map(|number| lab.mount(&name(number), &workspace)).collect::<Result<Vec<_>>>()?;
        for group in Group::all() {
            for dir in 0..DIRS {
                fs::create_dir_all(mounts[0].join(group.dir(dir)))?;
            }
            File::create(mounts[0].join(group.lock()))?;
        }
        Ok(Self {
            lab,
            workspace,
            mounts,
            seed,
            random: Random::new(seed),
            rounds: 0,
            clients: AtomicU16::new(0),
            ops: 0,
            states: Group::all().map(|_| vec![State::default()]).collect(),
            started: now(),
            checking: Duration::ZERO,
        })
    }

    /// How many operations were done and found right.
    pub(crate) fn ops(&self) -> u64 {
        self.ops
    }

    /// One round, and the decision on it.
    pub(crate) fn round(&mut self) -> Result<()> {
        self.rounds += 1;
        let come_and_go = self.rounds.is_multiple_of(COME_AND_GO_EVERY);
        let mut histories = if come_and_go { self.come_and_go()? } else { all_stay(self.all_clients()?)? };
        for mount in &self.mounts {
            add(&mut histories, survey(self.next_client(), mount.path())?);
        }
        self.judge(&histories).with_context(|| format!("round {}", self.rounds))
    }

    fn next_client(&self) -> u16 {
        self.clients.fetch_add(1, Ordering::SeqCst)
    }

    /// One on each mount, and one more on the first.
    fn all_clients(&mut self) -> Result<Vec<Client>> {
        let mut clients = Vec::new();
        for index in std::iter::once(0).chain(0..self.mounts.len()) {
            clients.push(Client::new(self.next_client(), self.mounts[index].path(), self.random.next())?);
        }
        Ok(clients)
    }

    fn come_and_go(&mut self) -> Result<Histories> {
        let count = self.mounts.len();
        for mount in self.mounts.drain(1..) {
            mount.unmount()?;
        }
        let mut stay = Vec::new();
        for _ in 0..2 {
            stay.push(Client::new(self.next_client(), self.mounts[0].path(), self.random.next())?);
        }
        let (lab, workspace, clients) = (&self.lab, &self.workspace, &self.clients);
        let visitors = (1..count).map(|number| Visitor {
            mount: Box::new(move || lab.mount(&name(number), workspace)),
            client: Box::new(|mount, seed| Client::new(clients.fetch_add(1, Ordering::SeqCst), mount.path(), seed)),
            random: Random::new(self.random.next()),
        });
        let done = others_come_and_go(stay, visitors.collect::<Vec<_>>())?;
        for number in 1..count {
            self.mounts.push(self.lab.mount(&name(number), &self.workspace)?);
        }
        Ok(done)
    }

    fn judge(&mut self, histories: &Histories) -> Result<()> {
        let start = now();
        for (group, history) in histories.iter().enumerate() {
            match check(&Files::BehindKernel, &self.states[group], history, CONFIGURATIONS_MAX) {
                Verdict::Linearizable { states } => {
                    let states: HashSet<State> = states.into_iter().map(State::at_rest).collect();
                    self.states[group] = states.into_iter().collect();
                }
                Verdict::Violation(violation) => {
                    let about = format!("LIN_SEED={} round {} group {group}", self.seed, self.rounds);
                    let file = keep(&format!("violation-{}-{}", self.seed, self.rounds), &about, history, &violation)?;
                    bail!("after {} operations: a violation, kept in {}", self.ops, file.display());
                }
                Verdict::Undecided { returned } => bail!("undecided after {returned} of {} operations of group {group}", history.len()),
            }
            self.ops += history.len() as u64;
        }
        self.checking += start.elapsed();
        Ok(())
    }

    /// A line for people.
    pub(crate) fn summary(&self) -> String {
        format!(
            "linearizability: {} operations in {} rounds on {} mounts, 0 violations, {:.1} s ({:.1} s of it checking), LIN_SEED={}",
            self.ops,
            self.rounds,
            self.mounts.len(),
            self.started.elapsed().as_secs_f64(),
            self.checking.as_secs_f64(),
            self.seed
        )
    }

    /// Takes everything down in good order.
    pub(crate) fn end(self) -> Result<()> {
        self.mounts.into_iter().try_for_each(Mount::unmount)
    }
}

fn name(mount: usize) -> String {
    format!("mount-{mount}")
}
