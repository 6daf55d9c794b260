//! The reference: what a file system holds after some operations.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Errno, Image, Node, Op, Outcome};

/// The directory that all writers share. Only files are made in it.
pub const SHARED: &str = "shared";
/// Begins the name of the directory that is a writer's own; its number follows.
pub const OWN: &str = "own-";

type InodeId = u32;
const ROOT: InodeId = 0;
/// Inodes of one writer have numbers below this multiple of its own.
const INODES_OF_A_WRITER: InodeId = 1 << 20;

/// Inodes, names and open files. Cheap to clone: contents are shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    inodes: BTreeMap<InodeId, Arc<Inode>>,
    open: BTreeMap<(usize, u8), (InodeId, bool)>,
    /// How many inodes each writer has made; the last is for what was prepared. Counted apart, so that operations which
    /// do not touch one another give the same state in either order.
    made: BTreeMap<usize, InodeId>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Inode {
    File(Vec<u8>),
    Directory(BTreeMap<String, InodeId>),
}

impl State {
    /// What the harness prepares: the shared directory, and one for each writer.
    pub fn prepared(writers: usize) -> Self {
        let root = Inode::Directory(BTreeMap::new());
        let mut state = Self { inodes: BTreeMap::from([(ROOT, Arc::new(root))]), open: BTreeMap::new(), made: BTreeMap::new() };
        let own = (0..writers).map(|writer| format!("{OWN}{writer}"));
        for name in own.chain([SHARED.to_owned()]) {
            // There is nothing yet that could be in the way.
            let _ = state.insert(writers, &name, Inode::Directory(BTreeMap::new()));
        }
        state
    }

    /// Does one operation of a writer and says what comes back.
    pub fn apply(&mut self, writer: usize, op: &Op) -> Outcome {
        match self.try_apply(writer, op) {
            Ok(outcome) => outcome,
            Err(errno) => Outcome::Failed(errno),
        }
    }

    fn try_apply(&mut self, writer: usize, op: &Op) -> Result<Outcome, Errno> {
        match op {
            Op::Create { path, handle, append } => {
                let id = self.insert(writer, path, Inode::File(Vec::new()))?;
                self.open.insert((writer, *handle), (id, *append));
            }
            Op::Open { path, handle, append } => {
                let id = self.resolve(path)?;
                self.open.insert((writer, *handle), (id, *append));
            }
            Op::Write { handle, offset, data } => {
                let (id, append) = self.handle(writer, *handle)?;
                let content = self.content(id)?;
                let at = if append { content.len() } else { *offset as usize };
                let data = data.bytes();
                let end = at + data.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[at..end].copy_from_slice(data);
            }
            Op::Truncate { handle, len } => {
                let (id, _) = self.handle(writer, *handle)?;
                self.content(id)?.resize(*len as usize, 0);
            }
            Op::Read { handle } => {
                let (id, _) = self.handle(writer, *handle)?;
                return Ok(Outcome::Bytes(self.content(id)?.clone()));
            }
            Op::Mkdir(path) => drop(self.insert(writer, path, Inode::Directory(BTreeMap::new()))?),
            Op::Rmdir(path) => {
                let id = self.resolve(path)?;
                if !self.entries(id)?.is_empty() {
                    return Err(libc::ENOTEMPTY);
                }
                self.remove(path)?;
            }
            Op::Unlink(path) => {
                let id = self.resolve(path)?;
                if self.entries(id).is_ok() {
                    return Err(libc::EISDIR);
                }
                self.remove(path)?;
            }
            Op::Rename { from, to } => self.rename(from, to)?,
            Op::Link { from, to } => {
                let id = self.resolve(from)?;
                if self.entries(id).is_ok() {
                    return Err(libc::EPERM);
                }
                self.name(to, id)?;
            }
            Op::SyncFile { handle } => drop(self.handle(writer, *handle)?),
            Op::SyncDirectory(path) => {
                let id = self.resolve(path)?;
                self.entries(id)?;
            }
        }
        Ok(Outcome::Done)
    }

