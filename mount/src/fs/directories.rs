//! Listing directories.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use artifacts_core::namespace::{DirEntry, Errno, Ino, Name};
use artifacts_core::protocol::{Answer, Request};
use fuser::{FileHandle, FileType, FopenFlags, INodeNo, ReplyDirectory, ReplyEmpty, ReplyOpen};
use parking_lot::Mutex;

use super::access_times;
use super::call::Call;
use super::convert::{InodeNumbers, kind};
use super::system_call::SystemCall;
use crate::agent::Agent;
use crate::gate::Holds;

/// Entries asked for at once.
const PAGE: u32 = 1024;
/// `.` and `..` stand before the entries.
const DOTS: u64 = 2;

/// The listings that are being read, one for each open directory.
#[derive(Debug, Default)]
pub(crate) struct Directories {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    last: u64,
    open: HashMap<u64, Arc<Mutex<Listing>>>,
}

/// What has been read of a directory since its beginning was last asked for. An entry keeps its place in it, so a
/// program that reads on or seeks back meets each entry once, whatever happens to the directory.
#[derive(Debug, Default)]
struct Listing {
    entries: Vec<DirEntry>,
    is_complete: bool,
}

impl Listing {
    fn rewind(&mut self) {
        *self = Self::default();
    }

    /// Whether there is something to show from this place on, or it is known that there is nothing.
    fn reaches(&self, offset: u64) -> bool {
        self.is_complete || offset < DOTS + self.entries.len() as u64
    }

    fn last(&self) -> Option<Name> {
        self.entries.last().map(|entry| entry.name.clone())
    }

    fn extend(&mut self, page: Vec<DirEntry>) {
        self.is_complete = page.len() < PAGE as usize;
        self.entries.extend(page);
    }

    /// Shows entries from this place on until `show` has no room for one more.
    fn show(&self, dir: u64, numbers: InodeNumbers, offset: u64, mut show: impl FnMut(u64, u64, FileType, &OsStr) -> bool) {
        let mut next = offset;
        let mut show = |ino, kind, name: &OsStr| {
            next += 1;
            show(ino, next, kind, name)
        };
        // The parent's number is not known here, and nobody relies on it: the root's stands for it.
        let dots = [(dir, "."), (INodeNo::ROOT.0, "..")];
        for (ino, name) in dots.into_iter().skip(offset.min(DOTS) as usize) {
            if show(ino, FileType::Directory, OsStr::new(name)) {
                return;
            }
        }
        for entry in self.entries.iter().skip(offset.saturating_sub(DOTS) as usize) {
            if show(numbers.to_kernel(entry.ino), kind(entry.kind), OsStr::from_bytes(entry.name.as_bytes())) {
                return;
            }
        }
    }
}

pub(super) fn open(agent: &Arc<Agent>, reply: ReplyOpen) {
    Call::begin(agent, SystemCall::OpenDir, Holds::Nothing, reply, |call| {
        let agent = Arc::clone(&call.agent);
        call.finish(Ok(()), move |reply, ()| {
            let mut inner = agent.directories.inner.lock();
            inner.last += 1;
            let handle = inner.last;
            inner.open.insert(handle, Arc::default());
            drop(inner);
            reply.opened(FileHandle(handle), FopenFlags::empty());
        });
    });
}

pub(super) fn release(agent: &Arc<Agent>, handle: FileHandle, reply: ReplyEmpty) {
    agent.directories.inner.lock().open.remove(&handle.0);
    reply.ok();
}

pub(super) fn read(agent: &Arc<Agent>, dir: INodeNo, handle: FileHandle, offset: u64, reply: ReplyDirectory) {
    let dir = agent.numbers.to_node(dir);
    Call::begin(agent, SystemCall::ReadDir, Holds::Nothing, reply, move |call| {
        let listing = call.agent.directories.inner.lock().open.get(&handle.0).cloned();
        let Some(listing) = listing else { return call.fail(Errno::EIO) };
        if offset == 0 {
            listing.lock().rewind();
            access_times::read(&call.agent, dir);
        }
        read_on(call, dir, listing, offset);
    });
}

fn read_on(call: Call<ReplyDirectory>, dir: Ino, listing: Arc<Mutex<Listing>>, offset: u64) {
    let after = {
        let known = listing.lock();
        if known.reaches(offset) {
            drop(known);
            return finish(call, dir, listing, offset);
        }
        known.last()
    };
    call.ask(Request::ReadDir { dir, after, limit: PAGE }, move |call, answer| match answer {
        Ok(Answer::Entries(page)) => {
            listing.lock().extend(page);
            read_on(call, dir, listing, offset);
        }
        Ok(_) => call.fail(Errno::EIO),
        Err(errno) => call.fail(errno),
    });
}

fn finish(call: Call<ReplyDirectory>, dir: Ino, listing: Arc<Mutex<Listing>>, offset: u64) {
    let numbers = call.agent.numbers;
    call.finish(Ok(listing), move |mut reply, listing| {
        let dir = numbers.to_kernel(dir);
        listing.lock().show(dir, numbers, offset, |ino, next, kind, name| reply.add(INodeNo(ino), next, kind, name));
        reply.ok();
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use artifacts_core::namespace::FileKind;

    fn entry(ino: u64) -> DirEntry {
        DirEntry { name: Name::new(format!("f{ino}")).unwrap(), ino: Ino(ino), kind: FileKind::File }
    }

    fn shown(listing: &Listing, offset: u64, room: usize) -> Vec<(String, u64)> {
        let mut seen = Vec::new();
        listing.show(7, InodeNumbers::new(Ino(1)), offset, |_, next, _, name| {
            if seen.len() == room {
                return true;
            }
            seen.push((name.to_str().unwrap().to_owned(), next));
            false
        });
        seen
    }

    #[test]
    fn a_listing_is_read_in_parts_and_from_any_place() {
        let mut listing = Listing::default();
        assert!(!listing.reaches(2));
        listing.extend(vec![entry(11), entry(12)]);
        let all = [(".".to_owned(), 1), ("..".to_owned(), 2), ("f11".to_owned(), 3), ("f12".to_owned(), 4)];
        assert_eq!(shown(&listing, 0, 9), all);
        assert_eq!(shown(&listing, 0, 1), all[..1]);
        assert_eq!(shown(&listing, 1, 2), all[1..3]);
        assert_eq!(shown(&listing, 3, 9), all[3..]);
        assert_eq!(shown(&listing, 4, 9), []);
        assert_eq!(shown(&listing, 400, 9), []);
    }

    #[test]
    fn a_full_page_may_have_another_behind_it() {
        let mut listing = Listing::default();
        listing.extend((0..u64::from(PAGE)).map(entry).collect());
        assert!(!listing.is_complete && listing.reaches(1025) && !listing.reaches(1026));
        assert_eq!(listing.last().unwrap().as_bytes(), b"f1023");
        listing.extend(vec![]);
        assert!(listing.reaches(1026));
        listing.rewind();
        assert!(!listing.reaches(2));
    }
}
