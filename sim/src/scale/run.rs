use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use tokio::runtime::{Builder, Runtime};

use super::agent::Met;
use super::authority::Authority;
use super::case::Way;
use super::cell::{self, CellResult};
use super::node_log::NodeLog;
use super::plan::{CellPlan, Plan, random};
use super::report::{Ended, Report};
use super::weather::Weather;
use super::{Cost, Settings, ring};

/// What ended the access of an agent in each case, and how many milliseconds after the revocation.
type Ends = [Option<(Way, u32)>; 4];

/// Simulates it; `done` is told after each cell how many there have been, and how many there are.
///
/// # Errors
/// [`Unusable`](super::Unusable) settings; or gossip has ended, which is a bug.
pub fn run(settings: Settings, mut done: impl FnMut(usize, usize)) -> anyhow::Result<Report> {
    settings.check()?;
    let plan = Plan::new(settings);
    let authority = Authority::new(&plan.revoked_us);
    let (logs, ring) = runtime()?.block_on(ring::simulate(&plan, &authority))?;
    let mut cells: Vec<Option<(CellResult, Vec<Ends>)>> = plan.cells.iter().map(|_| None).collect();
    let threads = settings.threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, NonZero::get)).max(1);
    let (next, has_failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (results, arrived) = mpsc::sync_channel(threads);
    thread::scope(|scope| {
        for _ in 0..threads {
            let (results, next, has_failed, plan, logs, authority) = (results.clone(), &next, &has_failed, &plan, &logs, &authority);
            scope.spawn(move || {
                while !has_failed.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(cell) = plan.cells.get(number) else { return };
                    let result = simulate(plan, cell, logs, authority).map(|result| (number, result));
                    if results.send(result).is_err() {
                        return;
                    }
                }
            });
        }
        drop(results);
        let mut outcome = Ok(());
        for (count, result) in arrived.iter().enumerate() {
            match result {
                Ok((number, result)) => cells[number] = Some(result),
                Err(error) => {
                    has_failed.store(true, Ordering::Relaxed);
                    outcome = Err(error);
                }
            }
            done(count + 1, plan.cells.len());
        }
        outcome
    })?;
    Ok(report(&plan, ring, cells.into_iter().flatten()))
}

/// A runtime without sockets. Its clock decides nothing.
fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_time().build()
}

fn simulate(plan: &Plan, of: &CellPlan, logs: &[NodeLog], authority: &Authority) -> anyhow::Result<(CellResult, Vec<Ends>)> {
    let cell = runtime()?.block_on(cell::simulate(plan, of, logs, authority))?;
    let weather = Weather::new(plan.settings.loss_ppm);
    let mut ends = Vec::new();
    for (agent, heard_us) in of.agents.clone().zip(&cell.heard_us) {
        let mut random = random(plan.settings.seed, 1_000_000_000 + agent as u64);
        let nodes = plan.streams(agent).map(|node| &logs[node]);
        for (round, made_us) in plan.revoked_us.iter().copied().enumerate() {
            let met = Met { round, made_us, nodes, heard_us: heard_us[round] };
            // A window is some seconds.
            let after_ms = |at_us: u64| (at_us.saturating_sub(made_us) / 1_000) as u32;
            ends.push(met.ends(weather, &mut random).map(|end| end.map(|(way, at_us)| (way, after_ms(at_us)))));
        }
    }
    Ok((cell, ends))
}

fn report(plan: &Plan, ring: Cost, cells: impl Iterator<Item = (CellResult, Vec<Ends>)>) -> Report {
    let (mut cost, mut ends, mut ages, mut strangers) = (Cost::default(), Vec::new(), Vec::new(), 0);
    for (cell, of_agents) in cells {
        cost.add(cell.cost);
        ages.extend(cell.ages_ms);
        strangers += cell.strangers;
        ends.extend(of_agents);
    }
    Report {
        settings: plan.settings,
        nodes: plan.nodes.len(),
        cells: plan.cells.len(),
        ended: [0, 1, 2, 3].map(|case| Ended::collect(ends.iter().map(|ends| ends[case]))),
        without_beacons: ages.iter().filter(|age| age.is_none()).count(),
        beacons: ages.into_iter().flatten().map(|age_ms| u32::try_from(age_ms).unwrap_or(u32::MAX)).collect(),
        strangers,
        cell: cost,
        ring,
    }
}
