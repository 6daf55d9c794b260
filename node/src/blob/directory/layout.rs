//! How a key becomes a path, and how the tree is listed in the order of the keys.
//!
//! Each component of a key lies in a directory named by its first [`FANOUT_BYTES`] bytes. Keys are a prefix that names
//! their kind and random text, so of `seg_0p…` and `ws_4k2…` a few random characters are in that name and no directory grows
//! large. A component that is a directory ends in `+`, so that the keys `a` and `a/b` can exist side by side.
//!
//! With `+` read as `/`, the names on a path spell the key, a name is a prefix of all keys below it, and sorting the
//! names of each directory sorts the keys. That makes a page of a listing cost what it shows, not the whole tree.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::blob::BlobKey;

/// How much of a component names the directory around it: the longest prefix of an id and at least two random digits.
const FANOUT_BYTES: usize = 6;

/// Stands for `/` at the end of a component; no key contains it.
const SLASH: char = '+';

/// Where the object of a key lies below `objects`.
pub(super) fn path(objects: &Path, key: &BlobKey) -> PathBuf {
    let mut path = objects.to_owned();
    let mut components = key.components().peekable();
    while let Some(component) = components.next() {
        let mut name = component.to_owned();
        if components.peek().is_some() {
            name.push(SLASH);
        }
        path.push(&name[..name.len().min(FANOUT_BYTES)]);
        path.push(name);
    }
    path
}

/// Lists up to `limit` keys that begin with `prefix` and come after `after`.
pub(super) fn list(objects: &Path, prefix: &str, after: Option<&BlobKey>, limit: usize) -> io::Result<Vec<BlobKey>> {
    let mut listing = Listing { prefix, after: after.map_or("", BlobKey::as_str), limit, found: Vec::new() };
    listing.fanouts(objects, "")?;
    Ok(listing.found)
}

struct Listing<'a> {
    prefix: &'a str,
    after: &'a str,
    limit: usize,
    found: Vec<BlobKey>,
}

impl Listing<'_> {
    /// Goes through a directory of fan-out directories; `above` is the text that all keys below begin with.
    fn fanouts(&mut self, directory: &Path, above: &str) -> io::Result<()> {
        for (name, _) in self.names(directory, above)? {
            if self.found.len() == self.limit {
                break;
            }
            self.components(&directory.join(name), above)?;
        }
        Ok(())
    }

    /// Goes through one fan-out directory, whose components continue `above`.
    fn components(&mut self, directory: &Path, above: &str) -> io::Result<()> {
        for (name, text) in self.names(directory, above)? {
            if self.found.len() == self.limit {
                break;
            }
            if text.ends_with('/') {
                self.fanouts(&directory.join(name), &text)?;
            } else if text.starts_with(self.prefix) && *text > *self.after {
                // Whatever else somebody put there is not ours to list.
                self.found.extend(BlobKey::new(&text));
            }
        }
        Ok(())
    }

    /// The names in a directory below which keys of this listing may lie, each with the text its keys begin with, in
    /// the order of the keys.
    fn names(&self, directory: &Path, above: &str) -> io::Result<Vec<(String, String)>> {
        let entries = match fs::read_dir(directory) {
            // Removed since its name was read, with the last object in it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let Ok(name) = entry?.file_name().into_string() else { continue };
            let text = format!("{above}{}", name.replace(SLASH, "/"));
            if self.may_hold(&text) {
                names.push((name, text));
            }
        }
        names.sort_by(|(_, left), (_, right)| left.cmp(right));
        Ok(names)
    }

    /// Whether keys that begin with `text` may be wanted.
    fn may_hold(&self, text: &str) -> bool {
        let has_prefix = text.starts_with(self.prefix) || self.prefix.starts_with(text);
        has_prefix && (*text >= *self.after || self.after.starts_with(text))
    }
}
