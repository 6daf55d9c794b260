//! How fast everyday work is on a mount, beside JuiceFS with Redis and the local disk in the same run, and what the
//! project takes of memory and objects. `docs/benchmarks.md` says how it is made comparable.
//!
//! `BENCH_SCALE=0.1` does a tenth of it, `BENCH_ROUNDS=1` everything once, `BENCH_ROUNDS=0` measures the bounds alone,
//! `BENCH_ONLY=sealed` only ours with and without encryption, and no bounds.

mod bounds;
mod contestant;
mod figures;
mod floor;
mod juicefs;
mod lines;
mod million;
mod ours;
mod s3_server;
mod scale;
mod server;

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use artifacts_tests::time::Duration;
use artifacts_tests::{Scratch, Tool, require_fuse};

use crate::contestant::{Contestant, LocalDisk};
use crate::figures::Figures;
use crate::floor::Floor;
use crate::juicefs::JuiceFs;
use crate::lines::{Sources, Step, Work, steps};
use crate::ours::Ours;
use crate::s3_server::S3Server;
use crate::scale::Scale;

fn main() -> Result<()> {
    require_fuse()?;
    let (scale, is_only_sealed) = (Scale::chosen()?, is_only_sealed()?);
    let figures = measure_lines(scale, is_only_sealed)?;
    let bounds = if is_only_sealed { Vec::new() } else { bounds::measure(scale)? };
    if !bounds.is_empty() {
        println!();
        bounds::print(&bounds);
    }
    println!("all of it is in {}", figures.write(scale, &bounds)?.display());
    Ok(())
}

/// Whether ours is compared with nobody but itself, encrypted at rest.
fn is_only_sealed() -> Result<bool> {
    match std::env::var("BENCH_ONLY").as_deref() {
        Err(_) => Ok(false),
        Ok("sealed") => Ok(true),
        Ok(other) => bail!("BENCH_ONLY={other}: `sealed` is the only one"),
    }
}

/// All rounds of everything.
fn measure_lines(scale: Scale, is_only_sealed: bool) -> Result<Figures> {
    if scale.rounds == 0 {
        return Ok(Figures::new(Vec::new()));
    }
    let scratch = Arc::new(Scratch::new("bench", Duration::from_secs(6 * 60 * 60))?);
    let sources = Arc::new(Sources::make(&scratch)?);
    let s3 = if is_only_sealed { None } else { s3_server(&scratch)? };
    let mut contestants: Vec<Box<dyn Contestant>> = vec![Box::new(Ours::on_directory()?), Box::new(Ours::sealed()?)];
    if !is_only_sealed {
        contestants.extend(others(&scratch, s3.as_ref())?);
    }
    let mut figures = Figures::new(contestants.iter().map(|contestant| contestant.name().to_owned()).collect());
    for round in 0..scale.rounds {
        run(round, scale, &mut contestants, &sources, &mut figures).inspect_err(|_| scratch.show_logs())?;
    }
    contestants.into_iter().try_for_each(Contestant::end)?;

    println!("\nmedians of {} rounds", scale.rounds);
    figures.print();
    Ok(figures)
}

/// Whoever else can be had on this machine; says who cannot.
fn others(scratch: &Scratch, s3: Option<&S3Server>) -> Result<Vec<Box<dyn Contestant>>> {
    let mut contestants: Vec<Box<dyn Contestant>> = Vec::new();
    let juicefs = Tool::JUICEFS.path().and_then(|_| JuiceFs::has_redis().then_some(()).context("redis-server is missing"));
    match &juicefs {
        Ok(()) => contestants.push(Box::new(JuiceFs::on_directory()?)),
        Err(error) => println!("without JuiceFS: {error:#}"),
    }
    if let Some(server) = s3 {
        contestants.push(Box::new(Ours::on_s3(server)?));
        if juicefs.is_ok() {
            contestants.push(Box::new(JuiceFs::on_s3(server)?));
        }
    }
    match Floor::start() {
        Ok(floor) => contestants.push(Box::new(floor)),
        Err(error) => println!("without the floor: {error:#}"),
    }
    contestants.push(Box::new(LocalDisk::new(&scratch.join("local"))?));
    Ok(contestants)
}

fn s3_server(scratch: &Scratch) -> Result<Option<S3Server>> {
    if !Ours::can_use_s3()? {
        println!("without S3: this build of the node keeps data in a directory only");
        return Ok(None);
    }
    match Tool::WEED.path() {
        Ok(_) => S3Server::start(scratch).map(Some),
        Err(error) => {
            println!("without S3: {error:#}");
            Ok(None)
        }
    }
}

/// One round: each step by all contestants before the next, and another of them first each time.
fn run(round: usize, scale: Scale, contestants: &mut [Box<dyn Contestant>], sources: &Arc<Sources>, figures: &mut Figures) -> Result<()> {
    let works: Vec<Work> =
        contestants.iter().map(|contestant| Work::new(&contestant.path(), round, scale, sources)).collect::<Result<_>>()?;
    if round == 0 {
        println!("{}", works.first().map(Work::describe).unwrap_or_default());
    }
    for (turn, step) in steps().into_iter().enumerate() {
        for place in 0..contestants.len() {
            let index = (place + turn + round) % contestants.len();
            let contestant = &mut contestants[index];
            let done = match &step {
                Step::Measure(line) if !contestant.takes_part(line) => Ok(()),
                Step::PrepareDurable(_) if contestant.name() == Floor::NAME => Ok(()),
                Step::Measure(line) => {
                    line.measure(&works[index]).and_then(|value| contestant.settle().map(|()| figures.note(*line, index, value)))
                }
                Step::Refresh => contestant.refresh(),
                Step::Appendfsync(mode) => contestant.set_appendfsync(*mode),
                Step::Prepare(work) | Step::PrepareDurable(work) => work(&works[index]).and_then(|()| contestant.settle()),
            };
            done.with_context(|| contestant.name().to_owned())?;
        }
    }
    Ok(())
}
