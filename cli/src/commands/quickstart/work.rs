//! Real work on a mount, and the proof in another one that it has happened there too.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};

use crate::size::Size;

/// Sizes around the block, inline and segment limits.
const SIZES: [usize; 8] = [0, 1, 4095, 4096, 65_537, 1 << 20, (1 << 20) + 1, 9 << 20];
/// How many small files go into one directory.
const SMALL_FILES: usize = 300;

/// A file that must be there, with its content.
#[derive(Debug, Clone)]
struct Expected {
    path: PathBuf,
    seed: u64,
    length: usize,
}

/// What was done in the first mount, so that the second can be held against it.
#[derive(Debug, Clone, Default)]
pub(super) struct Manifest {
    files: Vec<Expected>,
}

impl Manifest {
    fn write(&mut self, root: &Path, path: impl Into<PathBuf>, length: usize) -> anyhow::Result<()> {
        let expected = Expected { path: path.into(), seed: self.files.len() as u64 + 1, length };
        let path = root.join(&expected.path);
        let mut file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        file.write_all(&content(expected.seed, expected.length)).with_context(|| format!("cannot write {}", path.display()))?;
        self.files.push(expected);
        Ok(())
    }

    /// Files from empty to larger than a segment, the largest one synced.
    pub(super) fn files_of_several_sizes(&mut self, root: &Path) -> anyhow::Result<String> {
        fs::create_dir(root.join("sizes"))?;
        for length in SIZES {
            self.write(root, format!("sizes/{length}.bin"), length)?;
        }
        let largest = SIZES.iter().max().copied().unwrap_or_default();
        File::options().write(true).open(root.join(format!("sizes/{largest}.bin")))?.sync_all().context("fsync")?;
        Ok(format!("{} files, {}", SIZES.len(), Size::from_bytes(SIZES.iter().sum::<usize>() as u64)))
    }

    /// Hundreds of files of some hundred bytes.
    pub(super) fn small_files(&mut self, root: &Path) -> anyhow::Result<String> {
        fs::create_dir(root.join("small"))?;
        for index in 0..SMALL_FILES {
            self.write(root, format!("small/{index:03}.txt"), 100 + index)?;
        }
        Ok(format!("{SMALL_FILES} files"))
    }

    /// Directories, renames over and between them, hard and symbolic links, appending, removing.
    pub(super) fn names(&mut self, root: &Path) -> anyhow::Result<String> {
        fs::create_dir_all(root.join("tree/a/b/c/d"))?;
        self.write(root, "tree/a/b/moved.txt", 1000)?;
        fs::rename(root.join("tree/a/b/moved.txt"), root.join("tree/a/final.txt")).context("rename of a file")?;
        if let Some(moved) = self.files.last_mut() {
            moved.path = PathBuf::from("tree/renamed/final.txt");
        }
        fs::rename(root.join("tree/a"), root.join("tree/renamed")).context("rename of a directory")?;
        fs::hard_link(root.join("tree/renamed/final.txt"), root.join("tree/hard-link")).context("hard link")?;
        symlink("renamed/final.txt", root.join("tree/symbolic-link")).context("symbolic link")?;
        self.write(root, "tree/replaced.txt", 10)?;
        let replaced = self.files.pop();
        self.write(root, "tree/new.txt", 20)?;
        if let (Some(new), Some(replaced)) = (self.files.last_mut(), replaced) {
            fs::rename(root.join(&new.path), root.join(&replaced.path)).context("rename over a file")?;
            new.path = replaced.path;
        }
        let mut log = File::options().create(true).append(true).open(root.join("tree/log"))?;
        for line in 0..10 {
            writeln!(log, "line {line}")?;
        }
        fs::write(root.join("tree/removed"), "x")?;
        fs::remove_file(root.join("tree/removed")).context("unlink")?;
        fs::create_dir(root.join("tree/removed-directory"))?;
        fs::remove_dir(root.join("tree/removed-directory")).context("rmdir")?;
        Ok("3 renames, 2 links, 10 appends".to_owned())
    }

    /// Reads everything in `root`, another mount, and compares it byte by byte.
    pub(super) fn verify(&self, root: &Path) -> anyhow::Result<String> {
        let mut bytes = 0;
        for expected in &self.files {
            let path = root.join(&expected.path);
            let mut found = Vec::with_capacity(expected.length);
            File::open(&path)
                .and_then(|mut file| file.read_to_end(&mut found))
                .with_context(|| format!("cannot read {}", path.display()))?;
            ensure!(found.len() == expected.length, "{} has {} bytes instead of {}", path.display(), found.len(), expected.length);
            if let Some(at) = found.iter().zip(content(expected.seed, expected.length)).position(|(found, expected)| *found != expected) {
                bail!("{} differs at byte {at}", path.display());
            }
            bytes += found.len();
        }
        ensure!(fs::read_dir(root.join("small"))?.count() == SMALL_FILES, "the directory `small` does not hold {SMALL_FILES} entries");
        let tree = root.join("tree");
        let (file, link) = (fs::metadata(tree.join("renamed/final.txt"))?, fs::metadata(tree.join("hard-link"))?);
        ensure!(file.ino() == link.ino() && file.nlink() == 2, "the hard link is another file");
        ensure!(fs::read_link(tree.join("symbolic-link"))? == Path::new("renamed/final.txt"), "the symbolic link points elsewhere");
        ensure!(fs::metadata(tree.join("symbolic-link"))?.ino() == file.ino(), "the symbolic link leads elsewhere");
        ensure!(fs::metadata(tree.join("renamed/b/c/d"))?.is_dir(), "a directory is missing");
        ensure!(fs::read_to_string(tree.join("log"))?.lines().count() == 10, "the appended lines are not there");
        for gone in ["a", "new.txt", "removed", "removed-directory", "renamed/b/moved.txt"] {
            ensure!(!fs::exists(tree.join(gone))?, "tree/{gone} is still there");
        }
        Ok(format!("{} files, {}, byte by byte", self.files.len(), Size::from_bytes(bytes as u64)))
    }
}

/// Bytes that repeat nowhere and can be told from their seed (xorshift64).
fn content(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_verifies_on_a_plain_directory_and_damage_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let mut manifest = Manifest::default();
        manifest.files_of_several_sizes(root).unwrap();
        manifest.small_files(root).unwrap();
        manifest.names(root).unwrap();
        manifest.verify(root).unwrap();
        let mut damaged = fs::read(root.join("sizes/65537.bin")).unwrap();
        damaged[60_000] ^= 1;
        fs::write(root.join("sizes/65537.bin"), damaged).unwrap();
        assert!(manifest.verify(root).unwrap_err().to_string().contains("byte 60000"));
    }
}
