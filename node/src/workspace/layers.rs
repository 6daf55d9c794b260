use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use artifacts_core::SegmentId;
use artifacts_core::namespace::{Changes, Errno, Extent, Ino, Key, Missing, Record, SegmentRecord, Source, Stop, View, encoded_start};

use super::keys::{WorkspaceKeys, segment_key};
use crate::blob::BlobStore;
use crate::store::{Batch, KeyRange, Store, StoreError};

/// Records by encoded key; `None` marks one that is deleted.
type Layer = BTreeMap<Vec<u8>, Option<Record>>;

/// How much memory a generation of clean records may take, in bytes.
const GENERATION_BYTES: usize = 8 << 20;
/// How many records the first load of a range brings. A question that wants more begins anew each time, so each further
/// load brings twice as many.
const RANGE_LOAD: usize = 64;
/// How many a load brings at the most.
const RANGE_LOAD_MAX: usize = 16 << 10;

/// The namespace as layers, newest first: what is not being flushed yet, what is being flushed, clean records that
/// were needed lately, the store. Only the topmost layer is ever written to.
pub(super) struct Layers {
    keys: WorkspaceKeys,
    store: Arc<dyn Store>,
    blobs: Arc<dyn BlobStore>,
    pending: Layer,
    pending_bytes: usize,
    flushing: Layer,
    /// Two generations: the younger is filled; when it is full it becomes the elder, and the elder is dropped.
    clean: [HashMap<Vec<u8>, Option<Record>>; 2],
    young_bytes: usize,
    /// Segments whose objects are being deleted: nothing may name them.
    condemned: BTreeSet<SegmentId>,
    /// The inodes that questions look at, while somebody wants to know.
    noted: Option<BTreeSet<Ino>>,
}

/// What a flush has made durable of the extents it held: where, and how long they are if their bytes are in the store.
pub(super) struct Flushed {
    pub(super) extents: Vec<(Ino, u64, Option<u32>)>,
}

/// Why a question could not be answered.
#[derive(Debug)]
pub(super) enum Failure {
    /// The answer is an errno.
    Refused(Errno),
    /// The store or the blobs failed.
    Store(StoreError),
}

impl Layers {
    pub(super) fn new(keys: WorkspaceKeys, store: Arc<dyn Store>, blobs: Arc<dyn BlobStore>) -> Self {
        Self {
            keys,
            store,
            blobs,
            pending: Layer::new(),
            pending_bytes: 0,
            flushing: Layer::new(),
            clean: Default::default(),
            young_bytes: 0,
            condemned: BTreeSet::new(),
            noted: None,
        }
    }

    /// From now on the inodes that questions look at are noted.
    pub(super) fn begin_noting(&mut self) {
        self.noted = Some(BTreeSet::new());
    }

    /// The inodes that questions have looked at so far.
    pub(super) fn noted(&self) -> Option<&BTreeSet<Ino>> {
        self.noted.as_ref()
    }

    /// The inodes that questions have looked at; nothing is noted any more.
    pub(super) fn end_noting(&mut self) -> BTreeSet<Ino> {
        self.noted.take().unwrap_or_default()
    }

