//! Making inodes: mknod(2), mkdir(2), symlink(2), and open(2) with O_CREAT.

use std::ffi::OsStr;
use std::sync::Arc;

use artifacts_core::namespace::{Attr, Errno, FileKind, Ino, Mutation, Name, NewNode, SetAttr};
use artifacts_core::protocol::{Answer, Request};
use fuser::{INodeNo, ReplyCreate, ReplyEntry};

use super::call::{Call, GENERATION, Reply, attr_of};
use super::files::{after_change, how_to_cache};
use super::join::join;
use super::names::{checked, enter_outcome};
use super::system_call::SystemCall;
use super::thread::Thread;
use crate::agent::Agent;
use crate::gate::Holds;

/// Who asks for a new inode, and with which permission bits. The kernel leaves the umask to us (DONT_MASK), because
/// it does not count where a directory hands down an access control list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Maker {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mode: u32,
    pub(super) umask: u32,
    pub(super) thread: Thread,
}

impl Maker {
    fn create(self, parent: Ino, name: Name, ino: Ino, node: NewNode) -> Mutation {
        let (mode, umask) = ((self.mode & 0o7777) as u16, (self.umask & 0o777) as u16);
        Mutation::Create { parent, name, ino, node, mode, umask, uid: self.uid, gid: self.gid }
    }
}

/// The kind that the type bits of mknod(2) name.
pub(super) fn node_of(mode: u32, rdev: u32) -> Result<NewNode, Errno> {
    match mode & libc::S_IFMT {
        libc::S_IFREG | 0 => Ok(NewNode::File),
        libc::S_IFIFO => Ok(NewNode::Fifo),
        libc::S_IFSOCK => Ok(NewNode::Socket),
        libc::S_IFCHR => Ok(NewNode::CharDevice(rdev)),
        libc::S_IFBLK => Ok(NewNode::BlockDevice(rdev)),
        _ => Err(Errno::EINVAL),
    }
}

/// An inode that is not to be open.
pub(super) fn make(agent: &Arc<Agent>, parent: INodeNo, name: &OsStr, node: Result<NewNode, Errno>, maker: Maker, reply: ReplyEntry) {
    let (name, node) = match checked(name).and_then(|name| Ok((name, node?))) {
        Ok(both) => both,
        Err(errno) => return reply.fail(errno),
    };
    let parent = agent.numbers.to_node(parent);
    let call = match node {
        NewNode::Directory => SystemCall::Mkdir,
        NewNode::Symlink(_) => SystemCall::Symlink,
        _ => SystemCall::Mknod,
    };
    Call::begin_for(Some(maker.thread), agent, call, Holds::Nothing, reply, move |call| {
        let session = Arc::clone(&call.agent.session);
        session.with_ino(move |ino| match ino {
            Ok(ino) => call.commit(maker.create(parent, name.clone(), ino, node), move |call, result| match result {
                Ok(outcome) => {
                    call.names_changed(&[parent]);
                    enter_outcome(call, outcome.attr, ino, parent, name);
                }
                Err(errno) => call.fail(errno),
            }),
            Err(errno) => call.fail(errno),
        });
    });
}

/// A file to be made and opened at once.
#[derive(Debug, Clone)]
struct Creation {
    parent: Ino,
    name: Name,
    maker: Maker,
    flags: i32,
}

pub(super) fn create(agent: &Arc<Agent>, parent: INodeNo, name: &OsStr, maker: Maker, flags: i32, reply: ReplyCreate) {
    let name = match checked(name) {
        Ok(name) => name,
        Err(errno) => return reply.fail(errno),
    };
    let creation = Creation { parent: agent.numbers.to_node(parent), name, maker, flags };
    Call::begin_for(Some(maker.thread), agent, SystemCall::Create, Holds::Nothing, reply, move |call| {
        let session = Arc::clone(&call.agent.session);
        session.with_ino(move |ino| match ino {
            Ok(ino) => call.agent.session.clone().when_room(move || creation.make(call, ino)),
            Err(errno) => call.fail(errno),
        });
    });
}

