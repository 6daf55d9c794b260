use std::ops::Bound;

use bytes::Bytes;

use super::fetch::{Fetch, Records};
use super::known::Known;
use crate::hashing::HashMap;
use crate::namespace::{
    self, Applied, Attr, Changes, Context, FileKind, Ino, Inode, Key, Limits, Missing, Name, Op, Outcome, Piece, Record, SegmentRecord,
    Source, Stop, Usage, View, key,
};

/// The fewest and the most entries of a directory that are asked for when one is missing: the more are missing, the more
/// are fetched at once.
const NEIGHBOURS: (u32, u32) = (16, 1024);

/// The most files whose extents are asked for along with those of another, and how long such a file may be, in bytes.
const ALONG: u32 = 256;
const ALONG_FILE_BYTES: u64 = 1 << 20;

/// What a mount under the lease knows of the workspace; see the module.
#[derive(Debug)]
pub struct Replica {
    context: Context,
    usage: Option<Usage>,
    /// Whether whatever it asks for it may have.
    is_of_everything: bool,
    known: HashMap<Ino, Known>,
    /// Estimated memory, in bytes.
    bytes: usize,
    uses: u64,
}

impl Replica {
    /// Knows nothing yet. `limits` are the workspace's quotas.
    pub fn new(limits: Limits) -> Self {
        let context = Context { scope: Ino::ROOT, limits };
        Self { context, usage: None, is_of_everything: true, known: HashMap::default(), bytes: 0, uses: 0 }
    }

    /// Knows nothing yet, and what the workspace holds in all is not its business: others change that as well.
    pub fn of_single_inodes() -> Self {
        let usage = Usage { bytes: 1 << 60, inodes: 1 << 60 };
        Self { usage: Some(usage), is_of_everything: false, ..Self::new(Limits::default()) }
    }

    /// Applies an op that will be this mount's `seq`th, as the node will. A number under which it creates an inode is one
    /// that this mount has not used before.
    ///
    /// # Errors
    /// As [`namespace::apply`].
    pub fn apply(&mut self, op: &Op, seq: u64) -> Result<Outcome, Stop> {
        let applied = self.decide(op)?;
        Ok(self.take(applied, op, seq))
    }

    /// What an op would do. It has not happened before [`Replica::take`].
    ///
    /// # Errors
    /// As [`namespace::apply`].
    pub fn decide(&mut self, op: &Op) -> Result<Applied, Stop> {
        match op.mutation.creates().filter(|ino| !self.known.contains_key(ino)) {
            Some(ino) => {
                // Nothing has this number yet; the node checks that.
                self.with(ino, |known| known.inode = Some(None));
                let applied = namespace::apply(self, &self.context, op);
                self.forget(ino);
                applied
            }
            None => namespace::apply(self, &self.context, op),
        }
    }

    /// An op that was just decided happens.
    pub fn take(&mut self, applied: Applied, op: &Op, seq: u64) -> Outcome {
        if let Some(ino) = op.mutation.creates() {
            self.with(ino, Known::know_all);
        }
        self.absorb(applied.changes, seq);
        applied.outcome
    }

    fn absorb(&mut self, changes: Changes, seq: u64) {
        for (key, record) in changes {
            match (key, record) {
                (Key::Usage, Some(Record::Usage(usage))) => self.usage = Some(usage),
                // The node's business, or part of the inode's link count.
                (Key::Usage | Key::Segment(_) | Key::Orphan(_), _) => {}
                (key, record) => {
                    let Some(ino) = key.owner() else { continue };
                    self.with(ino, |known| {
                        known.changed_by = seq;
                        put(known, key, record);
                    });
                }
            }
        }
    }

