use std::fs::{self, File};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use artifacts_tests::crash::Random;
use artifacts_tests::linearizability::files::State;
use artifacts_tests::linearizability::programs::{DIRS, Group, Histories, add, survey};
use artifacts_tests::linearizability::{Verdict, keep};
use artifacts_tests::time::{Duration, monotonic_ns, now, sleep};
use artifacts_tests::{Scratch, Table, percentile};

use crate::event::{Class, Event, What};
use crate::holder::{self, final_count};
use crate::journal::{self, Saved, compare};
use crate::judge::{at_rest, forgive, judge};
use crate::lives::Lives;
use crate::mounts::{MOUNTS, Mounts};
use crate::round::{self, Numbers, Outcome};
use crate::site::Site;
use crate::turns::{Fairness, Turn};

/// What the product is to keep to on a quiet machine, in seconds.
const PAUSE_GOAL_S: f64 = 5.0;
/// No call may take longer on any machine, in seconds.
const PAUSE_LIMIT_S: f64 = 60.0;

/// A workspace under load, and what is known of it.
pub(crate) struct Run {
    site: Site,
    mounts: Mounts,
    lives: Lives,
    seed: u64,
    random: Random,
    numbers: Numbers,
    started: Instant,
    checking: Duration,
    /// What each group may hold; nothing of one that is not judged any more, because a mount that was replaced left too much open.
    states: Vec<Vec<State>>,
    ops: u64,
    violations: usize,
    saved: Vec<Saved>,
    flocks: Vec<Turn>,
    unsure: u64,
    named: Vec<Turn>,
    failed_calls: usize,
    lost_early: usize,
    /// What must not be, and was.
    complaints: Vec<String>,
    pauses: Vec<(Class, Vec<f64>)>,
}

impl Run {
    /// Starts the cluster and mounts; `None` where that is not possible.
    pub(crate) fn start(scratch: &Arc<Scratch>, seed: u64, limit: Duration) -> Result<Option<Self>> {
        let Some(mut site) = Site::start(scratch, limit)? else { return Ok(None) };
        let mounts = Mounts::new(&mut site)?;
        let root = mounts.path(0);
        for group in Group::all() {
            for dir in 0..DIRS {
                fs::create_dir_all(root.join(group.dir(dir)))?;
            }
            File::create(root.join(group.lock()))?;
        }
        fs::create_dir(root.join(journal::DIR))?;
        File::create(root.join(holder::FILE))?;
        Ok(Some(Self {
            site,
            mounts,
            lives: Lives::new(monotonic_ms()),
            seed,
            random: Random::new(seed),
            numbers: Numbers { round: 0, client: 0, records: [0; MOUNTS] },
            started: now(),
            checking: Duration::ZERO,
            states: Group::all().map(|_| vec![State::default()]).collect(),
            ops: 0,
            violations: 0,
            saved: Vec::new(),
            flocks: Vec::new(),
            unsure: 0,
            named: Vec::new(),
            failed_calls: 0,
            lost_early: 0,
            complaints: Vec::new(),
            pauses: Vec::new(),
        }))
    }

    /// Everything that is to happen, and the decision on it.
    pub(crate) fn events(mut self, kills: usize, cuts: usize) -> Result<()> {
        for event in Event::draw(kills, cuts, &mut self.random) {
            self.numbers.round += 1;
            if let Err(error) = self.event(event) {
                self.site.show_logs();
                return Err(error.context(format!("round {}: {event}", self.numbers.round)));
            }
            if self.violations > 0 {
                break;
            }
        }
        self.end()
    }

    fn event(&mut self, event: Event) -> Result<()> {
        if let What::Kill { .. } = event.what {
            let node = event.node(&self.site)?;
            sleep(self.lives.rest(node, monotonic_ms()));
            self.lives.begin(node, monotonic_ms());
        }
        let first_client = self.numbers.client;
        let outcome = round::run(&mut self.site, &self.mounts, event, &mut self.numbers, &mut self.random)?;
        let Outcome { mut histories, saved, held, named, pauses_s, took } = outcome;
        let longest_s = pauses_s.iter().copied().fold(0.0, f64::max);
        println!(
            "{:>3}. {event}: all serve after {:.1} s, the longest pause {longest_s:.1} s; {} ops, {} fsyncs, {} + {} locks",
            self.numbers.round,
            took.as_secs_f64(),
            histories.iter().map(Vec::len).sum::<usize>(),
            saved.len(),
            held.iter().map(|held| held.turns.len()).sum::<usize>(),
            named.iter().map(|named| named.turns.len()).sum::<usize>(),
        );
        self.pauses.push((event.class(), pauses_s));
        self.saved.extend(saved);
        for held in held {
            self.flocks.extend(held.turns);
            self.unsure += held.unsure;
            self.complaints.extend(held.overwritten);
        }
        for named in named {
            self.named.extend(named.turns);
            self.failed_calls += named.failed;
            self.lost_early += named.lost_early.len();
            self.complaints.extend(named.lost_early.into_iter().map(|lost| format!("a lock was lost before its time: {lost}")));
        }
        let replaced = self.mounts.recover(&mut self.site)?;
        for &mount in &replaced {
            histories.iter_mut().for_each(|history| forgive(history, first_client + mount as u16));
        }
        add(&mut histories, self.look()?);
        let start = now();
        // What a mount was asked before it was looked at has happened by now, or never will.
        let end_ns = monotonic_ns();
        for op in histories.iter_mut().flatten() {
            op.returned_ns.get_or_insert(end_ns);
        }
        self.judge(event, &histories, !replaced.is_empty())?;
        self.checking += start.elapsed();
        Ok(())
    }

