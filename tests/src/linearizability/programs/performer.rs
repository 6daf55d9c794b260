//! System calls, timed, as operations of the model.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use rustix::fs::{AtFlags, FlockOperation, OFlags, RenameFlags, StatxFlags, flock, renameat_with, statx};

use super::{Group, Histories};
use crate::linearizability::Operation;
use crate::linearizability::files::{Answer, Call, FileId, Slot, Unit, decode, encode};
use crate::time::monotonic_ns;

/// A system call with its answer.
pub type Op = Operation<Call, Answer>;

/// How a file is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// `O_RDONLY`: its pages are the kernel's.
    Read,
    /// `O_RDWR`.
    ReadWrite,
    /// `O_WRONLY | O_APPEND`.
    Append,
}

/// What one client has done in a round, and where it does it.
#[derive(Debug)]
pub(super) struct Performer {
    pub(super) client: u16,
    root: std::path::PathBuf,
    /// What was done in each group.
    pub(super) done: Histories,
    /// Whether a call may end with EIO.
    pub(super) bears_loss: bool,
    /// When the last call that did was made.
    pub(super) lost_ns: Option<u64>,
}

impl Performer {
    /// A client on the mount at `root`.
    pub(super) fn new(client: u16, root: &Path) -> Self {
        let done = Group::all().map(|_| Vec::new()).collect();
        Self { client, root: root.to_owned(), done, bears_loss: false, lost_ns: None }
    }

    /// Does something and notes what came of it. Errors that say something of the file system's state are answers; any
    /// other is a failure of the test.
    fn timed<T>(
        &mut self,
        group: Group,
        call: Call,
        perform: impl FnOnce(&Path) -> io::Result<T>,
        answer: impl FnOnce(&T) -> Result<Answer>,
    ) -> Result<Option<T>> {
        let called_ns = monotonic_ns();
        let result = perform(&self.root);
        let returned_ns = monotonic_ns();
        let (answer, value) = match result {
            Ok(value) => (answer(&value)?, Some(value)),
            Err(error) => match error.raw_os_error() {
                Some(errno @ (libc::ENOENT | libc::EEXIST | libc::EWOULDBLOCK)) => (Answer::Failed(errno), None),
                Some(libc::EIO) if self.bears_loss => {
                    self.note_lost(group, call, called_ns);
                    return Ok(None);
                }
                _ => return Err(error).with_context(|| format!("{call:?} in {group:?} by client {}", self.client)),
            },
        };
        self.note(group, call, answer, (called_ns, returned_ns));
        Ok(value)
    }

    /// Nobody knows what came of this. What only looks says nothing then; nor does it matter whether a file counts as open that
    /// nobody can come to.
    pub(super) fn note_lost(&mut self, group: Group, call: Call, called_ns: u64) {
        self.lost_ns = Some(called_ns);
        let unlock = |call: &Call| match *call {
            Call::Lock { lock, owner, .. } | Call::TryLock { lock, owner, .. } => Some(Call::Unlock { lock, owner }),
            _ => None,
        };
        let later = unlock(&call);
        let changes =
            !matches!(call, Call::Read { .. } | Call::Length(_) | Call::Lookup(_) | Call::List(_) | Call::Open(_) | Call::Close(_));
        // A lock that was given and not taken is given back.
        for call in changes.then_some(call).into_iter().chain(later) {
            self.done[group.0].push(Op { client: self.client, call, called_ns, answer: None, returned_ns: None });
        }
    }

    /// What has had no answer until now has happened by `until_ns`, or never will.
    pub(super) fn settle_losses(&mut self, until_ns: u64) {
        for op in self.done.iter_mut().flatten().filter(|op| op.answer.is_none()) {
            op.returned_ns.get_or_insert(until_ns);
        }
    }

    fn note(&mut self, group: Group, call: Call, answer: Answer, (called_ns, returned_ns): (u64, u64)) {
        let (client, answer, returned_ns) = (self.client, Some(answer), Some(returned_ns));
        self.done[group.0].push(Op { client, call, called_ns, answer, returned_ns });
    }

    pub(super) fn open(&mut self, group: Group, slot: Slot, access: Access) -> Result<Option<(File, FileId)>> {
        let mut options = OpenOptions::new();
        match access {
            Access::Read => options.read(true),
            Access::ReadWrite => options.read(true).write(true),
            Access::Append => options.append(true),
        };
        self.opened(group, Call::Open(slot), move |root| options.open(root.join(group.path(slot))))
    }