    /// All paths, directories with a slash at their end.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.walk(ROOT, "", &mut |path, inode, _| {
            let slash = if matches!(inode, Inode::Directory(_)) { "/" } else { "" };
            paths.push(format!("{path}{slash}"));
            true
        });
        paths
    }

    /// The length of an open file.
    pub fn len(&self, writer: usize, handle: u8) -> Option<u64> {
        let (id, _) = self.open.get(&(writer, handle))?;
        match &**self.inodes.get(id)? {
            Inode::File(content) => Some(content.len() as u64),
            Inode::Directory(_) => None,
        }
    }

    /// Whether an image is exactly what is here.
    pub fn is(&self, image: &Image) -> bool {
        let mut names: BTreeMap<InodeId, Vec<&str>> = BTreeMap::new();
        let mut visited = 0;
        let all = self.walk(ROOT, "", &mut |path, inode, id| {
            let Some((path, node)) = image.nodes.get_key_value(path) else { return false };
            visited += 1;
            match (inode, node) {
                (Inode::Directory(_), Node::Directory) => true,
                (Inode::File(expected), Node::File { content, .. }) => {
                    names.entry(id).or_default().push(path);
                    expected == content
                }
                _ => false,
            }
        });
        if !all || visited != image.nodes.len() {
            return false;
        }
        names.values().all(|paths| {
            let first = paths.iter().min().copied().unwrap_or_default();
            paths.iter().all(|path| {
                matches!(&image.nodes[*path], Node::File { first_name, links, .. } if first_name == first && *links == paths.len() as u64)
            })
        })
    }

    /// What a mount would show of it.
    pub fn image(&self) -> Image {
        let mut first_names: BTreeMap<InodeId, (String, u64)> = BTreeMap::new();
        self.walk(ROOT, "", &mut |path, _, id| {
            let (first, links) = first_names.entry(id).or_insert_with(|| (path.to_owned(), 0));
            *links += 1;
            if path < first.as_str() {
                path.clone_into(first);
            }
            true
        });
        let mut image = Image::default();
        self.walk(ROOT, "", &mut |path, inode, id| {
            let node = match inode {
                Inode::Directory(_) => Node::Directory,
                Inode::File(content) => {
                    let (first_name, links) = first_names[&id].clone();
                    Node::File { content: content.clone(), first_name, links }
                }
            };
            image.nodes.insert(path.to_owned(), node);
            true
        });
        image
    }

    /// Visits everything that has a name, until a visit says no; says whether none did.
    fn walk(&self, directory: InodeId, prefix: &str, visit: &mut dyn FnMut(&str, &Inode, InodeId) -> bool) -> bool {
        let Some(Inode::Directory(entries)) = self.inodes.get(&directory).map(|inode| &**inode) else { return true };
        entries.iter().all(|(name, id)| {
            let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
            visit(&path, &self.inodes[id], *id) && self.walk(*id, &path, visit)
        })
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), Errno> {
        let id = self.resolve(from)?;
        let moves_directory = self.entries(id).is_ok();
        if moves_directory && to.starts_with(&format!("{from}/")) {
            return Err(libc::EINVAL);
        }
        if from.starts_with(&format!("{to}/")) {
            // It holds what is moved.
            return Err(libc::ENOTEMPTY);
        }
        match self.resolve(to) {
            Ok(replaced) if replaced == id => return Ok(()),
            Ok(replaced) => match (moves_directory, self.entries(replaced)) {
                (true, Err(_)) => return Err(libc::ENOTDIR),
                (false, Ok(_)) => return Err(libc::EISDIR),
                (true, Ok(entries)) if !entries.is_empty() => return Err(libc::ENOTEMPTY),
                _ => self.remove(to)?,
            },
            Err(libc::ENOENT) => {}
            Err(errno) => return Err(errno),
        }
        self.name(to, id)?;
        self.remove(from)
    }

    fn insert(&mut self, writer: usize, path: &str, inode: Inode) -> Result<InodeId, Errno> {
        let made = self.made.get(&writer).copied().unwrap_or(0) + 1;
        let id = writer as InodeId * INODES_OF_A_WRITER + made;
        self.name(path, id)?;
        self.made.insert(writer, made);
        self.inodes.insert(id, Arc::new(inode));
        Ok(id)
    }

    fn name(&mut self, path: &str, id: InodeId) -> Result<(), Errno> {
        let (entries, name) = self.parent_of(path)?;
        if entries.contains_key(name) {
            return Err(libc::EEXIST);
        }
        entries.insert(name.to_owned(), id);
        Ok(())
    }

    fn remove(&mut self, path: &str) -> Result<(), Errno> {
        let (entries, name) = self.parent_of(path)?;
        entries.remove(name).map(drop).ok_or(libc::ENOENT)
    }

    fn parent_of<'a>(&mut self, path: &'a str) -> Result<(&mut BTreeMap<String, InodeId>, &'a str), Errno> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let id = self.resolve(parent)?;
        match self.inodes.get_mut(&id).map(Arc::make_mut) {
            Some(Inode::Directory(entries)) => Ok((entries, name)),
            _ => Err(libc::ENOTDIR),
        }
    }

    fn resolve(&self, path: &str) -> Result<InodeId, Errno> {
        let names = path.split('/').filter(|name| !name.is_empty());
        names.into_iter().try_fold(ROOT, |id, name| self.entries(id)?.get(name).copied().ok_or(libc::ENOENT))
    }

    fn entries(&self, id: InodeId) -> Result<&BTreeMap<String, InodeId>, Errno> {
        match self.inodes.get(&id).map(|inode| &**inode) {
            Some(Inode::Directory(entries)) => Ok(entries),
            _ => Err(libc::ENOTDIR),
        }
    }

    fn content(&mut self, id: InodeId) -> Result<&mut Vec<u8>, Errno> {
        match self.inodes.get_mut(&id).map(Arc::make_mut) {
            Some(Inode::File(content)) => Ok(content),
            _ => Err(libc::EISDIR),
        }
    }

    fn handle(&self, writer: usize, handle: u8) -> Result<(InodeId, bool), Errno> {
        self.open.get(&(writer, handle)).copied().ok_or(libc::EBADF)
    }
}
