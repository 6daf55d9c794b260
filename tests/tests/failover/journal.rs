use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::crash::Random;
use artifacts_tests::time::{Duration, monotonic_ns, sleep};

use crate::mounts::wait_served;
use crate::pauses::Calls;

/// Where journals are, below a mount.
pub(crate) const DIR: &str = "journals";
const MAGIC: u32 = 0x4a52_4e4c;
const HEAD_BYTES: usize = 16;
const PAUSE: Duration = Duration::from_millis(20);

/// Which file records are appended to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Journal {
    /// One writer's own.
    Of(u16),
    /// One that all append to.
    Shared,
}

impl Journal {
    fn name(self) -> String {
        match self {
            Self::Of(writer) => format!("{DIR}/of-{writer}"),
            Self::Shared => format!("{DIR}/shared"),
        }
    }
}

/// A record whose fsync has returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Saved {
    pub(crate) journal: Journal,
    record: Record,
    /// During which event.
    pub(crate) round: usize,
}

/// A record; its bytes follow from this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Record {
    writer: u16,
    number: u32,
    len: u32,
}

impl Record {
    fn bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + self.len as usize + 8);
        for part in [MAGIC, u32::from(self.writer), self.number, self.len] {
            bytes.extend(part.to_le_bytes());
        }
        let mut random = Random::new(u64::from(self.writer) << 32 | u64::from(self.number));
        while bytes.len() < HEAD_BYTES + self.len as usize {
            bytes.extend(random.next().to_le_bytes());
        }
        bytes.truncate(HEAD_BYTES + self.len as usize);
        bytes
    }

    /// The record at the beginning of `bytes`; an error if that is not a whole one.
    fn parse(bytes: &[u8]) -> Result<Self> {
        let (words, _) = bytes.get(..HEAD_BYTES).context("the head is cut off")?.as_chunks::<4>();
        let [magic, writer, number, len] = [0, 1, 2, 3].map(|index| u32::from_le_bytes(words[index]));
        ensure!(magic == MAGIC, "no head, but {:02x?}", &bytes[..HEAD_BYTES]);
        let record = Self { writer: u16::try_from(writer)?, number, len };
        ensure!(bytes.get(..HEAD_BYTES + len as usize) == Some(&record.bytes()), "{record:?} is torn");
        Ok(record)
    }
}

/// A program that appends records with fsync, most to a journal of its own, some to the one that all share.
pub(crate) struct Writer<'a> {
    number: u16,
    next: u32,
    root: &'a Path,
    stop: &'a AtomicBool,
    round: usize,
    random: Random,
    done: Written,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) saved: Vec<Saved>,
    /// The number of the next record, so that none is used twice.
    pub(crate) next: u32,
    pub(crate) calls: Calls,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(number: u16, next: u32, root: &'a Path, stop: &'a AtomicBool, round: usize, seed: u64) -> Self {
        Self { number, next, root, stop, round, random: Random::new(seed), done: Written::default() }
    }

    /// Works until it is stopped.
    pub(crate) fn run(mut self) -> Result<Written> {
        while !self.stop.load(Ordering::SeqCst) {
            let called_ns = monotonic_ns();
            match self.append() {
                Ok(()) => {}
                Err(error) if error.raw_os_error() == Some(libc::EIO) => {
                    if let Some(served_ns) = wait_served(self.root, &format!("writer-{}", self.number), self.stop) {
                        self.done.calls.note(called_ns, served_ns);
                    }
                }
                Err(error) => return Err(error).with_context(|| format!("writer {}", self.number)),
            }
            sleep(PAUSE);
        }
        self.done.next = self.next;
        Ok(self.done)
    }

    fn append(&mut self) -> io::Result<()> {
        let journal = if self.random.below(4) == 0 { Journal::Shared } else { Journal::Of(self.number) };
        // Most travel with the commit, some in a segment.
        let len = if self.random.below(64) == 0 { 100_000 } else { 50 + self.random.below(2_000) as u32 };
        let record = Record { writer: self.number, number: self.next, len };
        self.next += 1;
        let mut file = self.timed(|root| File::options().append(true).create(true).open(root.join(journal.name())))?;
        self.timed(|_| {
            let bytes = record.bytes();
            let written = file.write(&bytes)?;
            if written == bytes.len() { Ok(()) } else { Err(io::Error::other(format!("{written} of {} bytes written", bytes.len()))) }
        })?;
        self.timed(|_| file.sync_all())?;
        self.done.saved.push(Saved { journal, record, round: self.round });
        Ok(())
    }

    fn timed<T>(&mut self, call: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
        let called_ns = monotonic_ns();
        let outcome = call(self.root);
        self.done.calls.note(called_ns, monotonic_ns());
        outcome
    }
}

