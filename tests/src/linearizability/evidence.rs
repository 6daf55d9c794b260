use std::fmt::Debug;
use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use super::{Operation, Violation};
use crate::target_dir;

/// Prints a violation, and writes it down with everything that was done meanwhile; answers where.
///
/// # Errors
/// If it cannot be written.
pub fn keep<S: Clone + Debug, C: Clone + Debug, A: Clone + Debug>(
    name: &str,
    about: &str,
    history: &[Operation<C, A>],
    violation: &Violation<S, C, A>,
) -> Result<PathBuf> {
    println!("{violation}");
    let dir = target_dir()?.join("linearizability");
    fs::create_dir_all(&dir)?;
    let file = dir.join(format!("{name}.txt"));
    let (from_ns, until_ns) = match (violation.operations.first(), violation.operations.get(violation.culprit)) {
        (Some(first), Some(culprit)) => (first.called_ns, culprit.returned_ns.unwrap_or(u64::MAX)),
        _ => (0, u64::MAX),
    };
    let meanwhile = |op: &&Operation<C, A>| op.called_ns <= until_ns && op.returned_ns.is_none_or(|returned_ns| returned_ns >= from_ns);
    let mut operations: Vec<_> = history.iter().filter(meanwhile).cloned().collect();
    operations.sort_by_key(|op| op.called_ns);
    let all = Violation { before: violation.before.clone(), culprit: usize::MAX, operations };
    fs::write(&file, format!("{about}\n{violation}\nand with everything else: {all}"))?;
    Ok(file)
}
