use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

/// What a directory holds, as names, kinds, permissions, lengths, times and hashes of content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree(BTreeMap<PathBuf, Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    mode: u32,
    links: u64,
    mtime: (i64, i64),
    content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    File(u64, blake3::Hash),
    Link(PathBuf),
    Other,
}

impl Tree {
    /// Reads everything below `root`.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn of(root: &Path) -> Result<Self> {
        let mut entries = BTreeMap::new();
        visit(root, Path::new(""), &mut entries)?;
        Ok(Self(entries))
    }

    /// How many entries.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks that the other tree is the same to the last byte.
    ///
    /// # Errors
    /// Names the first few differences.
    pub fn expect_same(&self, other: &Self) -> Result<()> {
        let names = self.0.keys().chain(other.0.keys().filter(|name| !self.0.contains_key(*name)));
        let differ = names.filter(|name| self.0.get(*name) != other.0.get(*name));
        let told: Vec<String> =
            differ.take(5).map(|name| format!("{}: {:?} became {:?}", name.display(), self.0.get(name), other.0.get(name))).collect();
        ensure!(told.is_empty(), "the trees differ:\n{}", told.join("\n"));
        Ok(())
    }
}

fn visit(root: &Path, below: &Path, into: &mut BTreeMap<PathBuf, Entry>) -> Result<()> {
    let dir = root.join(below);
    for entry in fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
        let entry = entry.with_context(|| dir.display().to_string())?;
        let (path, name) = (entry.path(), below.join(entry.file_name()));
        let meta = fs::symlink_metadata(&path).with_context(|| path.display().to_string())?;
        let content = if meta.is_symlink() {
            Content::Link(fs::read_link(&path)?)
        } else if meta.is_file() {
            let mut hasher = blake3::Hasher::new();
            let read = File::open(&path).and_then(|mut file| std::io::copy(&mut file, &mut hasher));
            let read = read.with_context(|| path.display().to_string())?;
            ensure!(read == meta.len(), "{}: {} bytes long, {read} read", path.display(), meta.len());
            Content::File(read, hasher.finalize())
        } else {
            Content::Other
        };
        if meta.is_dir() {
            visit(root, &name, into)?;
        }
        let mode = meta.permissions().mode();
        into.insert(name, Entry { mode, links: meta.nlink(), mtime: (meta.mtime(), meta.mtime_nsec()), content });
    }
    Ok(())
}
