use std::ops::Bound;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::namespace::{Extent, Ino, Key, Missing, Record, Source, Stop, View};

/// How many rows of a file or of its attributes one fetch brings at the most.
const ROWS: u32 = 256;

/// A question for records as they are stored; only the holder of the workspace's lease may ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fetch {
    /// One record, by its encoded key.
    Key(Bytes),
    /// Records from `start` on whose encoded keys begin with `prefix`. With entries of a directory come the inodes
    /// that they name.
    Range {
        /// Where to begin.
        start: Bytes,
        /// Where to end.
        prefix: Bytes,
        /// At most so many (what comes along does not count); the node may give fewer.
        limit: u32,
        /// Files whose extents are welcome as well: each all of them, or nothing.
        along: Vec<Ino>,
    },
}

/// The answer to a [`Fetch`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Records {
    /// Encoded keys and what stands there.
    pub rows: Vec<(Bytes, Record)>,
    /// Of a range: the first key that is not spoken of; `None` if all of it is.
    pub until: Option<Bytes>,
    /// Files that have no other extents than those among the rows.
    pub whole: Vec<Ino>,
}

impl Fetch {
    /// What to ask for so that a question which the view could not answer can go on. `neighbours` is how many entries
    /// of a directory are worth having when one is missing.
    pub fn of(missing: &Missing, neighbours: u32) -> Self {
        match missing {
            Missing::Key(key @ Key::Dentry(dir, _)) => Self::range(key.encode().into(), Key::dentries_of(*dir).into(), neighbours.max(1)),
            Missing::Key(Key::Xattr(ino, _)) => {
                let prefix = Bytes::from(Key::xattrs_of(*ino));
                Self::range(prefix.clone(), prefix, ROWS)
            }
            Missing::Key(key) => Self::Key(key.encode().into()),
            Missing::From { start, prefix } => {
                Self::range(Bytes::copy_from_slice(start), Bytes::copy_from_slice(prefix), ROWS.max(neighbours))
            }
        }
    }

    /// A range, and nothing along with it.
    pub fn range(start: Bytes, prefix: Bytes, limit: u32) -> Self {
        Self::Range { start, prefix, limit, along: Vec::new() }
    }

    /// The same, with the extents of these files along.
    #[must_use]
    pub fn with(mut self, files: Vec<Ino>) -> Self {
        if let Self::Range { along, .. } = &mut self {
            *along = files;
        }
        self
    }

    /// The inode to which what is asked for belongs.
    pub fn owner(&self) -> Option<Ino> {
        match self {
            Self::Key(encoded) => Key::decode(encoded)?.owner(),
            Self::Range { prefix, .. } => Key::owner_of(prefix),
        }
    }
}

/// How much data the rows of one answer carry before it ends.
const DATA_MAX_BYTES: usize = 512 << 10;
/// How much of that files which come along may take.
const ALONG_MAX_BYTES: usize = 256 << 10;
/// A file that has more extents does not come along.
const ALONG_ROWS: usize = 4;

impl Records {
    /// The rows of a view from `start` on, at most `limit` of them, whose encoded keys begin with `prefix`. What
    /// entries name does not come along.
    ///
    /// # Errors
    /// Only [`Stop::Missing`].
    pub fn of(view: &impl View, start: &[u8], prefix: &[u8], limit: usize) -> Result<Self, Stop> {
        let mut records = Self::default();
        let mut data_bytes = 0;
        // What begins right behind an entry is written as its key and a zero, which is in no name.
        let behind = start.strip_suffix(&[0]).and_then(Key::decode).filter(|key| matches!(key, Key::Dentry(..)));
        let mut bound = match behind {
            Some(entry) => Bound::Excluded(entry),
            None => match Key::at_or_after(start, prefix) {
                Some(first) => Bound::Included(first),
                None => return Ok(records),
            },
        };
        while let Some((key, record)) = view.first_in(bound.as_ref(), prefix)? {
            if records.rows.len() >= limit || data_bytes > DATA_MAX_BYTES {
                records.until = Some(key.encode().into());
                break;
            }
            data_bytes += data_of(&record);
            records.rows.push((key.encode().into(), record));
            bound = Bound::Excluded(key);
        }
        Ok(records)
    }

    /// Whether there is room for another file that came along.
    pub fn has_room(&self) -> bool {
        self.rows.iter().map(|(_, record)| data_of(record)).sum::<usize>() < ALONG_MAX_BYTES
    }

    /// All extents of a file come along, unless they are many or carry much.
    ///
    /// # Errors
    /// Only [`Stop::Missing`].
    pub fn extents_of(view: &impl View, ino: Ino) -> Result<Option<Vec<(Bytes, Record)>>, Stop> {
        let prefix = Key::extents_of(ino);
        let found = Self::of(view, &prefix, &prefix, ALONG_ROWS)?;
        Ok(found.until.is_none().then_some(found.rows))
    }
}

/// The data that a record carries, in bytes.
fn data_of(record: &Record) -> usize {
    match record {
        Record::Extent(Extent { source: Source::Inline { data, .. }, .. }) | Record::Xattr(data) => data.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::namespace::{self, Context, MemoryView, Mutation, Name, NewNode, Op};

    #[test]
    fn what_comes_behind_an_entry_begins_behind_it() {
        let mut view = MemoryView::default();
        view.absorb(&namespace::format(0, 0, 0o777, 0));
        let names = ["a", "b", "b\u{1}", "c", &"d".repeat(255), "e"].map(|name| Name::new(name.to_owned()).unwrap());
        for (number, name) in names.iter().enumerate() {
            let (name, ino) = (name.clone(), Ino(100 + number as u64));
            let mutation = Mutation::Create { parent: Ino::ROOT, name, ino, node: NewNode::File, mode: 0, umask: 0, uid: 0, gid: 0 };
            let applied = namespace::apply(&view, &Context::default(), &Op { mutation, time: 1 }).unwrap();
            view.absorb(&applied.changes);
        }
        let prefix = Key::dentries_of(Ino::ROOT);
        for (number, name) in names.iter().enumerate() {
            let start = namespace::encoded_start(Bound::Excluded(&Key::Dentry(Ino::ROOT, name.clone())));
            let records = Records::of(&view, &start, &prefix, 100).unwrap();
            assert_eq!((records.rows.len(), records.until), (names.len() - number - 1, None), "behind {name:?}");
        }
    }
}