impl Creation {
    /// The op and the opening leave together; the node works them off in order.
    fn make(self, call: Call<ReplyCreate>, ino: Ino) {
        let (session, context) = (Arc::clone(&call.agent.session), call.context());
        let mutation = self.maker.create(self.parent, self.name.clone(), ino, NewNode::File);
        let (created, opened) = join(move |created: Result<(), Errno>, opened: Result<Answer, Errno>| {
            let (existed, made) = (created == Err(Errno::EEXIST), created.is_ok());
            if made {
                call.names_changed(&[self.parent]);
            }
            match after_change(&call.agent.session, ino, created, opened) {
                Ok(attr) => self.finish(call, attr),
                Err(_) if existed && self.flags & libc::O_EXCL == 0 => self.open_existing(call),
                // Removed by somebody else before it could be opened: the kernel tries again from the path.
                Err(Errno::ENOENT) if made => call.fail(Errno::ESTALE),
                Err(errno) => call.fail(errno),
            }
        });
        session.send(|batch| {
            batch.serve(context);
            batch.commit(mutation, move |result| created(result.map(drop)));
            batch.ask(Request::Open { ino }, opened);
        });
    }

    /// Somebody else has made the file since the kernel looked. The kernel has not checked its permissions, so only
    /// what plainly belongs to the caller is opened here; for anything else it is sent back to look again.
    fn open_existing(self, call: Call<ReplyCreate>) {
        let lookup = Request::Lookup { parent: self.parent, name: self.name.clone() };
        call.ask(lookup, move |call, answer| match attr_of(answer) {
            Ok(attr) if self.may_open(&attr) => self.open(call, attr.ino),
            Ok(_) | Err(Errno::ENOENT) => call.fail(Errno::ESTALE),
            Err(errno) => call.fail(errno),
        });
    }

    fn may_open(&self, attr: &Attr) -> bool {
        let wanted = match self.flags & libc::O_ACCMODE {
            libc::O_RDONLY => 0o400,
            libc::O_WRONLY => 0o200,
            _ => 0o600,
        };
        let allowed = self.maker.uid == 0 || attr.mode & wanted == wanted;
        attr.kind == FileKind::File && attr.uid == self.maker.uid && allowed
    }

    fn open(self, call: Call<ReplyCreate>, ino: Ino) {
        let (session, context) = (Arc::clone(&call.agent.session), call.context());
        let truncate = self.flags & libc::O_TRUNC != 0;
        let set = SetAttr { size: Some(0), kill_privileges: self.maker.uid != 0, ..SetAttr::default() };
        let (truncated, opened) = join(move |truncated: Result<(), Errno>, opened: Result<Answer, Errno>| {
            match after_change(&call.agent.session, ino, truncated, opened) {
                Ok(attr) => self.finish(call, attr),
                Err(Errno::ENOENT) => call.fail(Errno::ESTALE),
                Err(errno) => call.fail(errno),
            }
        });
        session.send(|batch| {
            batch.serve(context);
            if truncate {
                batch.commit(Mutation::SetAttr { ino, set }, move |result| truncated(result.map(drop)));
            } else {
                truncated(Ok(()));
            }
            batch.ask(Request::Open { ino }, opened);
        });
    }

    fn finish(self, call: Call<ReplyCreate>, attr: Attr) {
        call.with_pages_checked(&attr.clone(), move |call| {
            let (agent, asker) = (Arc::clone(&call.agent), call.asker);
            call.finish(Ok(attr), move |reply, attr| {
                let caching = how_to_cache(&agent, self.flags);
                agent.show(asker, &[self.parent, attr.ino], &attr, |ttl| {
                    agent.inodes.entered(&attr, self.parent, &self.name);
                    agent.inodes.opened(attr.ino);
                    reply.created(&ttl, &agent.numbers.attr(&attr), GENERATION, agent.lock_files.new_handle(self.flags), caching);
                });
            });
        });
    }
}