    /// Looks at everything on every mount.
    fn look(&mut self) -> Result<Histories> {
        let first = self.numbers.client;
        self.numbers.client += MOUNTS as u16;
        std::thread::scope(|scope| {
            let looks = self.mounts.paths().zip(first..).map(|(root, client)| scope.spawn(move || survey(client, root)));
            let mut all = Histories::new();
            for look in looks.collect::<Vec<_>>() {
                add(&mut all, look.join().map_err(|_| anyhow::anyhow!("a look at a mount panicked"))??);
            }
            Ok(all)
        })
    }

    fn judge(&mut self, event: Event, histories: &Histories, has_forgiven: bool) -> Result<()> {
        for (group, history) in histories.iter().enumerate().filter(|(group, _)| !self.states[*group].is_empty()).collect::<Vec<_>>() {
            self.ops += history.len() as u64;
            let round = self.numbers.round;
            match judge(&self.states[group], history) {
                Verdict::Linearizable { states } => self.states[group] = at_rest(states),
                Verdict::Violation(violation) => {
                    let about = format!("FAILOVER_SEED={} round {round} group {group}: {event}", self.seed);
                    let file = keep(&format!("failover-{}-{round}-{group}", self.seed), &about, history, &violation)?;
                    self.violations += 1;
                    self.complaints.push(format!("{about}: a violation, kept in {}", file.display()));
                }
                Verdict::Undecided { returned } if has_forgiven => {
                    println!("     group {group} is not judged any more: undecided after {returned} of {} operations", history.len());
                    self.states[group].clear();
                }
                Verdict::Undecided { returned } => bail!("undecided after {returned} of {} operations of group {group}", history.len()),
            }
        }
        Ok(())
    }

    /// Unmounts, and compares what there is with what was promised.
    fn end(mut self) -> Result<()> {
        let replaced = self.mounts.replaced;
        self.mounts.unmount()?;
        let fresh = self.site.mount(0, "fresh")?;
        let found = compare(fresh.path(), &self.saved)?;
        let count = final_count(fresh.path())?;
        fresh.unmount()?;
        let report = self.site.check()?;
        ensure!(report["clean"] == true, "{report:#}");

        let flocks = std::mem::take(&mut self.flocks);
        let (sure, grants) = (flocks.iter().filter(|turn| turn.number.is_some()).count() as u64, flocks.len() + self.named.len());
        if !(sure..=sure + self.unsure).contains(&count) {
            self.complaints.push(format!("the count is {count} after {sure} holders have raised it, and {} perhaps", self.unsure));
        }
        let fairness = [Fairness::of(flocks), Fairness::of(std::mem::take(&mut self.named))];
        let double: usize = fairness.iter().map(|fairness| fairness.double.len()).sum();
        for Fairness { double, disorder, .. } in &fairness {
            self.complaints.extend(double.iter().map(|(one, other)| format!("two holders: {one:?} and {other:?}")));
            self.complaints.extend(disorder.iter().map(|(one, other)| format!("numbers that do not grow: {one:?} and {other:?}")));
        }
        self.complaints.extend(found.complaints.iter().cloned());
        print_pauses(&self.pauses);
        let mut table = Table::new(&["checked", ""]);
        let mut row = |what: &str, value: String| table.row(vec![what.to_owned(), value]);
        row("operations", self.ops.to_string());
        row("violations of one order", self.violations.to_string());
        row("groups not judged to the end", self.states.iter().filter(|states| states.is_empty()).count().to_string());
        row("fsynced bytes compared", found.bytes.to_string());
        row("fsynced bytes lost", found.lost_bytes.to_string());
        row("lock grants", grants.to_string());
        row("double holders", double.to_string());
        row("holders refused before their time", self.lost_early.to_string());
        row("holders told late, longest, ms", format!("{:.0}", fairness[0].told_late_ns as f64 / 1e6));
        row("API calls refused or failed", self.failed_calls.to_string());
        row("mounts failed for good and replaced", replaced.to_string());
        row("seconds", format!("{:.0}", self.started.elapsed().as_secs_f64()));
        row("seconds of it checking", format!("{:.0}", self.checking.as_secs_f64()));
        row("FAILOVER_SEED", self.seed.to_string());
        table.print();
        if !self.complaints.is_empty() {
            self.site.show_logs();
        }
        ensure!(self.complaints.is_empty(), "{} promises broken:\n{}", self.complaints.len(), self.complaints.join("\n"));
        let longest_s = self.pauses.iter().flat_map(|(_, pauses)| pauses).copied().fold(0.0, f64::max);
        ensure!(longest_s < PAUSE_LIMIT_S, "a call took {longest_s:.1} s");
        Ok(())
    }
}

fn monotonic_ms() -> u64 {
    monotonic_ns() / 1_000_000
}

fn print_pauses(all: &[(Class, Vec<f64>)]) {
    let mut table = Table::new(&["pauses of mounts", "events", "p50 s", "p99 s", "max s", "longer than 5 s"]);
    for (class, name) in [(Class::Kill, "kill -9"), (Class::Cut, "cut off"), (Class::Island, "cut off with mounts")] {
        let of_class = all.iter().filter(|(of, _)| *of == class);
        let mut pauses: Vec<f64> = of_class.clone().flat_map(|(_, pauses)| pauses).copied().collect();
        let long = pauses.iter().filter(|pause| **pause > PAUSE_GOAL_S).count();
        let of = pauses.len();
        let mut value = |percent: f64| format!("{:.2}", percentile(&mut pauses, percent));
        table.row(vec![name.to_owned(), of_class.count().to_string(), value(50.0), value(99.0), value(100.0), format!("{long} of {of}")]);
    }
    table.print();
}
