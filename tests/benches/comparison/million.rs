//! A workspace of very many files, made faster than any file system call could.

use anyhow::{Context as _, Result, bail};
use artifacts_core::namespace::{Extent, Ino, Mutation, Name, NewNode, Position};
use artifacts_core::protocol::{Answer, InodeRange, Request};
use artifacts_tests::{RawStream, time};
use bytes::Bytes;

use crate::ours::Ours;

/// How many files are in each directory.
const FILES_A_DIRECTORY: usize = 1_000;
/// Each file's content.
const CONTENT: &[u8] = b"a few bytes, which a file of a large workspace often has no more of\n";
/// How many streams fill at the same time.
const STREAMS: usize = 2;

/// Fills the workspace with so many files and gives the number of directories; they are the root's entries.
pub(crate) fn fill(ours: &mut Ours, files: usize) -> Result<usize> {
    let dirs = files.div_ceil(FILES_A_DIRECTORY);
    let port = ours.lab.node.port();
    let tickets = (0..STREAMS).map(|_| ours.ticket()).collect::<Result<Vec<_>>>()?;
    std::thread::scope(|scope| {
        let fill = |first: usize, ticket| -> Result<()> {
            let (stream, welcome) = RawStream::open_with_ticket(port, ticket)?;
            let mut filler = Filler { stream, numbers: welcome.inodes };
            (first..dirs)
                .step_by(STREAMS)
                .try_for_each(|dir| filler.directory(dir, FILES_A_DIRECTORY.min(files - dir * FILES_A_DIRECTORY)))?;
            filler.stream.goodbye()
        };
        let threads: Vec<_> = tickets.iter().enumerate().map(|(first, ticket)| scope.spawn(move || fill(first, ticket))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().ok().context("a filler panicked")?)
    })?;
    Ok(dirs)
}

/// The name of a directory.
pub(crate) fn dir_name(number: usize) -> String {
    format!("dir-{number}")
}

struct Filler {
    stream: RawStream,
    numbers: InodeRange,
}

impl Filler {
    fn directory(&mut self, number: usize, files: usize) -> Result<()> {
        let dir = self.number()?;
        self.stream.commit_all(vec![create(Ino::ROOT, &dir_name(number), dir, NewNode::Directory)?])?;
        let mut ops = Vec::with_capacity(2 * files);
        for file in 0..files {
            let ino = self.number()?;
            ops.push(create(dir, &format!("file-{file}"), ino, NewNode::File)?);
            let extents = vec![Extent::inline(Bytes::from_static(CONTENT))];
            ops.push(Mutation::Write { ino, position: Position::At(0), extents, kill_privileges: false });
        }
        self.stream.commit_all(ops)
    }

    fn number(&mut self) -> Result<Ino> {
        while self.numbers.count == 0 {
            match self.stream.request(Request::ReserveInodes)? {
                Ok(Answer::Inodes(more)) => self.numbers = more,
                Err(_) => time::sleep(time::Duration::from_millis(20)),
                Ok(other) => bail!("instead of inode numbers came {other:?}"),
            }
        }
        self.numbers.count -= 1;
        self.numbers.first += 1;
        Ok(Ino(self.numbers.first - 1))
    }
}

fn create(parent: Ino, name: &str, ino: Ino, node: NewNode) -> Result<Mutation> {
    let mode = if node == NewNode::Directory { 0o755 } else { 0o644 };
    let name = Name::new(Bytes::copy_from_slice(name.as_bytes())).ok().context("a name that is none")?;
    Ok(Mutation::Create { parent, name, ino, node, mode, uid: 0, gid: 0 })
}