    /// An orphan that no program has open any more is gone, as it is at the node; with it may go the directories in which
    /// it stood, if they had been removed before it. Answers whether it was one.
    pub fn purge(&mut self, ino: Ino, seq: u64) -> bool {
        let Some(Some(Some(inode))) = self.known.get(&ino).map(|known| &known.inode) else { return false };
        if inode.attr.nlink > 0 {
            return false;
        }
        if inode.orphans > 0 {
            // It stays until they are gone.
            return true;
        }
        let freed = inode.attr.allocated_bytes + inode.target.len() as u64 + inode.xattr_bytes;
        let parent = inode.parent;
        if let Some(usage) = &mut self.usage {
            usage.bytes = usage.bytes.saturating_sub(freed);
            usage.inodes = usage.inodes.saturating_sub(1);
        }
        self.forget(ino);
        self.with(ino, |known| {
            known.inode = Some(None);
            known.changed_by = seq;
        });
        let mut is_last = false;
        if self.known.contains_key(&parent) {
            self.with(parent, |known| {
                if let Some(Some(dir)) = &mut known.inode {
                    dir.orphans = dir.orphans.saturating_sub(1);
                    is_last = dir.orphans == 0 && dir.attr.nlink == 0;
                    known.changed_by = seq;
                }
            });
        }
        if is_last {
            self.purge(parent, seq);
        }
        true
    }

    /// What to ask the node for, so that a question which had to stop here can go on.
    pub fn fetch(&mut self, missing: &Missing) -> Fetch {
        let mut neighbours = NEIGHBOURS.0;
        if let Missing::Key(Key::Dentry(dir, _)) = missing {
            self.with(*dir, |known| {
                neighbours = (NEIGHBOURS.0 << known.misses.min(8)).min(NEIGHBOURS.1);
                known.misses += 1;
            });
        } else if let Missing::From { prefix, .. } = missing
            && let Some((table @ (Prefix::Entries | Prefix::Extents), ino)) = Prefix::parse(prefix)
        {
            neighbours = NEIGHBOURS.1;
            if table == Prefix::Extents && self.is_of_everything {
                let along = self.files_beside(ino);
                return Fetch::of(missing, neighbours).with(along);
            }
        }
        Fetch::of(missing, neighbours)
    }

    /// Files of the same directory whose extents will be wanted as well, perhaps: those that were made soon after the file,
    /// or before. None for the first file of a directory that is asked for, and then more each time.
    fn files_beside(&mut self, ino: Ino) -> Vec<Ino> {
        let Ok(Some(parent)) = self.inode(ino).map(|inode| inode.map(|inode| inode.parent)) else { return Vec::new() };
        let mut most = 0;
        if self.known.contains_key(&parent) {
            self.with(parent, |known| {
                most = if known.file_misses == 0 { 0 } else { (8 << known.file_misses.min(8)).min(ALONG) };
                known.file_misses += 1;
            });
        }
        let is_wanted = |ino: &Ino| {
            let known = self.known.get(ino)?;
            let attr = known.inode.as_ref()?.as_ref().filter(|inode| inode.parent == parent).map(|inode| &inode.attr)?;
            let is_small = attr.kind == FileKind::File && attr.allocated_bytes > 0 && attr.size <= ALONG_FILE_BYTES;
            (is_small && known.extents.first_from(&0).is_err()).then_some(())
        };
        let reach = 2 * u64::from(most);
        let behind = (1..=reach).filter_map(|far| ino.0.checked_add(far));
        let before = (1..=reach).filter_map(|far| ino.0.checked_sub(far));
        behind.chain(before).map(Ino).filter(|ino| is_wanted(ino).is_some()).take(most as usize).collect()
    }

    /// Takes in the node's answer. What an op of this mount has changed since is newer and stays.
    pub fn learn(&mut self, fetch: &Fetch, records: Records) {
        let Records { rows, until, whole } = records;
        if let Fetch::Key(asked) = fetch
            && !rows.iter().any(|(key, _)| key == asked)
            && let Some(key) = Key::decode(asked)
        {
            self.learn_row(key, None);
        }
        for (key, record) in rows {
            if let Some(key) = Key::decode(&key) {
                self.learn_row(key, Some(record));
            }
        }
        if let Fetch::Range { start, prefix, .. } = fetch {
            self.know_range(start, prefix, until.as_deref());
        }
        for ino in whole {
            if self.known.contains_key(&ino) {
                self.with(ino, |known| known.extents.know(0, None));
            }
        }
    }

