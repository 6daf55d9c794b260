use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::time::SystemTime;

use fuser::{FileAttr, FileType, INodeNo};

use crate::time::wall;

/// As the product's mount shows it.
const BLOCK_SIZE: u32 = 128 * 1024;

/// All inodes.
#[derive(Debug)]
pub(super) struct Store {
    nodes: HashMap<u64, Node>,
    last: u64,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) attr: FileAttr,
    pub(super) content: Content,
    /// How often the kernel was shown it, less how often it has forgotten it.
    pub(super) lookups: u64,
}

#[derive(Debug)]
pub(super) enum Content {
    Directory(BTreeMap<OsString, u64>),
    File(Vec<u8>),
    Link(Vec<u8>),
}

/// An errno.
pub(super) type Outcome<T> = Result<T, i32>;

impl Store {
    pub(super) fn new() -> Self {
        let mut store = Self { nodes: HashMap::new(), last: 0 };
        store.add(Content::Directory(BTreeMap::new()), 0o755, (0, 0));
        store
    }

    /// A new inode that has no name yet.
    fn add(&mut self, content: Content, mode: u32, (uid, gid): (u32, u32)) -> u64 {
        self.last += 1;
        let (kind, nlink) = match &content {
            Content::Directory(_) => (FileType::Directory, 2),
            Content::File(_) => (FileType::RegularFile, 1),
            Content::Link(_) => (FileType::Symlink, 1),
        };
        let now = wall();
        let attr = FileAttr {
            ino: INodeNo(self.last),
            size: if let Content::Link(target) = &content { target.len() as u64 } else { 0 },
            blocks: 0,
            atime: now,
            mtime: now,
            ctime: now,
            crtime: SystemTime::UNIX_EPOCH,
            kind,
            perm: (mode & 0o7777) as u16,
            nlink,
            uid,
            gid,
            rdev: 0,
            blksize: BLOCK_SIZE,
            flags: 0,
        };
        self.nodes.insert(self.last, Node { attr, content, lookups: 0 });
        self.last
    }

    pub(super) fn node(&mut self, ino: u64) -> Outcome<&mut Node> {
        self.nodes.get_mut(&ino).ok_or(libc::ENOENT)
    }

    pub(super) fn entries(&mut self, dir: u64) -> Outcome<&mut BTreeMap<OsString, u64>> {
        match &mut self.node(dir)?.content {
            Content::Directory(entries) => Ok(entries),
            _ => Err(libc::ENOTDIR),
        }
    }

    /// What the kernel is about to be shown under a name.
    pub(super) fn find(&mut self, dir: u64, name: &OsStr) -> Outcome<FileAttr> {
        let ino = *self.entries(dir)?.get(name).ok_or(libc::ENOENT)?;
        self.show(ino)
    }

    pub(super) fn show(&mut self, ino: u64) -> Outcome<FileAttr> {
        let node = self.node(ino)?;
        node.lookups += 1;
        Ok(node.attr)
    }

    pub(super) fn make(&mut self, dir: u64, name: &OsStr, content: Content, mode: u32, owner: (u32, u32)) -> Outcome<FileAttr> {
        if self.entries(dir)?.contains_key(name) {
            return Err(libc::EEXIST);
        }
        let is_dir = matches!(content, Content::Directory(_));
        let ino = self.add(content, mode, owner);
        self.put(dir, name, ino, is_dir)?;
        self.show(ino)
    }

    pub(super) fn link(&mut self, ino: u64, dir: u64, name: &OsStr) -> Outcome<FileAttr> {
        if self.entries(dir)?.contains_key(name) {
            return Err(libc::EEXIST);
        }
        self.node(ino)?.attr.nlink += 1;
        self.put(dir, name, ino, false)?;
        self.show(ino)
    }

    fn put(&mut self, dir: u64, name: &OsStr, ino: u64, is_dir: bool) -> Outcome<()> {
        self.entries(dir)?.insert(name.to_owned(), ino);
        self.changed(dir, i64::from(is_dir))
    }

