//! Everything works while one event happens.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;

use anyhow::{Context as _, Result};
use artifacts_tests::crash::Random;
use artifacts_tests::linearizability::files::Call;
use artifacts_tests::linearizability::programs::{Client, Histories, add};
use artifacts_tests::time::{Duration, monotonic_ns, now, sleep};

use crate::event::Event;
use crate::holder::{Held, Holder};
use crate::journal::{Saved, Writer};
use crate::mounts::{MOUNTS, Mounts, wait_served};
use crate::named::{self, Named};
use crate::pauses::Calls;
use crate::site::Site;

/// How long everything works before an event and after it.
const CALM: Duration = Duration::from_secs(1);
/// What a client does between two calls, so that two processors suffice for everybody.
const PAUSE: Duration = Duration::from_millis(10);
/// How long a mount may take to serve when the nodes do, before its programs are ended.
const PATIENCE: Duration = Duration::from_secs(20);

/// What came of a round.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) histories: Histories,
    pub(crate) saved: Vec<Saved>,
    pub(crate) held: Vec<Held>,
    pub(crate) named: Vec<Named>,
    /// For how long each mount stood still, in seconds.
    pub(crate) pauses_s: Vec<f64>,
    /// How long the event took, until all nodes and mounts served.
    pub(crate) took: Duration,
}

/// What goes on from round to round.
pub(crate) struct Numbers {
    pub(crate) round: usize,
    /// The next client of the file system.
    pub(crate) client: u16,
    /// The next record of each writer.
    pub(crate) records: [u32; MOUNTS],
}

/// One event under load.
pub(crate) fn run(site: &mut Site, mounts: &Mounts, event: Event, numbers: &mut Numbers, random: &mut Random) -> Result<Outcome> {
    let stop = &AtomicBool::new(false);
    let (round, records) = (numbers.round, numbers.records);
    let mut clients = Vec::new();
    for root in mounts.paths() {
        clients.push(Client::new(numbers.client, root, random.next())?.bearing_loss());
        numbers.client += 1;
    }
    let mut callers = Vec::new();
    for number in 0..named::CLIENTS {
        let nodes = (0..site.nodes.len()).map(|node| site.api(node, &site.key)).collect::<Result<_>>()?;
        callers.push(named::Client::new(number as u16, nodes, &site.workspace(), stop, random.next()));
    }
    let mut outcome = Outcome::default();
    std::thread::scope(|scope| {
        let programs: Vec<_> = mounts
            .paths()
            .zip(clients)
            .enumerate()
            .map(|(mount, (root, client))| scope.spawn(move || work(client, root, &format!("client-{mount}"), stop)))
            .collect();
        let writers: Vec<_> = (0..MOUNTS)
            .map(|mount| Writer::new(mount as u16, records[mount], mounts.path(mount), stop, round, random.next()))
            .map(|writer| scope.spawn(|| writer.run()))
            .collect();
        let holders: Vec<_> = (0..MOUNTS)
            .map(|mount| Holder::new(mount as u16, mounts.path(mount), stop, random.next()))
            .map(|holder| scope.spawn(|| holder.run()))
            .collect();
        let callers: Vec<_> = callers.into_iter().map(|caller| scope.spawn(|| caller.run())).collect();

        sleep(CALM);
        let window = happen(site, mounts, event);
        sleep(CALM);
        stop.store(true, Ordering::SeqCst);

        let mut calls = vec![Calls::default(); MOUNTS];
        for (mount, program) in programs.into_iter().enumerate() {
            let (histories, more) = joined(program)?;
            add(&mut outcome.histories, histories);
            calls[mount].extend(more);
        }
        for (mount, writer) in writers.into_iter().enumerate() {
            let written = joined(writer)?;
            numbers.records[mount] = written.next;
            outcome.saved.extend(written.saved);
            calls[mount].extend(written.calls);
        }
        for (mount, holder) in holders.into_iter().enumerate() {
            let mut held = joined(holder)?;
            calls[mount].extend(std::mem::take(&mut held.calls));
            outcome.held.push(held);
        }
        outcome.named = callers.into_iter().map(joined).collect::<Result<_>>()?;
        let window = window?;
        outcome.took = Duration::from_nanos(window.end - window.start);
        outcome.pauses_s = calls.iter().map(|calls| calls.longest_s(&window)).collect();
        Ok(outcome)
    })
}

/// Lets the event happen, and waits until all mounts serve or will not.
fn happen(site: &mut Site, mounts: &Mounts, event: Event) -> Result<Range<u64>> {
    let begun_ns = monotonic_ns();
    event.happen(site)?;
    let start = now();
    for root in mounts.paths() {
        while let Err(error) = File::open(root.join(crate::holder::FILE)) {
            if error.raw_os_error() != Some(libc::EIO) || start.elapsed() > PATIENCE {
                break;
            }
            sleep(PAUSE);
        }
    }
    Ok(begun_ns..monotonic_ns())
}

/// Asks for one thing after the other.
fn work(mut client: Client, root: &Path, who: &str, stop: &AtomicBool) -> Result<(Histories, Calls)> {
    let mut calls = Calls::default();
    while !stop.load(Ordering::SeqCst) {
        client.step()?;
        if let Some(lost_ns) = client.take_loss() {
            match wait_served(root, who, stop) {
                Some(served_ns) => {
                    client.settle_losses(served_ns)?;
                    calls.note(lost_ns, served_ns);
                }
                None => break,
            }
        }
        sleep(PAUSE);
    }
    let histories = client.finish()?;
    // Who waits for a lock waits for its holder.
    for op in histories.iter().flatten().filter(|op| !matches!(op.call, Call::Lock { .. })) {
        if let Some(returned_ns) = op.returned_ns {
            calls.note(op.called_ns, returned_ns);
        }
    }
    Ok((histories, calls))
}

fn joined<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().ok().context("a program panicked")?
}