    fn learn_row(&mut self, key: Key, record: Option<Record>) {
        if key == Key::Usage {
            let usage = if let Some(Record::Usage(usage)) = record { usage } else { Usage::default() };
            self.usage.get_or_insert(usage);
            return;
        }
        if let Some(ino) = key.owner() {
            self.with(ino, |known| learn(known, key, record));
        }
    }

    /// All rows from `start` to `until`, or to the end of the prefix, are known.
    fn know_range(&mut self, start: &[u8], prefix: &[u8], until: Option<&[u8]>) {
        let Some((tag, ino)) = Prefix::parse(prefix) else { return };
        let rest = |key: &[u8]| Bytes::copy_from_slice(key.strip_prefix(prefix).unwrap_or_default());
        let number = |key: &[u8]| key.strip_prefix(prefix).and_then(|rest| Some(u64::from_be_bytes(rest.try_into().ok()?))).unwrap_or(0);
        self.with(ino, |known| match tag {
            Prefix::Entries => known.entries.know(rest(start), until.map(rest)),
            Prefix::Xattrs => known.xattrs.know(rest(start), until.map(rest)),
            Prefix::Extents => known.extents.know(number(start), until.map(number)),
            Prefix::Parents => known.parents.know(number(start), until.map(number)),
        });
    }

    /// The data at `at`, which was held here, has become a block of a segment. Rows that hold a part of these very bytes
    /// name the block from now on.
    pub fn repoint(&mut self, ino: Ino, at: u64, data: &Bytes, block: &Source) {
        let &Source::Block { segment, block_offset, block_len, ref checksums, .. } = block else { return };
        if !self.known.contains_key(&ino) {
            return;
        }
        let whole = data.as_ptr() as usize..data.as_ptr() as usize + data.len();
        self.with(ino, |known| {
            let mut freed = 0;
            let end = at + data.len() as u64;
            for (_, extent) in known.extents.rows_from_mut(&at).take_while(|(position, _)| **position < end) {
                let Source::Inline { data: part, .. } = &extent.source else { continue };
                let start = part.as_ptr() as usize;
                if whole.contains(&start) && start + part.len() <= whole.end {
                    freed += part.len();
                    let skip = (start - whole.start) as u32;
                    let checksums = checksums.clone();
                    extent.source = Source::Block { segment, block_offset, block_len, checksums, skip };
                }
            }
            known.data_bytes = known.data_bytes.saturating_sub(freed);
        });
    }

    /// Forgets where the data of a file lies, to ask anew: the node has moved it. Answers false when an op that the node
    /// may not have applied (it has up to `applied`) has changed it, and it has to stay.
    pub fn forget_extents(&mut self, ino: Ino, applied: u64) -> bool {
        if self.known.get(&ino).is_some_and(|known| known.changed_by > applied) {
            return false;
        }
        self.forget(ino);
        true
    }

    /// About how much memory the replica takes, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Forgets what was not used lately until no more than `target_bytes` are taken. What ops beyond `applied` have
    /// changed stays, and so does what `is_needed`.
    pub fn evict(&mut self, target_bytes: usize, applied: u64, is_needed: impl Fn(Ino) -> bool) {
        if self.bytes <= target_bytes {
            return;
        }
        // A directory is needed as long as orphans of this mount stand in it.
        let holds_orphans = |known: &Known| matches!(&known.inode, Some(Some(inode)) if inode.orphans > 0);
        let may_go = |(&ino, known): (&Ino, &Known)| {
            (known.changed_by <= applied && !is_needed(ino) && !holds_orphans(known)).then_some((known.used, ino))
        };
        let mut candidates: Vec<_> = self.known.iter().filter_map(may_go).collect();
        candidates.sort_unstable();
        for (_, ino) in candidates {
            if self.bytes <= target_bytes {
                return;
            }
            self.forget(ino);
        }
    }

    /// Forgets all there is to an inode.
    pub fn forget(&mut self, ino: Ino) {
        if let Some(known) = self.known.remove(&ino) {
            self.bytes = self.bytes.saturating_sub(known.bytes());
        }
    }

    /// Forgets everything.
    pub fn forget_all(&mut self) {
        self.known.clear();
        self.bytes = 0;
    }

