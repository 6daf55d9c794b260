use std::collections::BTreeMap;
use std::fmt;

use artifacts_tests::crash::Fault;

use crate::kill::Kill;
use crate::round::{Problem, Report};

/// What the rounds have come to, for each kind of kill.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    lines: BTreeMap<Kill, Line>,
}

#[derive(Debug, Default)]
struct Line {
    rounds: usize,
    operations: usize,
    /// Of those that had returned, how many the crash took, as it may.
    cut: usize,
    losses: usize,
    violations: usize,
}

impl Tally {
    pub(crate) fn add(&mut self, kill: Kill, report: &Report) {
        let line = self.lines.entry(kill).or_default();
        line.rounds += 1;
        line.operations += report.operations();
        line.cut += report.cut();
        match report.problem {
            None => {}
            Some(Problem::Fault(Fault::Lost { .. })) => line.losses += 1,
            Some(Problem::Fault(Fault::NoPrefix) | Problem::CallFailed) => line.violations += 1,
        }
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.lines.values().all(|line| line.losses == 0 && line.violations == 0)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<18} {:>6} {:>10} {:>8} {:>6} {:>10}", "killed", "rounds", "operations", "unsynced", "losses", "violations")?;
        for (kill, line) in &self.lines {
            let Line { rounds, operations, cut, losses, violations } = line;
            writeln!(f, "{kill:<18} {rounds:>6} {operations:>10} {cut:>8} {losses:>6} {violations:>10}")?;
        }
        let total = |of: fn(&Line) -> usize| self.lines.values().map(of).sum::<usize>();
        let (rounds, operations, cut) = (total(|line| line.rounds), total(|line| line.operations), total(|line| line.cut));
        let (losses, violations) = (total(|line| line.losses), total(|line| line.violations));
        write!(f, "{:<18} {rounds:>6} {operations:>10} {cut:>8} {losses:>6} {violations:>10}", "all")
    }
}