    pub(super) fn create(&mut self, group: Group, slot: Slot) -> Result<Option<(File, FileId)>> {
        let open =
            move |root: &Path| OpenOptions::new().read(true).write(true).create_new(true).mode(0o644).open(root.join(group.path(slot)));
        self.opened(group, Call::Create { slot, id: None }, open)
    }

    fn opened(&mut self, group: Group, call: Call, open: impl FnOnce(&Path) -> io::Result<File>) -> Result<Option<(File, FileId)>> {
        let file = self.timed(group, call, open, |file| Ok(Answer::File(number(file)?)))?;
        Ok(match file {
            Some(file) => {
                let id = number(&file)?;
                Some((file, id))
            }
            None => None,
        })
    }

    pub(super) fn close(&mut self, group: Group, file: File, id: FileId) -> Result<()> {
        let close = |_: &Path| {
            drop(file);
            Ok(())
        };
        self.timed(group, Call::Close(id), close, |()| Ok(Answer::Done)).map(drop)
    }

    /// Reads through the kernel's cache of pages. The kernel looks how long the file is, and then at its pages, locally as
    /// here, so a read says something of each unit by itself.
    pub(super) fn read_pages(&mut self, group: Group, file: &File, id: FileId, at: u32, len: u32) -> Result<()> {
        let before = self.done[group.0].len();
        self.read(group, file, id, at, len)?;
        if self.done[group.0].len() == before {
            return Ok(());
        }
        let Some(Op { answer: Some(Answer::Units(units)), called_ns, returned_ns: Some(returned_ns), .. }) = self.done[group.0].pop()
        else {
            return Ok(());
        };
        for index in 0..len {
            let unit = units.get(index as usize).copied().into_iter().collect();
            self.note(group, Call::Read { file: id, at: at + index, len: 1 }, Answer::Units(unit), (called_ns, returned_ns));
        }
        Ok(())
    }

    /// Reads past the kernel's cache.
    pub(super) fn read(&mut self, group: Group, file: &File, id: FileId, at: u32, len: u32) -> Result<()> {
        let unit_bytes = group.unit_bytes();
        let mut bytes = vec![0; len as usize * unit_bytes];
        let read = self.timed(
            group,
            Call::Read { file: id, at, len },
            |_| file.read_at(&mut bytes, u64::from(at) * unit_bytes as u64),
            |_| Ok(Answer::Done),
        )?;
        // The answer is worked out once the clock has stopped.
        if let (Some(read), Some(op)) = (read, self.done[group.0].last_mut()) {
            op.answer = Some(Answer::Units(decode(&bytes[..read], unit_bytes)));
        }
        Ok(())
    }

    pub(super) fn write(&mut self, group: Group, file: &File, id: FileId, at: u32, units: Vec<Unit>) -> Result<()> {
        let bytes = encode(&units, group.unit_bytes());
        let offset = u64::from(at) * group.unit_bytes() as u64;
        let write = |_: &Path| file.write_at(&bytes, offset);
        self.timed(group, Call::Write { file: id, at, units }, write, |&written| whole(written, bytes.len())).map(drop)
    }

    pub(super) fn append(&mut self, group: Group, file: &File, id: FileId, units: Vec<Unit>) -> Result<()> {
        let bytes = encode(&units, group.unit_bytes());
        let write = |_: &Path| io::Write::write(&mut &*file, &bytes);
        self.timed(group, Call::Append { file: id, units }, write, |&written| whole(written, bytes.len())).map(drop)
    }

    pub(super) fn truncate(&mut self, group: Group, file: &File, id: FileId, len: u32) -> Result<()> {
        let bytes = u64::from(len) * group.unit_bytes() as u64;
        self.timed(group, Call::Truncate { file: id, len }, |_| file.set_len(bytes), |()| Ok(Answer::Done)).map(drop)
    }

    pub(super) fn length(&mut self, group: Group, file: &File, id: FileId) -> Result<()> {
        self.timed(group, Call::Length(id), |_| file.metadata(), |found| length(group, found.len())).map(drop)
    }

    /// Finds a name without asking anything of the file.
    pub(super) fn lookup(&mut self, group: Group, slot: Slot) -> Result<()> {
        let open = |root: &Path| {
            let flags = (OFlags::PATH | OFlags::NOFOLLOW).bits();
            OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(root.join(group.path(slot)))
        };
        self.timed(group, Call::Lookup(slot), open, |file| Ok(Answer::File(number(file)?))).map(drop)
    }

