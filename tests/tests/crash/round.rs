//! One round: a fresh workspace, writers, a kill, and what a fresh mount shows afterwards.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::ScopedJoinHandle;

use anyhow::{Context as _, Result};
use artifacts_tests::crash::{Fault, Generator, History, Image, Kept, MountHistory, OWN, Random, Record, SHARED, Writer, check};
use artifacts_tests::time::{Duration, sleep, wait_until};
use artifacts_tests::{Lab, Mount};
use rustix::process::Signal;

use crate::kill::Kill;

/// What each writer did, and the error that ended it.
type Written = (Vec<Vec<Record>>, Vec<Option<io::Error>>);

/// The most operations of one writer; the checker's work grows with their square.
const MAX_OPERATIONS: usize = 220;
/// The kill comes after at least so many operations of all, and at most so many more.
const MIN_BEFORE: u64 = 10;
const MORE_BEFORE: u64 = 180;
/// And then so long after the operation, in microseconds, at most.
const MAX_DELAY_US: u64 = 5_000;
/// A node that was killed stays away for so long at most, in milliseconds.
const MAX_AWAY_MS: u64 = 150;
/// What a dead agent had sent may still be under way: the tree is read until it stays the same for so long.
const STABLE: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(60);

/// What a round is made of.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) number: u64,
    pub(crate) seed: u64,
    kill: Kill,
    mounts: usize,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) history: History,
    pub(crate) image: Image,
    pub(crate) ended_by: Vec<Option<io::Error>>,
    pub(crate) problem: Option<Problem>,
    left: Vec<usize>,
}

/// Why a round failed.
#[derive(Debug)]
pub(crate) enum Problem {
    /// What is left may not be left.
    Fault(Fault),
    /// A call failed on a mount whose agent lived.
    CallFailed,
}

impl Report {
    pub(crate) fn operations(&self) -> usize {
        self.history.mounts.iter().map(|mount| mount.records.len()).sum()
    }

    /// How many operations had returned and are not there.
    pub(crate) fn cut(&self) -> usize {
        let returned = |mount: &MountHistory| mount.records.iter().filter(|record| record.has_returned()).count();
        self.history.mounts.iter().zip(&self.left).map(|(mount, &left)| returned(mount).saturating_sub(left)).sum()
    }
}

impl Round {
    pub(crate) fn new(number: u64, seed: u64, kill: Kill) -> Self {
        // Every kind of kill meets one mount and two.
        let mounts = 1 + (number / Kill::ALL.len() as u64 % 2) as usize;
        Self { number, seed, kill, mounts }
    }

    pub(crate) fn run(&self, lab: &mut Lab) -> Result<Report> {
        let mut random = Random::new(self.seed.wrapping_mul(31).wrapping_add(self.number));
        let workspace = lab.workspace(&format!("round-{}", self.number))?;
        let mounts =
            (0..self.mounts).map(|mount| lab.mount(&format!("{}-{mount}", self.number), &workspace)).collect::<Result<Vec<_>>>()?;
        self.prepare(&mounts)?;
        let (records, ended_by) = self.write_and_kill(lab, &mounts, &mut random)?;

        let kept: Vec<Kept> = (0..self.mounts).map(|mount| if self.loses(mount) { Kept::Synced } else { Kept::Returned }).collect();
        let call_failed = kept.iter().zip(&ended_by).any(|(kept, ended_by)| *kept == Kept::Returned && ended_by.is_some());
        for (mount, kept) in mounts.into_iter().zip(&kept) {
            match kept {
                Kept::Returned if !call_failed => mount.unmount()?,
                _ => mount.tear_down()?,
            }
        }
        let mounts = records.into_iter().zip(kept).map(|(records, kept)| MountHistory { records, kept }).collect();
        let history = History { mounts };
        let fresh = lab.mount(&format!("{}-after", self.number), &workspace)?;
        let image = settled_image(&fresh)?;
        fresh.unmount()?;
        let (left, problem) = match check(&history, &image) {
            Ok(left) => (left, call_failed.then_some(Problem::CallFailed)),
            Err(fault) => (vec![MAX_OPERATIONS; self.mounts], Some(Problem::Fault(fault))),
        };
        Ok(Report { history, image, ended_by, problem, left })
    }