    /// Runs a pure question, and fetches what it misses until it can be answered.
    pub(super) async fn ask<T>(&mut self, mut question: impl FnMut(&LayeredView<'_>) -> Result<T, Stop>) -> Result<T, Failure> {
        let mut ranges: Vec<LoadedRange> = Vec::new();
        // What is not remembered beyond this question.
        let mut passing = HashMap::new();
        loop {
            let noted = self.noted.take().map(RefCell::new);
            let answer = question(&LayeredView { layers: self, ranges: &ranges, passing: &passing, noted: noted.as_ref() });
            self.noted = noted.map(RefCell::into_inner);
            let missing = match answer {
                Ok(answer) => return Ok(answer),
                Err(Stop::Refused(errno)) => return Err(Failure::Refused(errno)),
                Err(Stop::Missing(missing)) => missing,
            };
            match missing {
                Missing::Key(key) => {
                    let record = self.load(&key).await.map_err(Failure::Store)?;
                    let encoded = key.encode();
                    // What stands above the clean records would hide it there.
                    let is_hidden = self.pending.contains_key(&encoded) || self.flushing.contains_key(&encoded);
                    if is_kept(&key, record.as_ref()) && !is_hidden {
                        self.keep_clean(encoded, record);
                    } else {
                        passing.insert(key, record);
                    }
                }
                Missing::From { start, prefix } => match ranges.iter_mut().find(|range| range.ends_before(&start, &prefix)) {
                    Some(range) => {
                        let limit = (2 * range.limit).min(RANGE_LOAD_MAX);
                        let next = self.load_range(start, prefix, limit).await.map_err(Failure::Store)?;
                        range.go_on(next);
                    }
                    None => ranges.push(self.load_range(start, prefix, RANGE_LOAD).await.map_err(Failure::Store)?),
                },
            }
        }
    }

    async fn load(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        let encoded = key.encode();
        let Key::Segment(id) = key else {
            let stored = self.store.get(&self.keys.namespace(&encoded)).await?;
            return stored.map(|bytes| decode(&bytes)).transpose();
        };
        if self.condemned.contains(id) {
            return Ok(None);
        }
        // One that died and is asked for again was deleted above the store.
        let died = self.pending.contains_key(&encoded) || self.flushing.contains_key(&encoded);
        if !died && let Some(bytes) = self.store.get(&self.keys.namespace(&encoded)).await? {
            return decode(&bytes).map(Some);
        }
        // It may have been put by a mount and named by no op yet.
        let object = segment_key(self.keys.0, *id).map_err(|error| corrupt(error.to_string()))?;
        let len = self.blobs.len(&object).await.map_err(|error| StoreError::Unavailable { reason: error.to_string() })?;
        Ok(len.map(|len| Record::Segment(SegmentRecord { len, live_bytes: 0 })))
    }

    async fn load_range(&self, start: Vec<u8>, prefix: Vec<u8>, limit: usize) -> Result<LoadedRange, StoreError> {
        let all = self.keys.namespace(&[]);
        let within = KeyRange::prefix(&self.keys.namespace(&prefix));
        let end = within.end().cloned();
        let range = match &end {
            Some(end) => KeyRange::between(&self.keys.namespace(&start), end),
            None => within,
        };
        let found = self.store.scan(range, limit).await?;
        let whole = found.len() < limit;
        let mut records = BTreeMap::new();
        for (key, value) in found {
            records.insert(key[all.len()..].to_vec(), decode(&value)?);
        }
        let until = if whole { None } else { records.last_key_value().map(|(key, _)| key.clone()) };
        Ok(LoadedRange { prefix, start, until, records, limit })
    }

    fn keep_clean(&mut self, key: Vec<u8>, record: Option<Record>) {
        self.young_bytes += 96 + 2 * key.len() + record.as_ref().map_or(0, clean_weight);
        if self.young_bytes > GENERATION_BYTES {
            self.clean.swap(0, 1);
            self.clean[0] = HashMap::new();
            self.young_bytes = 0;
        }
        self.clean[0].insert(key, record);
    }

    /// Takes in the changes of an op that was applied.
    pub(super) fn absorb(&mut self, changes: Changes) {
        for (key, record) in changes {
            self.pending_bytes += record.as_ref().map_or(32, weight);
            self.pending.insert(key.encode(), record);
        }
    }

    /// Roughly how much memory waits to be flushed, in bytes.
    pub(super) const fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    /// From now on nothing may name this segment.
    pub(super) fn condemn(&mut self, segment: SegmentId) {
        self.condemned.insert(segment);
    }

    /// Its object is gone, or stays.
    pub(super) fn absolve(&mut self, segment: SegmentId) {
        self.condemned.remove(&segment);
    }

    /// Whether its object is being deleted.
    pub(super) fn is_condemned(&self, segment: SegmentId) -> bool {
        self.condemned.contains(&segment)
    }

    /// Remembers a segment that was just put, so that its object need not be asked for its length.
    pub(super) fn know_segment(&mut self, segment: SegmentId, len: u64) {
        let key = Key::Segment(segment).encode();
        let known = |layer: &Layer| layer.contains_key(&key);
        if !known(&self.pending) && !known(&self.flushing) && !self.clean.iter().any(|generation| generation.contains_key(&key)) {
            self.keep_clean(key, Some(Record::Segment(SegmentRecord { len, live_bytes: 0 })));
        }
    }

    /// Whether a change of a segment's record is not durable yet.
    pub(super) fn is_changing(&self, segment: SegmentId) -> bool {
        let key = Key::Segment(segment).encode();
        self.pending.contains_key(&key) || self.flushing.contains_key(&key)
    }

    /// Whether anything lies in a segment, by the records alone.
    pub(super) async fn is_named(&self, segment: SegmentId) -> Result<bool, StoreError> {
        let key = Key::Segment(segment).encode();
        let record = match self.pending.get(&key).or_else(|| self.flushing.get(&key)) {
            Some(record) => record.clone(),
            None => self.store.get(&self.keys.namespace(&key)).await?.map(|bytes| decode(&bytes)).transpose()?,
        };
        Ok(matches!(record, Some(Record::Segment(record)) if record.live_bytes > 0))
    }

    /// Starts a flush: what was pending is now being flushed. There must be none under way. Answers whether it holds data
    /// that is in no segment.
    pub(super) fn begin_flush(&mut self, batch: &mut Batch) -> Result<bool, StoreError> {
        let mut inline = false;
        self.pending_bytes = 0;
        self.flushing = std::mem::take(&mut self.pending);
        for (key, record) in &self.flushing {
            let stored = self.keys.namespace(key);
            match record {
                Some(record) => batch.put(stored, encode(record)?),
                None => batch.delete(stored),
            };
            inline |= matches!(record, Some(Record::Extent(Extent { source: Source::Inline { .. }, .. })));
        }
        Ok(inline)
    }

    /// The flush has ended well: what it held is clean.
    pub(super) fn end_flush(&mut self) -> Flushed {
        let mut extents = Vec::new();
        for (encoded, record) in std::mem::take(&mut self.flushing) {
            let key = Key::decode(&encoded);
            if let Some(Key::Extent(ino, offset)) = key {
                let inline = matches!(&record, Some(Record::Extent(Extent { source: Source::Inline { .. }, .. })));
                let len = record.as_ref().and_then(|record| if let Record::Extent(extent) = record { Some(extent.len) } else { None });
                extents.push((ino, offset, len.filter(|_| inline)));
            }
            if key.is_some_and(|key| is_kept(&key, record.as_ref())) {
                self.keep_clean(encoded, record);
            } else {
                // What an earlier question found there is not true any more.
                self.clean.iter_mut().for_each(|generation| drop(generation.remove(&encoded)));
            }
        }
        Flushed { extents }
    }
}

/// Whether a record is worth a place among the clean ones. Extents are only ever read as ranges; attributes can be
/// large and are rarely read twice; a segment that is not there may be put by a mount any time.
fn is_kept(key: &Key, record: Option<&Record>) -> bool {
    match key {
        Key::Extent(..) | Key::Xattr(..) => false,
        Key::Segment(_) => record.is_some(),
        _ => true,
    }
}

/// Roughly what a clean record takes beside its key, in bytes.
fn clean_weight(record: &Record) -> usize {
    match record {
        Record::Inode(inode) => size_of::<Record>() + inode.target.len(),
        _ => size_of::<Record>(),
    }
}

fn weight(record: &Record) -> usize {
    match record {
        Record::Extent(Extent { source: Source::Inline { data, .. }, .. }) | Record::Xattr(data) => 256 + data.len(),
        _ => 256,
    }
}

pub(super) fn encode(record: &Record) -> Result<Vec<u8>, StoreError> {
    postcard::to_stdvec(record).map_err(|error| corrupt(format!("a record does not encode: {error}")))
}

fn corrupt(reason: String) -> StoreError {
    StoreError::Corrupt { reason }
}

fn decode(bytes: &[u8]) -> Result<Record, StoreError> {
    postcard::from_bytes(bytes).map_err(|error| corrupt(format!("a record does not decode: {error}")))
}

/// What a part of the store's key range holds.
pub(super) struct LoadedRange {
    prefix: Vec<u8>,
    start: Vec<u8>,
    /// The last key that is known about; `None`: all up to the end of the prefix.
    until: Option<Vec<u8>>,
    records: BTreeMap<Vec<u8>, Record>,
    /// How many records its last load was to bring.
    limit: usize,
}

impl LoadedRange {
    /// Whether what begins at `start` follows it without a gap.
    fn ends_before(&self, start: &[u8], prefix: &[u8]) -> bool {
        let follows = |until: &Vec<u8>| start.strip_suffix(&[0]) == Some(&until[..]);
        self.prefix == prefix && self.until.as_ref().is_some_and(follows)
    }