    /// stat(2): finds a name, and then asks for the length. The kernel does one after the other, and so does a local one.
    pub(super) fn stat(&mut self, group: Group, slot: Slot) -> Result<()> {
        let called_ns = monotonic_ns();
        let found = fs::symlink_metadata(self.root.join(group.path(slot)));
        let at_ns = (called_ns, monotonic_ns());
        match found {
            Ok(found) => {
                self.note(group, Call::Lookup(slot), Answer::File(found.ino()), at_ns);
                // A file without a name has no length that the model knows when nobody has it open.
                if found.nlink() > 0 {
                    self.note(group, Call::Length(found.ino()), length(group, found.len())?, at_ns);
                }
            }
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
                self.note(group, Call::Lookup(slot), Answer::Failed(libc::ENOENT), at_ns);
            }
            Err(error) if error.raw_os_error() == Some(libc::EIO) && self.bears_loss => self.lost_ns = Some(called_ns),
            Err(error) => return Err(error).context("stat"),
        }
        Ok(())
    }

    pub(super) fn unlink(&mut self, group: Group, slot: Slot) -> Result<()> {
        self.timed(group, Call::Unlink(slot), |root| fs::remove_file(root.join(group.path(slot))), |()| Ok(Answer::Done)).map(drop)
    }

    pub(super) fn rename(&mut self, group: Group, from: Slot, to: Slot, replace: bool) -> Result<()> {
        let flags = if replace { RenameFlags::empty() } else { RenameFlags::NOREPLACE };
        let rename = |root: &Path| {
            let (old, new) = (root.join(group.path(from)), root.join(group.path(to)));
            Ok(renameat_with(rustix::fs::CWD, old, rustix::fs::CWD, new, flags)?)
        };
        self.timed(group, Call::Rename { from, to, replace }, rename, |()| Ok(Answer::Done)).map(drop)
    }

    pub(super) fn list(&mut self, group: Group, dir: u8) -> Result<()> {
        let list = |root: &Path| fs::read_dir(root.join(group.dir(dir)))?.collect::<io::Result<Vec<_>>>();
        let answer = |entries: &Vec<fs::DirEntry>| {
            let mut names = entries
                .iter()
                .map(|entry| {
                    let name = entry.file_name();
                    let digits = name.as_bytes().strip_prefix(b"name-").and_then(|rest| std::str::from_utf8(rest).ok());
                    digits.and_then(|digits| digits.parse().ok()).with_context(|| format!("nobody made {name:?}"))
                })
                .collect::<Result<Vec<u8>>>()?;
            names.sort_unstable();
            Ok(Answer::Names(names))
        };
        self.timed(group, Call::List(dir), list, answer).map(drop)
    }

    /// Waits for the lock of the group, or does not. Answers whether it is held.
    pub(super) fn lock(&mut self, group: Group, file: &File, shared: bool, wait: bool) -> Result<bool> {
        let (lock, owner) = (0, self.client);
        let (call, operation) = match (wait, shared) {
            (true, false) => (Call::Lock { lock, owner, shared }, FlockOperation::LockExclusive),
            (true, true) => (Call::Lock { lock, owner, shared }, FlockOperation::LockShared),
            (false, false) => (Call::TryLock { lock, owner, shared }, FlockOperation::NonBlockingLockExclusive),
            (false, true) => (Call::TryLock { lock, owner, shared }, FlockOperation::NonBlockingLockShared),
        };
        Ok(self.timed(group, call, |_| Ok(flock(file, operation)?), |()| Ok(Answer::Done))?.is_some())
    }

    pub(super) fn unlock(&mut self, group: Group, file: &File) -> Result<()> {
        let call = Call::Unlock { lock: 0, owner: self.client };
        self.timed(group, call, |_| Ok(flock(file, FlockOperation::Unlock)?), |()| Ok(Answer::Done)).map(drop)
    }
}

/// The number of a file, without asking the file system.
fn number(file: &File) -> Result<FileId> {
    let found = statx(file, c"", AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC, StatxFlags::INO)?;
    Ok(found.stx_ino)
}

fn length(group: Group, bytes: u64) -> Result<Answer> {
    let unit_bytes = group.unit_bytes() as u64;
    if !bytes.is_multiple_of(unit_bytes) {
        bail!("a file is {bytes} bytes long, and all writes are of {unit_bytes}");
    }
    Ok(Answer::Length((bytes / unit_bytes) as u32))
}

fn whole(written: usize, len: usize) -> Result<Answer> {
    if written != len {
        bail!("a write of {len} bytes was cut to {written}");
    }
    Ok(Answer::Done)
}