    /// A directory has lost or gained an entry, and perhaps a link.
    fn changed(&mut self, dir: u64, links: i64) -> Outcome<()> {
        let now = wall();
        let attr = &mut self.node(dir)?.attr;
        attr.nlink = attr.nlink.saturating_add_signed(links as i32);
        (attr.mtime, attr.ctime) = (now, now);
        Ok(())
    }

    /// unlink(2) and rmdir(2).
    pub(super) fn remove(&mut self, dir: u64, name: &OsStr, wants_dir: bool) -> Outcome<()> {
        let ino = *self.entries(dir)?.get(name).ok_or(libc::ENOENT)?;
        match (&self.node(ino)?.content, wants_dir) {
            (Content::Directory(entries), true) if !entries.is_empty() => return Err(libc::ENOTEMPTY),
            (Content::Directory(_), false) => return Err(libc::EISDIR),
            (Content::File(_) | Content::Link(_), true) => return Err(libc::ENOTDIR),
            _ => {}
        }
        self.entries(dir)?.remove(name);
        self.changed(dir, -i64::from(wants_dir))?;
        let node = self.node(ino)?;
        node.attr.nlink = if wants_dir { 0 } else { node.attr.nlink - 1 };
        node.attr.ctime = wall();
        self.let_go(ino);
        Ok(())
    }

    pub(super) fn rename(&mut self, (dir, name): (u64, &OsStr), (new_dir, new_name): (u64, &OsStr), replaces: bool) -> Outcome<()> {
        let ino = *self.entries(dir)?.get(name).ok_or(libc::ENOENT)?;
        let is_dir = matches!(self.node(ino)?.content, Content::Directory(_));
        match self.entries(new_dir)?.get(new_name).copied() {
            Some(_) if !replaces => return Err(libc::EEXIST),
            Some(other) if other == ino => return Ok(()),
            Some(other) => {
                let other_is_dir = matches!(self.node(other)?.content, Content::Directory(_));
                self.remove(new_dir, new_name, other_is_dir)?;
            }
            None => {}
        }
        self.entries(dir)?.remove(name);
        self.changed(dir, -i64::from(is_dir))?;
        self.put(new_dir, new_name, ino, is_dir)?;
        self.node(ino)?.attr.ctime = wall();
        Ok(())
    }

    pub(super) fn forget(&mut self, ino: u64, lookups: u64) {
        if let Ok(node) = self.node(ino) {
            node.lookups = node.lookups.saturating_sub(lookups);
            self.let_go(ino);
        }
    }

    /// The kernel has forgotten everything: it was unmounted.
    pub(super) fn forget_all(&mut self) {
        self.nodes.values_mut().for_each(|node| node.lookups = 0);
        self.nodes.retain(|_, node| node.attr.nlink > 0);
    }

    fn let_go(&mut self, ino: u64) {
        if self.nodes.get(&ino).is_some_and(|node| node.attr.nlink == 0 && node.lookups == 0) {
            self.nodes.remove(&ino);
        }
    }
}

impl Node {
    pub(super) fn data(&mut self) -> Outcome<&mut Vec<u8>> {
        match &mut self.content {
            Content::File(data) => Ok(data),
            Content::Directory(_) => Err(libc::EISDIR),
            Content::Link(_) => Err(libc::EINVAL),
        }
    }

    pub(super) fn resize(&mut self, size: u64) -> Outcome<()> {
        self.data()?.resize(size as usize, 0);
        self.written()
    }

    pub(super) fn write(&mut self, offset: u64, data: &[u8]) -> Outcome<()> {
        let (content, end) = (self.data()?, offset as usize + data.len());
        if content.len() < end {
            content.resize(end, 0);
        }
        content[offset as usize..end].copy_from_slice(data);
        self.written()
    }

    fn written(&mut self) -> Outcome<()> {
        let (now, size) = (wall(), self.data()?.len() as u64);
        (self.attr.size, self.attr.blocks, self.attr.mtime, self.attr.ctime) = (size, size.div_ceil(512), now, now);
        Ok(())
    }
}
