//! The journal on the disk: segments, one of which is being filled, and the checkpoint.
//!
//! Records are appended in the order of their sequences and are durable after the next [`Log::sync`]. A segment is used
//! again only when all its records are freed *and* the checkpoint on the disk says so: until then recovery may need them.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::checkpoint::Checkpoint;
use super::record;
use super::segment::Segment;
use crate::store::{Batch, StoreError};

const CHECKPOINT_FILE: &str = "checkpoint";

/// How large the journal may be.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct LogLimits {
    /// The size of a segment, in bytes. A batch that is larger gets one of its own size, which is removed afterwards.
    pub(in crate::store) segment_bytes: u64,
    /// All segments together, in bytes; exceeded only by a batch that is larger by itself.
    pub(in crate::store) total_bytes: u64,
}

/// Whether records can be appended now.
pub(in crate::store) enum Room {
    /// They can.
    Ready,
    /// The journal is as large as it may get: they can when more of it is freed.
    Wait,
    /// The disk has no room for another segment.
    DiskFull(io::Error),
}

/// The open journal.
pub(in crate::store) struct Log {
    directory: PathBuf,
    limits: LogLimits,
    checkpoint_file: File,
    /// As it is on the disk.
    checkpoint: Checkpoint,
    freed: u64,
    segments: Vec<Segment>,
    /// The segment being filled.
    current: Option<usize>,
    next_number: u64,
    last_sequence: u64,
    synced_sequence: u64,
    /// The records of one append; kept to save the allocation.
    buffer: Vec<u8>,
}

impl Log {
    /// Begins an empty journal with a new id in a directory, using the files of the one before, whose records must all
    /// be durable elsewhere.
    pub(in crate::store) fn start(directory: &Path, journal: u64, limits: LogLimits) -> Result<Self, StoreError> {
        Self::start_io(directory, journal, limits).map_err(StoreError::io)
    }

    fn start_io(directory: &Path, journal: u64, limits: LogLimits) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let checkpoint_file = open_checkpoint(directory)?;
        let before = Checkpoint::read(&checkpoint_file)?.map_or(0, |checkpoint| checkpoint.generation);
        let mut checkpoint = Checkpoint { generation: before, journal, freed: 0 };
        // Both places: no damage to one of them can bring an older id back.
        for _ in 0..2 {
            checkpoint.generation += 1;
            checkpoint.write(&checkpoint_file)?;
        }
        let (mut segments, mut next_number, mut total_bytes) = (Vec::new(), 0, 0);
        for (number, path) in Segment::list(directory)? {
            next_number = next_number.max(number + 1);
            let segment = Segment::reuse(path)?;
            if segment.capacity_bytes == limits.segment_bytes && total_bytes + segment.capacity_bytes <= limits.total_bytes {
                total_bytes += segment.capacity_bytes;
                segments.push(segment);
            } else {
                segment.remove()?;
            }
        }
        sync_directory(directory)?;
        Ok(Self {
            directory: directory.to_owned(),
            limits,
            checkpoint_file,
            checkpoint,
            freed: 0,
            segments,
            current: None,
            next_number,
            last_sequence: 0,
            synced_sequence: 0,
            buffer: Vec::new(),
        })
    }

    /// The last record.
    pub(in crate::store) const fn last_sequence(&self) -> u64 {
        self.last_sequence
    }

    /// Whether every record is durable.
    pub(in crate::store) const fn is_synced(&self) -> bool {
        self.synced_sequence == self.last_sequence
    }

    /// How many bytes a batch takes in the journal.
    pub(in crate::store) fn bytes_of(batch: &Batch) -> usize {
        record::encoded_len(batch)
    }

    /// Makes sure that records of `bytes` in all can be appended, with a new segment if need be.
    pub(in crate::store) fn reserve(&mut self, bytes: usize) -> Result<Room, StoreError> {
        let needed_bytes = bytes as u64;
        if self.current.is_some_and(|current| self.segments[current].room_bytes() >= needed_bytes) {
            return Ok(Room::Ready);
        }
        self.sync()?;
        self.remove_odd_ones()?;
        if let Some(free) = self.free_segment(needed_bytes) {
            self.checkpoint()?;
            self.segments[free].clear();
            self.current = Some(free);
            return Ok(Room::Ready);
        }
        let capacity_bytes = self.limits.segment_bytes.max(needed_bytes);
        let total_bytes: u64 = self.segments.iter().map(|segment| segment.capacity_bytes).sum();
        let in_use = self.segments.iter().any(|segment| segment.last_sequence > self.freed);
        if total_bytes + capacity_bytes > self.limits.total_bytes {
            if in_use {
                return Ok(Room::Wait);
            }
            // What is larger than a segment takes the place of all: nothing in them is needed.
            self.checkpoint()?;
            self.current = None;
            std::mem::take(&mut self.segments).into_iter().try_for_each(Segment::remove).map_err(StoreError::io)?;
        }
        match self.add_segment(capacity_bytes) {
            Ok(()) => Ok(Room::Ready),
            Err(error) if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => Ok(Room::DiskFull(error)),
            Err(error) => Err(StoreError::io(error)),
        }
    }

    /// Appends batches, for which room was reserved, in their order. An error leaves unknown what was written.
    pub(in crate::store) fn append<'a>(&mut self, batches: impl Iterator<Item = &'a Batch>) -> Result<(), StoreError> {
        self.buffer.clear();
        let mut sequence = self.last_sequence;
        for batch in batches {
            sequence += 1;
            record::encode(self.checkpoint.journal, sequence, self.synced_sequence, batch, &mut self.buffer);
        }
        let current = self.current.filter(|&current| self.segments[current].room_bytes() >= self.buffer.len() as u64);
        let Some(current) = current else {
            return Err(StoreError::unavailable("the journal has no room that was reserved"));
        };
        self.segments[current].append(&self.buffer, sequence).map_err(StoreError::io)?;
        self.last_sequence = sequence;
        // One huge batch must not take its memory for good.
        self.buffer.shrink_to(self.limits.segment_bytes as usize);
        Ok(())
    }

    /// Makes every record durable.
    pub(in crate::store) fn sync(&mut self) -> Result<(), StoreError> {
        if !self.is_synced() {
            // The other segments were synced when they were left.
            self.current.map_or(Ok(()), |current| self.segments[current].sync()).map_err(StoreError::io)?;
            self.synced_sequence = self.last_sequence;
        }
        Ok(())
    }

    /// Notes that everything up to a record is durable elsewhere.
    pub(in crate::store) fn free(&mut self, sequence: u64) {
        self.freed = self.freed.max(sequence);
    }

    /// Brings what is freed to the disk. Needed before segments are used again, and useful at the end.
    pub(in crate::store) fn checkpoint(&mut self) -> Result<(), StoreError> {
        if self.checkpoint.freed < self.freed {
            let next = Checkpoint { generation: self.checkpoint.generation + 1, freed: self.freed, ..self.checkpoint };
            next.write(&self.checkpoint_file).map_err(StoreError::io)?;
            self.checkpoint = next;
        }
        Ok(())
    }

    fn free_segment(&self, needed_bytes: u64) -> Option<usize> {
        self.segments.iter().position(|segment| segment.last_sequence <= self.freed && segment.capacity_bytes >= needed_bytes)
    }

    /// Removes segments of an odd size whose records are freed, so that they do not stand in the way of others.
    fn remove_odd_ones(&mut self) -> Result<(), StoreError> {
        let is_odd = |segment: &Segment| segment.capacity_bytes != self.limits.segment_bytes && segment.last_sequence <= self.freed;
        if !self.segments.iter().any(is_odd) {
            return Ok(());
        }
        let (odd, kept) = std::mem::take(&mut self.segments).into_iter().partition(is_odd);
        self.segments = kept;
        self.current = None;
        self.checkpoint()?;
        let odd: Vec<Segment> = odd;
        odd.into_iter().try_for_each(Segment::remove).map_err(StoreError::io)
    }

    fn add_segment(&mut self, capacity_bytes: u64) -> io::Result<()> {
        let segment = Segment::create(&self.directory, self.next_number, capacity_bytes)?;
        self.next_number += 1;
        sync_directory(&self.directory)?;
        self.current = Some(self.segments.len());
        self.segments.push(segment);
        Ok(())
    }
}