    /// Takes in what follows.
    fn go_on(&mut self, mut next: Self) {
        self.records.append(&mut next.records);
        (self.until, self.limit) = (next.until, next.limit);
    }
}

/// The layers as the machine sees them.
pub(super) struct LayeredView<'a> {
    layers: &'a Layers,
    ranges: &'a [LoadedRange],
    passing: &'a HashMap<Key, Option<Record>>,
    noted: Option<&'a RefCell<BTreeSet<Ino>>>,
}

impl LayeredView<'_> {
    fn note(&self, ino: Option<Ino>) {
        if let Some(noted) = self.noted {
            noted.borrow_mut().extend(ino);
        }
    }

    /// The store's first record from `start` on, as far as it has been loaded.
    fn stored_from(&self, start: &[u8], prefix: &[u8]) -> Result<Option<(&Vec<u8>, &Record)>, Missing> {
        let covers = |range: &&LoadedRange| {
            range.prefix == prefix && *range.start <= *start && range.until.as_ref().is_none_or(|until| **until >= *start)
        };
        let range = self.ranges.iter().find(covers).ok_or_else(|| Missing::From { start: start.to_vec(), prefix: prefix.to_vec() })?;
        // A cut range ends with a record, so where it covers `start` it has one at or after it.
        Ok(range.records.range::<[u8], _>((Bound::Included(start), Bound::Unbounded)).next())
    }
}

