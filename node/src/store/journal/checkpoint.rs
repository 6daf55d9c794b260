//! The journal's checkpoint: which journal the segments belong to, and up to where it is not needed any more.
//!
//! A file with two places that are written in turn, so a write that is torn leaves the other. A new id is written to both
//! before the first record that carries it: whichever place is damaged later, the other knows the id.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Marks a place and the version of the whole format.
const MAGIC: [u8; 8] = *b"ARTJRNL1";
/// The distance of the two places: they must not share a block of the disk.
const PLACE_BYTES: u64 = 4096;
const ENCODED_BYTES: usize = 36;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Checkpoint {
    /// Grows with each write; says which place is newer and which one is next.
    pub(super) generation: u64,
    /// The id of the journal.
    pub(super) journal: u64,
    /// The last sequence that is durable elsewhere.
    pub(super) freed: u64,
}

impl Checkpoint {
    /// The newer of the places that are whole.
    pub(super) fn read(file: &File) -> io::Result<Option<Self>> {
        let mut newest: Option<Self> = None;
        for place in 0..2 {
            let mut bytes = [0; ENCODED_BYTES];
            match file.read_exact_at(&mut bytes, place * PLACE_BYTES) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => continue,
                Err(error) => return Err(error),
            }
            newest = newest.max_by_generation(Self::decode(&bytes));
        }
        Ok(newest)
    }

    /// Writes it to the place of its generation and waits for the disk.
    pub(super) fn write(&self, file: &File) -> io::Result<()> {
        file.write_all_at(&self.encode(), self.generation % 2 * PLACE_BYTES)?;
        file.sync_all()
    }

    fn encode(&self) -> [u8; ENCODED_BYTES] {
        let mut bytes = [0; ENCODED_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..16].copy_from_slice(&self.generation.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.journal.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.freed.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..32]);
        bytes[32..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; ENCODED_BYTES]) -> Option<Self> {
        let number = |at: usize| Some(u64::from_le_bytes(bytes[at..at + 8].try_into().ok()?));
        let checkpoint = Self { generation: number(8)?, journal: number(16)?, freed: number(24)? };
        (checkpoint.encode() == *bytes).then_some(checkpoint)
    }
}

trait Newest {
    fn max_by_generation(self, other: Self) -> Self;
}

impl Newest for Option<Checkpoint> {
    fn max_by_generation(self, other: Self) -> Self {
        [self, other].into_iter().flatten().max_by_key(|checkpoint| checkpoint.generation)
    }
}
