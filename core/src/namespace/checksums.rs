use serde::{Deserialize, Serialize};

/// How much of a block one checksum is over, in bytes: 64 KiB. So a reader of a few bytes fetches and checks no more than
/// that, while the record of a block of 1 MiB stays short.
pub const PART_BYTES: u32 = 64 << 10;

/// The CRC-32C (RFC 3720) of each part of some bytes. Parts are [`PART_BYTES`] long, the last may be shorter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Checksums {
    first: u32,
    /// Of the other parts; for most there are none, and then nothing is allocated.
    rest: Box<[u32]>,
}

impl Checksums {
    /// Those of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut sum = ChecksumsOf::default();
        sum.append(bytes);
        sum.finish()
    }

    /// Whether these are the bytes.
    pub fn match_bytes(&self, bytes: &[u8]) -> bool {
        let mut parts = bytes.chunks(PART_BYTES as usize);
        self.suit(bytes.len())
            && crc32c::crc32c(parts.next().unwrap_or_default()) == self.first
            && parts.zip(&self.rest).all(|(part, sum)| crc32c::crc32c(part) == *sum)
    }

    /// Whether there are as many as bytes of this length have parts.
    pub fn suit(&self, len: usize) -> bool {
        len.div_ceil(PART_BYTES as usize).max(1) == 1 + self.rest.len()
    }

    /// The one of a part, counted from 0.
    pub fn of_part(&self, index: usize) -> Option<u32> {
        index.checked_sub(1).map_or(Some(self.first), |index| self.rest.get(index).copied())
    }

    /// One number for all of them. Where there is one part it is that one's checksum.
    pub fn digest(&self) -> u32 {
        self.rest.iter().fold(self.first, |digest, sum| crc32c::crc32c_append(digest, &sum.to_le_bytes()))
    }
}

/// Computes [`Checksums`] of bytes that come in pieces.
#[derive(Debug, Default)]
pub struct ChecksumsOf {
    full: Vec<u32>,
    last: u32,
    last_len: usize,
}

impl ChecksumsOf {
    /// Takes in the next bytes.
    pub fn append(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.last_len == PART_BYTES as usize {
                self.full.push(std::mem::take(&mut self.last));
                self.last_len = 0;
            }
            let (now, later) = bytes.split_at(bytes.len().min(PART_BYTES as usize - self.last_len));
            self.last = crc32c::crc32c_append(self.last, now);
            self.last_len += now.len();
            bytes = later;
        }
    }

    /// The checksums of all that was taken in.
    pub fn finish(self) -> Checksums {
        let Self { mut full, last, .. } = self;
        match full.first().copied() {
            None => Checksums { first: last, rest: Box::default() },
            Some(first) => {
                full.push(last);
                full.remove(0);
                Checksums { first, rest: full.into() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PART: usize = PART_BYTES as usize;

    proptest! {
        #[test]
        fn pieces_of_any_length_give_what_the_whole_gives(len in 0..4 * PART, cuts in prop::collection::vec(0..4 * PART, 0..6)) {
            let bytes: Vec<u8> = (0..len).map(|at| (at / 7) as u8).collect();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(len)).chain([0, len]).collect();
            cuts.sort_unstable();
            let mut sum = ChecksumsOf::default();
            cuts.windows(2).for_each(|cut| sum.append(&bytes[cut[0]..cut[1]]));
            let sums = sum.finish();
            prop_assert_eq!(&sums, &Checksums::of(&bytes));
            prop_assert!(sums.match_bytes(&bytes) && sums.suit(len));
            for (index, part) in bytes.chunks(PART).enumerate() {
                prop_assert_eq!(sums.of_part(index), Some(crc32c::crc32c(part)));
            }
            prop_assert_eq!(sums.of_part(len.div_ceil(PART).max(1)), None);
        }

        #[test]
        fn a_change_anywhere_is_seen(len in 1..3 * PART, at in 0..3 * PART) {
            let mut bytes = vec![5; len];
            let sums = Checksums::of(&bytes);
            bytes[at % len] ^= 1;
            prop_assert!(!sums.match_bytes(&bytes));
            prop_assert_ne!(sums.digest(), Checksums::of(&bytes).digest());
        }
    }

    #[test]
    fn other_lengths_do_not_suit() {
        let sums = Checksums::of(&[1; PART + 1]);
        assert!(sums.suit(PART + 1) && sums.suit(2 * PART));
        assert!(!sums.suit(PART) && !sums.suit(2 * PART + 1) && !sums.suit(0));
        assert!(Checksums::of(&[]).suit(0) && Checksums::of(&[]).match_bytes(&[]));
        assert_eq!(Checksums::of(b"abc").digest(), crc32c::crc32c(b"abc"));
    }
}