/// What there is of all that was fsynced.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// So many bytes were compared.
    pub(crate) bytes: u64,
    pub(crate) lost_bytes: u64,
    pub(crate) complaints: Vec<String>,
}

/// Compares all journals below `root` with what was fsynced: each record is there, whole, once, and in the order of its writer.
pub(crate) fn compare(root: &Path, saved: &[Saved]) -> Result<Found> {
    let mut found = Found::default();
    let mut by_journal: BTreeMap<Journal, Vec<&Saved>> = BTreeMap::new();
    for record in saved {
        by_journal.entry(record.journal).or_default().push(record);
    }
    for (journal, saved) in by_journal {
        let bytes = fs::read(root.join(journal.name())).with_context(|| journal.name())?;
        compare_one(journal, &bytes, &saved, &mut found);
    }
    Ok(found)
}

fn compare_one(journal: Journal, mut bytes: &[u8], saved: &[&Saved], found: &mut Found) {
    let (name, len) = (journal.name(), bytes.len());
    let mut last: BTreeMap<u16, u32> = BTreeMap::new();
    let mut there = std::collections::BTreeSet::new();
    while !bytes.is_empty() {
        let record = match Record::parse(bytes) {
            Ok(record) => record,
            Err(error) => {
                found.complaints.push(format!("{name} at {} of {len}: {error:#}", len - bytes.len()));
                break;
            }
        };
        bytes = &bytes[HEAD_BYTES + record.len as usize..];
        if last.insert(record.writer, record.number).is_some_and(|last| last >= record.number) {
            found.complaints.push(format!("{name}: {record:?} comes after a later one of its writer, or twice"));
        }
        there.insert(record);
    }
    for saved in saved {
        let len = HEAD_BYTES as u64 + u64::from(saved.record.len);
        found.bytes += len;
        if !there.contains(&saved.record) {
            found.lost_bytes += len;
            found.complaints.push(format!("{name}: {:?}, fsynced in round {}, is not there", saved.record, saved.round));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u32) -> Record {
        Record { writer: 3, number, len: 100 + number }
    }

    fn compared(bytes: &[u8]) -> Found {
        let saved = [1, 2, 3].map(|number| Saved { journal: Journal::Of(3), record: record(number), round: 0 });
        let mut found = Found::default();
        compare_one(Journal::Of(3), bytes, &saved.iter().collect::<Vec<_>>(), &mut found);
        found
    }

    #[test]
    fn what_is_lost_torn_twice_or_out_of_order_is_found() {
        let bytes = |numbers: &[u32]| numbers.iter().flat_map(|&number| record(number).bytes()).collect::<Vec<_>>();
        let outcome = |bytes: &[u8]| {
            let found = compared(bytes);
            (found.lost_bytes, found.complaints.len())
        };
        assert_eq!(outcome(&bytes(&[1, 2, 3])), (0, 0));
        assert_eq!(outcome(&bytes(&[0, 1, 2, 3, 4])), (0, 0), "what was not fsynced may be there");
        assert_eq!(outcome(&bytes(&[1, 3])), (118, 1));
        assert_eq!(outcome(&bytes(&[1, 2, 2, 3])), (0, 1));
        assert_eq!(outcome(&bytes(&[2, 1, 3])), (0, 1));
        let mut torn = bytes(&[1, 2, 3]);
        torn[200] ^= 1;
        assert_eq!(outcome(&torn), (118 + 119, 3));
        torn = bytes(&[1, 2, 3]);
        torn.truncate(torn.len() - 1);
        assert_eq!(outcome(&torn), (119, 2));
    }
}