impl View for LayeredView<'_> {
    fn get(&self, key: &Key) -> Result<Option<Record>, Missing> {
        self.note(key.owner());
        let encoded = key.encode();
        let Layers { pending, flushing, clean: [young, old], .. } = self.layers;
        let known = pending.get(&encoded).or_else(|| flushing.get(&encoded)).or_else(|| young.get(&encoded)).or_else(|| old.get(&encoded));
        match known {
            // A segment that died may have more in it than was named so far: only its object tells.
            Some(None) if matches!(key, Key::Segment(_)) => self.passing.get(key).cloned().ok_or_else(|| Missing::Key(key.clone())),
            Some(record) => Ok(record.clone()),
            None => self.passing.get(key).cloned().ok_or_else(|| Missing::Key(key.clone())),
        }
    }

    fn first_in(&self, from: Bound<&Key>, prefix: &[u8]) -> Result<Option<(Key, Record)>, Missing> {
        self.note(Key::owner_of(prefix));
        let mut start = encoded_start(from).max(prefix.to_vec());
        loop {
            let first = |layer: &'_ Layer| -> Option<(Vec<u8>, Option<Record>)> {
                let (key, record) = layer.range::<[u8], _>((Bound::Included(&start[..]), Bound::Unbounded)).next()?;
                key.starts_with(prefix).then(|| (key.clone(), record.clone()))
            };
            let stored = self.stored_from(&start, prefix)?.map(|(key, record)| (key.clone(), Some(record.clone())));
            // Of equal keys the newest layer's wins: `min_by` keeps the first of equals.
            let candidates = [first(&self.layers.pending), first(&self.layers.flushing), stored];
            let Some((key, record)) = candidates.into_iter().flatten().min_by(|a, b| a.0.cmp(&b.0)) else { return Ok(None) };
            if let (Some(record), Some(decoded)) = (record, Key::decode(&key)) {
                return Ok(Some((decoded, record)));
            }
            start = key;
            start.push(0);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::blob::MemoryBlobs;
    use crate::store::{Durability, MemoryStore};
    use artifacts_core::WorkspaceId;
    use artifacts_core::namespace::{Ino, orphans};

    #[tokio::test]
    async fn a_question_about_very_many_records_begins_anew_a_few_times_only() {
        const RECORDS: u64 = 50_000;
        let (keys, store) = (WorkspaceKeys(WorkspaceId::from_bits(7)), Arc::new(MemoryStore::new()));
        let mut batch = Batch::new();
        for ino in 1..=RECORDS {
            batch.put(keys.namespace(&Key::Orphan(Ino(ino)).encode()), encode(&Record::Orphan).unwrap());
        }
        store.write(batch, Durability::Visible).await.unwrap();
        let mut layers = Layers::new(keys, store, Arc::new(MemoryBlobs::default()));
        let mut begun = 0;
        let all = layers.ask(|view| {
            begun += 1;
            orphans(view, None, usize::MAX)
        });
        let all = all.await.unwrap();
        assert!(all.iter().map(|ino| ino.0).eq(1..=RECORDS));
        assert!(begun <= 13, "{begun}");
        let some = layers.ask(|view| orphans(view, Some(Ino(100)), 1_000)).await.unwrap();
        assert!(some.iter().map(|ino| ino.0).eq(101..=1_100));
    }
}
