use super::super::{FileKind, Ino, Inode};

/// What a check remembers of an inode.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) ino: Ino,
    pub(super) parent: Ino,
    /// The directory of the first dentry that names it.
    pub(super) named_in: Ino,
    pub(super) size: u64,
    pub(super) allocated_bytes: u64,
    /// Bytes in extents, counted.
    pub(super) bytes: u64,
    pub(super) nlink: u32,
    /// How many dentries name it, and of a directory how many entries it has and how many of those name directories.
    pub(super) names: u32,
    pub(super) entries: u32,
    pub(super) directories: u32,
    /// Extended attributes and their bytes, as recorded and counted.
    pub(super) recorded_xattrs: (u32, u64),
    pub(super) xattrs: u32,
    pub(super) xattr_bytes: u64,
    /// Orphans that stood in it, as recorded and counted.
    pub(super) recorded_orphans: u32,
    pub(super) orphans: u32,
    pub(super) mode: u16,
    pub(super) kind: FileKind,
    pub(super) is_orphan: bool,
    pub(super) place: Place,
}

/// What is known of where a directory hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Nothing yet.
    Unknown,
    /// On the way that is being followed.
    OnTheWay,
    /// Below the root.
    Reached,
    /// In a cycle, or below nothing.
    Lost,
}

impl Node {
    pub(super) fn new(ino: Ino, inode: &Inode) -> Self {
        let attr = &inode.attr;
        Self {
            ino,
            parent: inode.parent,
            named_in: Ino(0),
            size: attr.size,
            allocated_bytes: attr.allocated_bytes,
            bytes: 0,
            nlink: attr.nlink,
            names: 0,
            entries: 0,
            directories: 0,
            recorded_xattrs: (inode.xattrs, inode.xattr_bytes),
            xattrs: 0,
            xattr_bytes: 0,
            recorded_orphans: inode.orphans,
            orphans: 0,
            mode: attr.mode,
            kind: attr.kind,
            is_orphan: false,
            place: Place::Unknown,
        }
    }

    pub(super) fn is_dir(&self) -> bool {
        self.kind == FileKind::Directory
    }
}

/// How many nodes stand in one piece of memory, so that growing never copies what is there.
const CHUNK: usize = 4096;

/// All inodes, in the order of their numbers, which is the order in which they come.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    chunks: Vec<Vec<Node>>,
}

impl Nodes {
    /// Takes in the next; one out of order would not be found again, and is not by whom the store is ordered.
    pub(super) fn push(&mut self, node: Node) {
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK => chunk.push(node),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(node);
                self.chunks.push(chunk);
            }
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.len() as u64).sum()
    }

    fn position(&self, ino: Ino) -> Option<(usize, usize)> {
        let chunk = self.chunks.partition_point(|chunk| chunk.last().is_some_and(|last| last.ino < ino));
        let at = self.chunks.get(chunk)?.binary_search_by_key(&ino, |node| node.ino).ok()?;
        Some((chunk, at))
    }

    pub(super) fn get_mut(&mut self, ino: Ino) -> Option<&mut Node> {
        let (chunk, at) = self.position(ino)?;
        Some(&mut self.chunks[chunk][at])
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Node> {
        self.chunks.iter().flatten()
    }
}
