use crate::{Planted, World};

/// How many operations a seed is judged with unless told otherwise.
pub const OPS: u64 = 1_500;

/// What came of a seed.
#[derive(Debug, Clone)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// What was found, if anything was.
    pub violation: Option<String>,
    /// How often what happened.
    pub counted: Vec<(&'static str, u64)>,
    /// What happened, if that was wanted.
    pub trace: Vec<String>,
}

/// Runs a seed: segments with faults until so many operations were judged, then healing, then the work of every session that is left.
pub fn run(seed: u64, ops: u64, planted: Planted, traces: bool) -> Report {
    let mut world = World::with(planted, seed);
    if traces {
        world.trace_all();
    }
    let mut verdict = Ok(());
    while verdict.is_ok() && world.ops() < ops {
        verdict = world.segment();
    }
    let verdict = verdict.and_then(|()| world.finish());
    let violation = verdict.err().map(|violation| violation.to_string());
    Report { seed, violation, counted: world.counted(), trace: world.trace().to_vec() }
}
