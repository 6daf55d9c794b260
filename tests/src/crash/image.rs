//! A tree as it is on a mount.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

/// Everything below a directory, by path relative to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// The directory's contents, those of its directories included.
    pub nodes: BTreeMap<String, Node>,
}

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A directory.
    Directory,
    /// A file.
    File {
        /// What is in it.
        content: Vec<u8>,
        /// The first of the paths that name this file.
        first_name: String,
        /// How many names it has.
        links: u64,
    },
}

impl Image {
    /// Reads what is there.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn read(root: &Path) -> Result<Self> {
        let mut image = Self::default();
        let mut first_names = HashMap::new();
        let mut waiting = vec![String::new()];
        while let Some(directory) = waiting.pop() {
            for entry in fs::read_dir(root.join(&directory)).with_context(|| format!("read {directory:?}"))? {
                let name = entry?.file_name().into_string().ok().context("a name that is no text")?;
                let path = if directory.is_empty() { name } else { format!("{directory}/{name}") };
                let metadata = fs::symlink_metadata(root.join(&path)).with_context(|| format!("stat {path}"))?;
                let node = if metadata.is_dir() {
                    waiting.push(path.clone());
                    Node::Directory
                } else {
                    let content = fs::read(root.join(&path)).with_context(|| format!("read {path}"))?;
                    ensure!(content.len() as u64 == metadata.len(), "{path} says {} bytes and has {}", metadata.len(), content.len());
                    let first_name: &mut String = first_names.entry(metadata.ino()).or_insert_with(|| path.clone());
                    if path < *first_name {
                        first_name.clone_from(&path);
                    }
                    Node::File { content, first_name: metadata.ino().to_string(), links: metadata.nlink() }
                };
                image.nodes.insert(path, node);
            }
        }
        for node in image.nodes.values_mut() {
            if let Node::File { first_name, .. } = node {
                let ino: u64 = first_name.parse()?;
                first_name.clone_from(&first_names[&ino]);
            }
        }
        Ok(image)
    }

    /// Says in short what is there, one path a line.
    pub fn describe(&self) -> String {
        let line = |(path, node): (&String, &Node)| match node {
            Node::Directory => format!("{path}/\n"),
            Node::File { content, first_name, links } => {
                format!("{path}: {} bytes, {}, {links} links, as {first_name}\n", content.len(), &blake3::hash(content).to_hex()[..16])
            }
        };
        self.nodes.iter().map(line).collect()
    }
}
