//! A store and blobs that fail, answer late or lose their answers, and crashes in between: what was reported durable is
//! there, the rest is a prefix of the workspace's order, and what is sent again happens once.

use std::collections::BTreeMap;

use artifacts_core::SegmentId;
use artifacts_core::namespace::{Checksums, RenameMode, Source};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};

use super::*;
use crate::blob::BlobOp;
use crate::store::fault::{DelayHook, Fault, FaultPlan};
use crate::store::{FaultyStore, KeyRange, Store, StoreError, StoreOp};

const SEEDS: u64 = 48;
/// How often the process dies, for each seed.
const LIVES: u64 = 4;
const WRITERS: u64 = 2;
const MOST_OPS_IN_A_LIFE: u64 = 24;
/// The session that only looks.
const READER: u128 = 9;
/// A guard against hangs; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// splitmix64: which fault, which op, from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

/// What an agent remembers: the ops it sent, and what it heard of them.
struct Writer {
    id: u64,
    sent: Vec<Sent>,
    /// How many were reported durable.
    durable: u64,
}

struct Sent {
    mutation: Mutation,
    /// The op's place in the workspace's order, once it is known.
    order: Option<u64>,
}

/// Every three ops make a file, write to it and rename it: the tree says exactly how many were done.
impl Writer {
    fn mutation(&self, seq: u64, segment: Option<SegmentId>) -> Mutation {
        let ino = LEASED * self.id + seq / 3;
        match seq % 3 {
            1 => file(&self.name(seq), ino),
            2 => {
                let data = Bytes::from(vec![seq as u8; len(seq) as usize]);
                let source = segment.map(|segment| Source::Block {
                    segment,
                    block_offset: 0,
                    block_len: data.len() as u32,
                    checksums: Checksums::of(&data),
                    skip: 0,
                });
                let extent = source.map_or_else(|| Extent::inline(data), |source| Extent { len: len(seq), source });
                Mutation::Write { ino: Ino(ino), position: Position::End, extents: vec![extent], kill_privileges: false }
            }
            _ => {
                let (from, to) = (name(&self.name(seq - 2)), name(&self.name(seq)));
                Mutation::Rename { parent: Ino::ROOT, name: from, new_parent: Ino::ROOT, new_name: to, mode: RenameMode::Replace }
            }
        }
    }

    fn name(&self, seq: u64) -> String {
        format!("{}-{seq}", self.id)
    }

    /// The files of this writer, with their lengths, after so many ops.
    fn after(&self, ops: u64) -> Tree {
        let file = |first: u64| {
            let last = ops.min(first + 2);
            let name = self.name(if last == first + 2 { last } else { first });
            (name, if last > first { u64::from(len(first + 1)) } else { 0 })
        };
        (1..=ops).step_by(3).map(file).collect()
    }

