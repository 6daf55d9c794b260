//! A workspace's files as a session sees them, and ops to try on them.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow, bail, ensure};
use artifacts_core::namespace::{
    AclKind, Attr, Errno, Extent, FileKind, Ino, Mutation, Name, NewNode, Piece, Position, RenameMode, SetAttr, XattrMode,
};
use artifacts_core::protocol::{Answer, InodeRange, Request};
use artifacts_tests::RawStream;
use bytes::Bytes;

/// A name in a directory.
pub(crate) fn name(text: &str) -> Result<Name> {
    Name::new(text.as_bytes().to_vec()).map_err(|errno| anyhow!("{text}: {errno}"))
}

/// Everything below a directory: path, attributes and data, without times of access.
pub(crate) fn dump(stream: &mut RawStream, root: Ino) -> Result<BTreeMap<String, (Attr, Vec<Piece>)>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![(String::new(), root)];
    while let Some((path, ino)) = pending.pop() {
        let Ok(Answer::Attr(mut attr)) = stream.request(Request::Attr { ino })? else { bail!("no attributes of {path}") };
        attr.atime = 0;
        let mut pieces = Vec::new();
        match attr.kind {
            FileKind::Directory => {
                let answer = stream.request(Request::ReadDir { dir: ino, after: None, limit: 1000 })?;
                let Ok(Answer::Entries(entries)) = answer else { bail!("no listing of {path}") };
                for entry in entries {
                    pending.push((format!("{path}/{}", String::from_utf8_lossy(entry.name.as_bytes())), entry.ino));
                }
            }
            FileKind::File => {
                let answer = stream.request(Request::Pieces { ino, offset: 0, len: u64::MAX / 4 })?;
                let Ok(Answer::Pieces { pieces: of_file, .. }) = answer else { bail!("no data of {path}") };
                pieces = of_file;
            }
            _ => {}
        }
        found.insert(path, (attr, pieces));
    }
    Ok(found)
}

/// Inode numbers, taken one after the other.
pub(crate) struct Numbers(pub(crate) InodeRange);

impl Numbers {
    /// The next one.
    pub(crate) fn take(&mut self) -> Result<Ino> {
        ensure!(self.0.count > 0, "no inode numbers left");
        self.0.count -= 1;
        self.0.first += 1;
        Ok(Ino(self.0.first - 1))
    }
}

/// Makes a file or directory.
pub(crate) fn create(stream: &mut RawStream, numbers: &mut Numbers, parent: Ino, text: &str, node: NewNode) -> Result<Ino> {
    let ino = numbers.take()?;
    let result = stream.commit(Mutation::Create { parent, name: name(text)?, ino, node, mode: 0o755, umask: 0, uid: 0, gid: 0 })?;
    result.result.map_err(|errno| anyhow!("{text}: {errno}"))?;
    Ok(ino)
}

/// A write of these bytes at the beginning of a file.
pub(crate) fn write(ino: Ino, data: &'static [u8]) -> Mutation {
    Mutation::Write { ino, position: Position::At(0), extents: vec![Extent::inline(Bytes::from_static(data))], kill_privileges: false }
}

/// One mutation of every kind on a file `file` called `called` in the directory `dir`.
pub(crate) fn every_mutation(dir: Ino, file: Ino, called: &str, fresh: Ino) -> Result<Vec<(&'static str, Mutation)>> {
    let set = SetAttr { size: Some(0), ..SetAttr::default() };
    let value = Bytes::from_static(b"value");
    let rename = |mode| -> Result<Mutation> {
        Ok(Mutation::Rename { parent: dir, name: name(called)?, new_parent: dir, new_name: name("renamed")?, mode })
    };
    let make = |node| -> Result<Mutation> {
        Ok(Mutation::Create { parent: dir, name: name("made")?, ino: fresh, node, mode: 0o644, umask: 0, uid: 0, gid: 0 })
    };
    Ok(vec![
        ("create", make(NewNode::File)?),
        ("mkdir", make(NewNode::Directory)?),
        ("symlink", make(NewNode::Symlink(Bytes::from_static(b"target")))?),
        ("mknod", make(NewNode::Fifo)?),
        ("link", Mutation::Link { ino: file, parent: dir, name: name("linked")? }),
        ("unlink", Mutation::Unlink { parent: dir, name: name(called)? }),
        ("rmdir", Mutation::RemoveDir { parent: dir, name: name(called)? }),
        ("rename", rename(RenameMode::Replace)?),
        ("rename without replacing", rename(RenameMode::NoReplace)?),
        ("truncate", Mutation::SetAttr { ino: file, set }),
        ("chmod", Mutation::SetAttr { ino: dir, set: SetAttr { mode: Some(0o777), ..SetAttr::default() } }),
        ("write", write(file, b"overwritten")),
        ("punch", Mutation::Punch { ino: file, offset: 0, len: 4, extend: false }),
        ("setxattr", Mutation::SetXattr { ino: file, name: Bytes::from_static(b"user.a"), value, mode: XattrMode::Any }),
        ("setfacl", Mutation::SetAcl { ino: file, kind: AclKind::Access, acl: None, kill_set_group_id: false }),
        ("read", Mutation::Access { ino: file }),
        ("copy", Mutation::Clone { from: file, from_offset: 0, to: file, to_offset: 100, len: 4, kill_privileges: false }),
        ("removexattr", Mutation::RemoveXattr { ino: file, name: Bytes::from_static(b"user.a") }),
    ])
}

/// Checks that the op is refused with one of these.
pub(crate) fn expect_errno<T: std::fmt::Debug>(what: &str, result: &Result<T, Errno>, allowed: &[Errno]) -> Result<()> {
    match result {
        Err(errno) if allowed.contains(errno) => Ok(()),
        other => bail!("{what}: {other:?}, expected {allowed:?}"),
    }
}