/// What the journal in a directory held when it was last used.
pub(in crate::store) struct Remains {
    checkpoint: Option<Checkpoint>,
    segments: Vec<Vec<u8>>,
}

impl Remains {
    /// Reads a journal. One that was never begun has no records.
    pub(in crate::store) fn read(directory: &Path) -> Result<Self, StoreError> {
        Self::read_io(directory).map_err(StoreError::io)
    }

    fn read_io(directory: &Path) -> io::Result<Self> {
        if !directory.try_exists()? {
            return Ok(Self { checkpoint: None, segments: Vec::new() });
        }
        let checkpoint = Checkpoint::read(&open_checkpoint(directory)?)?;
        let paths = Segment::list(directory)?;
        let segments = paths.into_iter().map(|(_, path)| fs::read(path)).collect::<io::Result<_>>()?;
        Ok(Self { checkpoint, segments })
    }

    /// The batches that may not be in the database yet, in their order.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when something is missing that had been durable.
    pub(in crate::store) fn batches(&self) -> Result<impl Iterator<Item = Result<Batch, StoreError>>, StoreError> {
        let Checkpoint { journal, freed, .. } = match self.checkpoint {
            Some(checkpoint) => checkpoint,
            None if self.segments.is_empty() => Checkpoint { generation: 0, journal: 0, freed: 0 },
            None => return Err(corrupt("the journal's checkpoint is damaged")),
        };
        let segments: Vec<&[u8]> = self.segments.iter().map(Vec::as_slice).collect();
        let records = super::replay::replay(journal, freed, &segments).map_err(corrupt)?;
        Ok(records.into_iter().map(|record| record.batch().ok_or_else(|| corrupt("a record of the journal makes no sense"))))
    }
}

fn corrupt(reason: impl ToString) -> StoreError {
    StoreError::Corrupt { reason: reason.to_string() }
}

fn open_checkpoint(directory: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).read(true).write(true).open(directory.join(CHECKPOINT_FILE))
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