    /// Changes what is known of an inode, and keeps the accounts.
    fn with(&mut self, ino: Ino, change: impl FnOnce(&mut Known)) {
        self.uses += 1;
        let uses = self.uses;
        let mut before = 0;
        let known = self.known.entry(ino).and_modify(|known| before = known.bytes()).or_default();
        known.used = uses;
        change(known);
        self.bytes = (self.bytes + known.bytes()).saturating_sub(before);
    }

    /// As [`namespace::pieces`], without looking at what lies before the range: a log of very many small records is read
    /// from anywhere at the same cost.
    ///
    /// # Errors
    /// As [`namespace::pieces`].
    pub fn pieces(&self, ino: Ino, offset: u64, len: u64, limit: usize) -> Result<(Attr, Vec<Piece>), Stop> {
        match self.known.get(&ino).and_then(|known| known.extents.last_until(&offset)) {
            Some(&first) => namespace::pieces_from(self, ino, first, (offset, len), limit),
            None => namespace::pieces(self, ino, offset, len, limit),
        }
    }

    /// The attributes of an inode, if they are known.
    pub fn attr(&self, ino: Ino) -> Option<&Attr> {
        self.known.get(&ino)?.inode.as_ref()?.as_ref().map(|inode| &inode.attr)
    }

    fn inode(&self, ino: Ino) -> Result<Option<&Inode>, Missing> {
        let known = self.known.get(&ino).and_then(|known| known.inode.as_ref());
        known.map(Option::as_ref).ok_or(Missing::Key(Key::Inode(ino)))
    }
}

/// The tables that a prefix of encoded keys can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prefix {
    Entries,
    Extents,
    Xattrs,
    Parents,
}

impl Prefix {
    fn parse(prefix: &[u8]) -> Option<(Self, Ino)> {
        let (&tag, ino) = prefix.split_first()?;
        let table = match tag {
            key::DENTRY => Self::Entries,
            key::EXTENT => Self::Extents,
            key::XATTR => Self::Xattrs,
            key::PARENT => Self::Parents,
            _ => return None,
        };
        Some((table, Ino(u64::from_be_bytes(ino.try_into().ok()?))))
    }
}

fn put(known: &mut Known, key: Key, record: Option<Record>) {
    match (key, record) {
        (Key::Inode(_), Some(Record::Inode(inode))) => known.inode = Some(Some(inode)),
        (Key::Inode(_), None) => known.inode = Some(None),
        (Key::Dentry(_, name), Some(Record::Dentry(ino, kind))) => known.entries.put(name.into(), Some((ino, kind))),
        (Key::Dentry(_, name), None) => known.entries.put(name.into(), None),
        (Key::Extent(_, at), Some(Record::Extent(extent))) => known.put_extent(at, Some(extent)),
        (Key::Extent(_, at), None) => known.put_extent(at, None),
        (Key::Xattr(_, name), Some(Record::Xattr(value))) => known.xattrs.put(name, Some(value)),
        (Key::Xattr(_, name), None) => known.xattrs.put(name, None),
        (Key::Parent(_, dir), Some(Record::Parent(count))) => known.parents.put(dir.0, Some(count)),
        (Key::Parent(_, dir), None) => known.parents.put(dir.0, None),
        _ => {}
    }
}

fn learn(known: &mut Known, key: Key, record: Option<Record>) {
    match (key, record) {
        (Key::Inode(_), Some(Record::Inode(inode))) => {
            known.inode.get_or_insert(Some(inode));
        }
        (Key::Inode(_), None) => {
            known.inode.get_or_insert(None);
        }
        (Key::Dentry(_, name), Some(Record::Dentry(ino, kind))) => known.entries.learn(name.into(), Some((ino, kind))),
        (Key::Dentry(_, name), None) => known.entries.learn(name.into(), None),
        (Key::Extent(_, at), Some(Record::Extent(extent))) => known.learn_extent(at, Some(extent)),
        (Key::Extent(_, at), None) => known.learn_extent(at, None),
        (Key::Xattr(_, name), Some(Record::Xattr(value))) => known.xattrs.learn(name, Some(value)),
        (Key::Xattr(_, name), None) => known.xattrs.learn(name, None),
        (Key::Parent(_, dir), Some(Record::Parent(count))) => known.parents.learn(dir.0, Some(count)),
        (Key::Parent(_, dir), None) => known.parents.learn(dir.0, None),
        _ => {}
    }
}

