use std::collections::BTreeMap;
use std::num::NonZero;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;

use crate::{Planted, Report, run};

/// What to run many seeds with.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How many operations each seed is judged with.
    pub ops: u64,
    /// The fault that has to be found, if any.
    pub planted: Planted,
    /// How many threads run seeds; one for each core unless told otherwise.
    pub threads: Option<usize>,
    /// Whether to stop at the first violation.
    pub stops: bool,
}

/// What came of many seeds.
#[derive(Debug, Clone, Default)]
pub struct Sweep {
    /// How many seeds were run.
    pub seeds: u64,
    /// What was found, by seed.
    pub violations: BTreeMap<u64, String>,
    /// How often what happened in all of them.
    pub counted: Vec<(&'static str, u64)>,
}

impl Sweep {
    fn add(&mut self, report: Report) {
        self.seeds += 1;
        if self.counted.is_empty() {
            self.counted = report.counted;
        } else {
            self.counted.iter_mut().zip(report.counted).for_each(|((_, sum), (_, times))| *sum += times);
        }
        if let Some(violation) = report.violation {
            self.violations.insert(report.seed, violation);
        }
    }
}

/// Runs seeds on all cores; `done` is told after each how many there have been, and how many violations.
pub fn sweep(seeds: Range<u64>, settings: Settings, mut done: impl FnMut(u64, usize)) -> Sweep {
    let threads = settings.threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, NonZero::get)).max(1);
    let (next, is_over) = (AtomicU64::new(seeds.start), AtomicBool::new(false));
    let (reports, arrived) = mpsc::sync_channel(threads);
    let mut all = Sweep::default();
    thread::scope(|scope| {
        for _ in 0..threads {
            let reports = reports.clone();
            let (next, is_over) = (&next, &is_over);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || reports.send(run(seed, settings.ops, settings.planted, false)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(reports);
        for report in arrived {
            all.add(report);
            is_over.fetch_or(settings.stops && !all.violations.is_empty(), Ordering::Relaxed);
            done(all.seeds, all.violations.len());
        }
    });
    all
}
