//! Many agents in one process.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use artifacts_core::ticket::TicketFile;
use artifacts_mount::Credential;
use artifacts_mount::headless::{Headless, HeadlessMount};
use artifacts_tests::time::{Duration, now};
use artifacts_tests::{Lab, millis};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::worker::{Done, Worker};

/// How many agents share a workspace.
const OF_A_WORKSPACE: usize = 10;
/// How many sessions open, or end, at the same time.
const AT_A_TIME: usize = 64;
/// How many threads make tickets.
const MAKERS: usize = 4;
/// Longer than all of it takes.
const TICKET_SECONDS: u64 = 2 * 60 * 60;
/// What an agent keeps of blocks, in bytes: thousands of them share one process.
const CACHE_BYTES: usize = 64 << 10;

/// Agents with a session each.
pub(crate) struct Crowd {
    mounts: Vec<Arc<HeadlessMount>>,
}

/// How long each of something took, and all together; and how many came to nothing.
pub(crate) struct Times {
    pub(crate) each_ms: Vec<f64>,
    pub(crate) all_seconds: f64,
    pub(crate) failed: usize,
}

/// So many tickets, for [`OF_A_WORKSPACE`] agents of a workspace each.
pub(crate) fn tickets(lab: &Lab, agents: usize) -> Result<Vec<TicketFile>> {
    let workspaces = agents.div_ceil(OF_A_WORKSPACE);
    let make = |first: usize| -> Result<Vec<TicketFile>> {
        let mut made = Vec::new();
        for workspace in (first..workspaces).step_by(MAKERS) {
            let address = lab.workspace(&format!("w{workspace}"))?;
            for agent in (workspace * OF_A_WORKSPACE..agents).take(OF_A_WORKSPACE) {
                let body = json!({ "workspace": address, "mode": "rw", "ttl_seconds": TICKET_SECONDS });
                made.push(serde_json::from_value(lab.ticket_with("bench", &format!("r{agent}"), &body)?)?);
            }
        }
        Ok(made)
    };
    std::thread::scope(|scope| {
        let makers: Vec<_> = (0..MAKERS).map(|first| scope.spawn(move || make(first))).collect();
        let made = makers.into_iter().map(|maker| maker.join().ok().context("a maker of tickets panicked")?);
        Ok(made.collect::<Result<Vec<_>>>()?.concat())
    })
}

impl Crowd {
    /// Opens a session on each ticket. A node that is too busy refuses some; the others are the crowd.
    pub(crate) async fn gather(tickets: &[TicketFile]) -> Result<(Self, Times)> {
        let headless = Arc::new(Headless::new(None, CACHE_BYTES)?);
        let (start, turns) = (now(), Arc::new(Semaphore::new(AT_A_TIME)));
        let mut openings = JoinSet::new();
        for ticket in tickets.iter().cloned() {
            let (headless, turn) = (Arc::clone(&headless), Arc::clone(&turns).acquire_owned().await?);
            openings.spawn(async move {
                let start = now();
                let mount = headless.mount(&Credential::Ticket(ticket)).await;
                drop(turn);
                (mount, millis(start.elapsed()))
            });
        }
        let (mut mounts, mut each_ms, mut failures) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(opened) = openings.join_next().await {
            match opened? {
                (Ok(mount), took) => {
                    mounts.push(Arc::new(mount));
                    each_ms.push(took);
                }
                (Err(error), _) => failures.push(error),
            }
        }
        if let Some(first) = failures.first() {
            println!("{} sessions did not open: {first}", failures.len());
        }
        ensure!(!mounts.is_empty(), "no session opened");
        Ok((Self { mounts }, Times { each_ms, all_seconds: start.elapsed().as_secs_f64(), failed: failures.len() }))
    }

    /// Lets all of them work for so long.
    pub(crate) async fn work(&self, time: Duration) -> Result<Done> {
        let mut workers = JoinSet::new();
        for (number, mount) in self.mounts.iter().enumerate() {
            workers.spawn(Worker::new(number, self.mounts.len(), Arc::clone(mount)).run(time));
        }
        let mut all = Done::default();
        while let Some(done) = workers.join_next().await {
            all.add(done?);
        }
        Ok(all)
    }

    /// Ends all sessions; failed are those of which not everything could be saved.
    pub(crate) async fn leave(self) -> Times {
        let (start, turns) = (now(), Arc::new(Semaphore::new(AT_A_TIME)));
        let mut endings = JoinSet::new();
        for mount in self.mounts.into_iter().filter_map(Arc::into_inner) {
            let turns = Arc::clone(&turns);
            endings.spawn(async move {
                let _turn = turns.acquire().await;
                let start = now();
                (mount.unmount().await, millis(start.elapsed()))
            });
        }
        let (mut each_ms, mut failed) = (Vec::new(), 0);
        while let Some(Ok((saved, took))) = endings.join_next().await {
            each_ms.push(took);
            failed += usize::from(saved.is_err());
        }
        Times { each_ms, all_seconds: start.elapsed().as_secs_f64(), failed }
    }
}

/// Lets time pass.
pub(crate) async fn wait(time: Duration) {
    let mut ticks = tokio::time::interval(time);
    ticks.reset();
    ticks.tick().await;
}