impl View for Replica {
    fn get(&self, key: &Key) -> Result<Option<Record>, Missing> {
        let known = key.owner().and_then(|ino| self.known.get(&ino));
        let found = match key {
            Key::Inode(ino) => Some(self.inode(*ino)?.cloned().map(Record::Inode)),
            Key::Orphan(ino) => Some(self.inode(*ino)?.filter(|inode| inode.attr.nlink == 0).map(|_| Record::Orphan)),
            Key::Usage => self.usage.map(|usage| Some(Record::Usage(usage))),
            // The node knows how long a segment is and what lives in it, and checks that.
            Key::Segment(_) => Some(Some(Record::Segment(SegmentRecord { len: u64::MAX, live_bytes: 0 }))),
            Key::Dentry(_, name) => {
                let row = known.and_then(|known| known.entries.get(name.as_shared()));
                row.map(|row| row.map(|&(ino, kind)| Record::Dentry(ino, kind)))
            }
            Key::Extent(_, at) => known.and_then(|known| known.extents.get(at)).map(|row| row.cloned().map(Record::Extent)),
            Key::Xattr(_, name) => known.and_then(|known| known.xattrs.get(name)).map(|row| row.cloned().map(Record::Xattr)),
            Key::Parent(_, dir) => known.and_then(|known| known.parents.get(&dir.0)).map(|row| row.copied().map(Record::Parent)),
        };
        found.ok_or_else(|| Missing::Key(key.clone()))
    }

    fn first_in(&self, from: Bound<&Key>, prefix: &[u8]) -> Result<Option<(Key, Record)>, Missing> {
        let Some((table, ino)) = Prefix::parse(prefix) else { return Ok(None) };
        let missing = |position: &[u8]| Missing::From { start: [prefix, position].concat(), prefix: prefix.to_vec() };
        let start = namespace::encoded_start(from);
        let position = start.strip_prefix(prefix).unwrap_or_default();
        let Some(known) = self.known.get(&ino) else { return Err(missing(position)) };
        // The successor of a number is one more; of the last number there is none.
        let number = || match from {
            Bound::Excluded(Key::Extent(_, at)) => at.checked_add(1),
            Bound::Excluded(Key::Parent(_, dir)) => dir.0.checked_add(1),
            Bound::Included(Key::Extent(_, at)) => Some(*at),
            Bound::Included(Key::Parent(_, dir)) => Some(dir.0),
            _ => Some(0),
        };
        match table {
            Prefix::Entries => {
                let found = known.entries.first_from(&Bytes::copy_from_slice(position)).map_err(|at| missing(&at))?;
                let Some((name, &(ino_of, kind))) = found else { return Ok(None) };
                let name = Name::new(name.clone()).map_err(|_| missing(position))?;
                Ok(Some((Key::Dentry(ino, name), Record::Dentry(ino_of, kind))))
            }
            Prefix::Xattrs => {
                let found = known.xattrs.first_from(&Bytes::copy_from_slice(position)).map_err(|at| missing(&at))?;
                Ok(found.map(|(name, value)| (Key::Xattr(ino, name.clone()), Record::Xattr(value.clone()))))
            }
            Prefix::Extents => {
                let Some(at) = number() else { return Ok(None) };
                let found = known.extents.first_from(&at).map_err(|at| missing(&at.to_be_bytes()))?;
                Ok(found.map(|(&at, extent)| (Key::Extent(ino, at), Record::Extent(extent.clone()))))
            }
            Prefix::Parents => {
                let Some(at) = number() else { return Ok(None) };
                let found = known.parents.first_from(&at).map_err(|at| missing(&at.to_be_bytes()))?;
                Ok(found.map(|(&dir, &count)| (Key::Parent(ino, Ino(dir)), Record::Parent(count))))
            }
        }
    }
}