    fn prepare(&self, mounts: &[Mount]) -> Result<()> {
        let first = mounts.first().context("a round has mounts")?;
        let own = (0..self.mounts).map(|mount| format!("{OWN}{mount}"));
        for directory in own.chain([SHARED.to_owned()]) {
            fs::create_dir(first.join(directory))?;
        }
        fs::File::open(first.path())?.sync_all()?;
        Ok(())
    }

    /// Whether the kill takes the agent of this mount.
    fn loses(&self, mount: usize) -> bool {
        match self.kill {
            Kill::Agent => mount == 0,
            Kill::Node => false,
            Kill::Both | Kill::NodeThenAgents => true,
        }
    }

    fn write_and_kill(&self, lab: &mut Lab, mounts: &[Mount], random: &mut Random) -> Result<Written> {
        let (stop, done) = (AtomicBool::new(false), AtomicUsize::new(0));
        let seed = random.next();
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..self.mounts)
                .map(|writer| {
                    let generator = Generator::new(writer, self.mounts, seed);
                    let writer = Writer::new(mounts[writer].path(), generator, seed ^ writer as u64);
                    let (stop, done) = (&stop, &done);
                    scope.spawn(move || writer.run(MAX_OPERATIONS, stop, done))
                })
                .collect();
            let killed = self.kill_when_due(lab, mounts, random, &done, &writers);
            stop.store(true, Ordering::Release);
            let ended = writers.into_iter().map(|writer| writer.join().ok().context("a writer panicked")).collect::<Result<Vec<_>>>();
            killed?;
            Ok(ended?.into_iter().unzip())
        })
    }

    fn kill_when_due<T>(
        &self,
        lab: &mut Lab,
        mounts: &[Mount],
        random: &mut Random,
        done: &AtomicUsize,
        writers: &[ScopedJoinHandle<'_, T>],
    ) -> Result<()> {
        let wait_for = |operations: usize| {
            wait_until("the writers get on", PATIENCE, || {
                Ok(done.load(Ordering::Acquire) >= operations || writers.iter().all(ScopedJoinHandle::is_finished))
            })
        };
        wait_for((MIN_BEFORE + random.below(MORE_BEFORE)) as usize)?;
        sleep(Duration::from_micros(random.below(MAX_DELAY_US)));
        let pause = Duration::from_millis(random.below(MAX_AWAY_MS));
        let agents: Vec<_> = mounts.iter().enumerate().filter(|(mount, _)| self.loses(*mount)).map(|(_, mount)| mount.agent()).collect();
        let kill_agents = || agents.iter().try_for_each(|agent| agent.signal(Signal::KILL));
        match self.kill {
            Kill::Agent => kill_agents()?,
            Kill::Node => {
                lab.node.kill()?;
                sleep(pause);
                lab.node.start_again()?;
                // Some more, to see that the mount goes on.
                wait_for(done.load(Ordering::Acquire) + 10)?;
            }
            Kill::Both => {
                // In either order, as close as two calls can be.
                if random.below(2) == 0 {
                    lab.node.kill()?;
                    kill_agents()?;
                } else {
                    kill_agents()?;
                    lab.node.kill()?;
                }
                lab.node.start_again()?;
            }
            Kill::NodeThenAgents => {
                lab.node.kill()?;
                sleep(pause);
                kill_agents()?;
                lab.node.start_again()?;
            }
        }
        Ok(())
    }
}

/// What a mount shows once it shows the same twice. A mount that was made while the node still waited for agents of the
/// time before may have to prove first that its own session stands, and until then answers EIO.
fn settled_image(mount: &Mount) -> Result<Image> {
    let mut last = None;
    wait_until("the tree is read and stays as it is", PATIENCE, || {
        let image = match Image::read(mount.path()) {
            Err(error) if is_eio(&error) => None,
            read => Some(read?),
        };
        let is_settled = image.is_some() && image == last;
        last = image;
        if !is_settled {
            sleep(STABLE);
        }
        Ok(is_settled)
    })?;
    last.context("nothing was read")
}

fn is_eio(error: &anyhow::Error) -> bool {
    error.root_cause().downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) == Some(libc::EIO)
}