    fn note(&mut self, frame: ServerFrame) -> Result<(), String> {
        match frame {
            ServerFrame::Durable { seq } => self.durable = self.durable.max(seq),
            ServerFrame::Applied(results) => {
                for result in results {
                    result.result.map_err(|errno| format!("op {} of {} answers {errno:?}", result.seq, self.id))?;
                    let sent = &mut self.sent[result.seq as usize - 1];
                    sent.order = sent.order.or(Some(result.order));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

type Tree = BTreeMap<String, u64>;

const fn len(seq: u64) -> u32 {
    10 + seq as u32
}

/// What one seed has seen.
#[derive(Debug, Default)]
struct Seen {
    faults: u64,
    /// Ops that a crash took.
    lost: u64,
    deaths: u64,
}

/// A workspace, its writers, and how their store is wrapped.
struct Trial {
    lab: Lab,
    writers: Vec<Writer>,
    random: Random,
    wrap: fn(Arc<MemoryStore>) -> Arc<dyn Store>,
    seen: Seen,
}

impl Trial {
    async fn run(seed: u64, wrap: fn(Arc<MemoryStore>) -> Arc<dyn Store>) -> Result<Seen, String> {
        let mut lab = Lab::new().await;
        lab.faulty = Some(Arc::new(FaultyBlobs::new(lab.blobs.clone(), FaultPlan::new(seed))));
        let writers = (1..=WRITERS).map(|id| Writer { id, sent: Vec::new(), durable: 0 }).collect();
        let mut trial = Self { lab, writers, random: Random(seed), wrap, seen: Seen::default() };
        for life in 0..LIVES {
            trial.live(life, true).await?;
            let left = trial.look().await?;
            trial.judge(&left)?;
        }
        trial.live(LIVES, false).await?;
        let left = trial.look().await?;
        for (writer, left) in trial.writers.iter().zip(left) {
            if (left, writer.durable) != (writer.sent.len() as u64, writer.sent.len() as u64) {
                return Err(format!("in the end {left} of {} ops are there, {} durable", writer.sent.len(), writer.durable));
            }
        }
        Ok(trial.seen)
    }

    /// A life of the process: the writers come back and send again, and go on; then, if it `ends_badly`, it dies.
    async fn live(&mut self, life: u64, ends_badly: bool) -> Result<(), String> {
        let store = Arc::new(FaultyStore::new((self.wrap)(self.lab.store.clone()), FaultPlan::new(life)));
        let mut context = Arc::into_inner(self.lab.context()).unwrap();
        context.store = store.clone();
        context.catalog = Catalog::new(store.clone());
        let on_record =
            if life == 0 { Vec::new() } else { self.writers.iter().map(|writer| SessionId::from_bits(writer.id.into())).collect() };
        let actor = self.lab.start_in(Arc::new(context), on_record).await;
        let mut mounts = Vec::new();
        for writer in &self.writers {
            mounts.push(Mount::attach(&actor, writer.id.into(), Mode::Rw, life > 0).await);
        }
        if ends_badly {
            store.set_plan(plan(self.random.below(u64::MAX)));
        }
        for (writer, mount) in self.writers.iter().zip(&mounts).filter(|_| life > 0) {
            for (sent, seq) in writer.sent.iter().zip(1..).skip(writer.durable as usize) {
                mount.send_op(seq, sent.order, sent.mutation.clone());
            }
            mount.send(ClientFrame::ResendDone { open: vec![] });
        }
        let ops = self.random.below(MOST_OPS_IN_A_LIFE);
        for _ in 0..ops {
            let writer = self.random.below(WRITERS) as usize;
            if !self.send(writer, &mut mounts).await? {
                break;
            }
        }
        if ends_badly {
            pause(self.random.below(250)).await;
            let kept = self.random.below(3) as usize;
            // An actor that died of an error of the store has lost its memory only.
            let has_died = !matches!(actor.get_status(), ractor::ActorStatus::Running);
            self.seen.deaths += u64::from(has_died);
            if !has_died || self.random.below(2) == 0 {
                self.lab.store = Arc::new(self.lab.store.crash_keeping(kept));
                self.lab.writer = Arc::default();
            }
            actor.kill();
        } else {
            self.settle(&mut mounts).await?;
            actor.stop(None);
        }
        // What had been said before was said.
        for (writer, mount) in self.writers.iter_mut().zip(&mut mounts) {
            while let Ok(frame) = mount.frames.try_recv() {
                writer.note(frame)?;
            }
        }
        self.seen.faults += store.injected();
        Ok(())
    }

    /// One more op of a writer; whether the workspace lives.
    async fn send(&mut self, writer: usize, mounts: &mut [Mount]) -> Result<bool, String> {
        let seq = self.writers[writer].sent.len() as u64 + 1;
        let is_large = seq % 3 == 2 && self.random.below(2) == 0;
        let segment = is_large.then(|| SegmentId::from_bits(u128::from(self.writers[writer].id << 32 | seq)));
        if let Some(segment) = segment {
            self.put(segment, seq).await;
        }
        let (writer, mount) = (&mut self.writers[writer], &mut mounts[writer]);
        let mutation = writer.mutation(seq, segment);
        mount.send_op(seq, None, mutation.clone());
        writer.sent.push(Sent { mutation, order: None });
        match self.random.below(4) {
            // Goes on at once, as if it had several calls under way.
            0 => return Ok(true),
            1 => mount.send(ClientFrame::Flush { seq }),
            _ => {}
        }
        while writer.sent[seq as usize - 1].order.is_none() {
            match tokio::time::timeout(PATIENCE, mount.frames.recv()).await {
                Ok(Some(frame)) => writer.note(frame)?,
                Ok(None) => return Ok(false),
                Err(_) => return Err(format!("no answer to op {seq} of {}", writer.id)),
            }
        }
        Ok(true)
    }

    /// Puts a segment as an agent does: again, until it is told that it is there.
    async fn put(&mut self, segment: SegmentId, seq: u64) {
        let faulty = self.lab.faulty.clone().unwrap();
        let plan = FaultPlan::new(self.random.below(u64::MAX));
        faulty.set_plan(plan.with_probability(BlobOp::Put, 0.3, Fault::Fail).with_probability(BlobOp::Put, 0.3, Fault::LoseAnswer));
        let key = segment_key(self.lab.record.id, segment).unwrap();
        while faulty.put(&key, Bytes::from(vec![seq as u8; len(seq) as usize])).await.is_err() {}
        self.seen.faults += u64::from(faulty.injected() > 0);
        faulty.set_plan(FaultPlan::new(0));
    }

    /// Waits until everything is durable.
    async fn settle(&mut self, mounts: &mut [Mount]) -> Result<(), String> {
        for (writer, mount) in self.writers.iter_mut().zip(mounts) {
            let seq = writer.sent.len() as u64;
            mount.send(ClientFrame::Flush { seq });
            while writer.durable < seq {
                let frame = tokio::time::timeout(PATIENCE, mount.frames.recv()).await;
                writer.note(frame.ok().flatten().ok_or("the workspace does not settle")?)?;
            }
        }
        Ok(())
    }

    /// How many ops of each writer a reader finds.
    async fn look(&self) -> Result<Vec<u64>, String> {
        let actor = self.lab.start(vec![]).await;
        let mut reader = Mount::attach(&actor, READER, Mode::Ro, false).await;
        let Ok(Answer::Entries(entries)) = reader.ask(Request::ReadDir { dir: Ino::ROOT, after: None, limit: 1_000 }).await else {
            return Err("the root cannot be read".into());
        };
        let mut tree = Tree::new();
        for entry in entries {
            let Ok(Answer::Attr(attr)) = reader.ask(Request::Attr { ino: entry.ino }).await else {
                return Err("an entry names nothing".into());
            };
            tree.insert(String::from_utf8_lossy(entry.name.as_bytes()).into_owned(), attr.size);
        }
        actor.kill();
        let count = |writer: &Writer| {
            let prefix = format!("{}-", writer.id);
            let own: Tree = tree.clone().into_iter().filter(|(name, _)| name.starts_with(&prefix)).collect();
            let found = (0..=writer.sent.len() as u64).find(|&ops| writer.after(ops) == own);
            found.ok_or_else(|| format!("no prefix of the ops of {} gives {own:?}", writer.id))
        };
        self.writers.iter().map(count).collect()
    }

    /// What was reported durable is there, and what is there comes before what is not.
    fn judge(&mut self, left: &[u64]) -> Result<(), String> {
        let (mut last_kept, mut first_lost) = (0, u64::MAX);
        for (writer, &left) in self.writers.iter().zip(left) {
            if left < writer.durable {
                return Err(format!("{left} ops of {} are left, {} had been reported durable", writer.id, writer.durable));
            }
            let (kept, lost) = writer.sent.split_at(left as usize);
            last_kept = last_kept.max(kept.iter().filter_map(|sent| sent.order).max().unwrap_or(0));
            first_lost = first_lost.min(lost.iter().filter_map(|sent| sent.order).min().unwrap_or(u64::MAX));
            self.seen.lost += lost.len() as u64;
        }
        if last_kept >= first_lost {
            return Err(format!("the op at {last_kept} is left and the one at {first_lost} is not"));
        }
        Ok(())
    }
}

fn plan(seed: u64) -> FaultPlan<StoreOp> {
    let late: DelayHook<StoreOp> = Arc::new(|op| async move { pause(if op == StoreOp::Write { 15 } else { 0 }).await }.boxed());
    let plan = FaultPlan::new(seed).delayed_by(late);
    let plan = plan.with_probability(StoreOp::Write, 0.25, Fault::Fail).with_probability(StoreOp::Write, 0.25, Fault::LoseAnswer);
    plan.with_probability(StoreOp::Get, 0.01, Fault::Fail).with_probability(StoreOp::Scan, 0.01, Fault::Fail)
}

async fn pause(ms: u64) {
    if ms > 0 {
        let _ = tokio::time::timeout(Duration::from_millis(ms), std::future::pending::<()>()).await;
    }
}

#[tokio::test]
async fn what_was_reported_durable_survives_faults_and_crashes_and_the_rest_is_a_prefix() {
    let outcomes = join_all((0..SEEDS).map(|seed| Trial::run(seed, |store| store))).await;
    let mut total = Seen::default();
    for (seed, outcome) in outcomes.into_iter().enumerate() {
        let seen = outcome.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        total.faults += seen.faults;
        total.lost += seen.lost;
        total.deaths += seen.deaths;
    }
    assert!(total.faults > SEEDS && total.lost > 0 && total.deaths > 0, "the trials were too kind: {total:?}");
}

/// Says that writes are durable when they are only visible.
struct Boaster(Arc<MemoryStore>);

impl Store for Boaster {
    fn get(&self, key: &[u8]) -> BoxFuture<'_, Result<Option<Bytes>, StoreError>> {
        self.0.get(key)
    }

    fn scan(&self, range: KeyRange, limit: usize) -> BoxFuture<'_, Result<Vec<(Bytes, Bytes)>, StoreError>> {
        self.0.scan(range, limit)
    }

    fn write(&self, batch: Batch, _: Durability) -> BoxFuture<'_, Result<(), StoreError>> {
        self.0.write(batch, Durability::Visible)
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.0.close()
    }
}

#[tokio::test]
async fn a_store_that_reports_durable_too_early_is_found() {
    let outcomes = join_all((0..16).map(|seed| Trial::run(seed, |store| Arc::new(Boaster(store))))).await;
    let found = outcomes.iter().filter(|outcome| outcome.as_ref().is_err_and(|error| error.contains("reported durable"))).count();
    assert!(found > 0, "{outcomes:?}");
}
