//! Links, parents and the way to the root: what needs all inodes and all dentries.

use std::collections::BTreeMap;

use super::node::{Node, Nodes, Place};
use super::{Amendment, Check, Findings, Ino};

impl Check {
    pub(super) fn check_tree(&mut self) {
        let Self { nodes, named_in, parents, found, .. } = self;
        count_orphans(nodes, found);
        for node in nodes.iter() {
            check_links(node, found);
            let counted = match named_in.remove(&node.ino) {
                Some(several) if !node.is_dir() => several,
                _ => BTreeMap::new(),
            };
            found.equal(node.ino, "parent counts", parents.remove(&node.ino).unwrap_or_default(), counted);
            found.equal(node.ino, "allocated bytes", node.allocated_bytes, node.bytes);
            found.equal(node.ino, "extended attributes and their bytes", node.recorded_xattrs, (node.xattrs, node.xattr_bytes));
            found.equal(node.ino, "orphans that stood in it", node.recorded_orphans, node.orphans);
        }
        // The counts of inodes that do exist were taken out one by one.
        for ino in std::mem::take(parents).into_keys() {
            found.find(format!("{ino:?}: has parent counts but does not exist"));
        }
        check_reachable(nodes, found);
    }
}

/// Where orphans stood, and that what they stood in is kept.
fn count_orphans(nodes: &mut Nodes, found: &mut Findings) {
    let held_by: Vec<Ino> = nodes.iter().filter(|node| node.nlink == 0).map(|node| node.parent).collect();
    for dir in held_by {
        match nodes.get_mut(dir) {
            Some(node) => node.orphans += 1,
            None => found.find(format!("{dir:?}: orphans stood in it but it does not exist")),
        }
    }
}

/// Link count, size of directories, the parent, and whether it is an orphan.
fn check_links(node: &Node, found: &mut Findings) {
    let Node { ino, names, nlink, .. } = *node;
    let alive = names > 0 || ino == Ino::ROOT;
    if node.is_dir() {
        if names > 1 || (ino == Ino::ROOT && names > 0) {
            found.find(format!("{ino:?}: a directory that {names} dentries name"));
        }
        found.equal(ino, "entries", node.size, u64::from(node.entries));
        found.equal(ino, "links", nlink, if alive { 2 + node.directories } else { 0 });
    } else {
        found.equal(ino, "links", nlink, names);
    }
    if node.is_orphan != (nlink == 0) {
        let text = format!("{ino:?}: has {nlink} links, recorded as an orphan: {}", node.is_orphan);
        if (nlink == 0) != alive {
            found.amend(text, Amendment::OrphanMark(ino));
        } else {
            // A count that is wrong itself says nothing about who may be thrown away.
            found.find(text);
        }
    }
    if ino == Ino::ROOT {
        found.equal(ino, "parent", node.parent, Ino::ROOT);
    } else if names == 1 {
        found.equal(ino, "parent", node.parent, node.named_in);
    }
}

/// Every directory that a dentry names hangs below the root; those that do not form a cycle.
fn check_reachable(nodes: &mut Nodes, found: &mut Findings) {
    match nodes.get_mut(Ino::ROOT) {
        Some(root) if root.is_dir() => root.place = Place::Reached,
        _ => found.find("there is no root directory".to_owned()),
    }
    let directories: Vec<Ino> = nodes.iter().filter(|node| node.is_dir() && node.names > 0).map(|node| node.ino).collect();
    let mut way = Vec::new();
    for ino in directories {
        let mut at = ino;
        let place = loop {
            let Some(node) = nodes.get_mut(at) else { break Place::Lost };
            match node.place {
                Place::Unknown if node.names == 0 || !node.is_dir() => break Place::Lost,
                Place::Unknown => node.place = Place::OnTheWay,
                Place::OnTheWay => break Place::Lost,
                known => break known,
            }
            way.push(at);
            at = node.named_in;
        };
        for ino in way.drain(..) {
            if let Some(node) = nodes.get_mut(ino) {
                node.place = place;
            }
        }
        if place == Place::Lost {
            found.find(format!("{ino:?}: cannot be reached from the root"));
        }
    }
}
