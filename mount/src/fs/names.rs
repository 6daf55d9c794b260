//! Names in directories: finding, linking, removing and renaming them. Making new inodes is next door.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use artifacts_core::namespace::{Attr, Errno, Ino, Mutation, Name, RenameMode};
use artifacts_core::protocol::{Answer, Request};
use bytes::Bytes;
use fuser::{INodeNo, RenameFlags, ReplyData, ReplyEmpty, ReplyEntry};

use super::access_times;
use super::call::{Call, GENERATION, Reply, attr_of};
use super::system_call::SystemCall;
use super::thread::Thread;
use crate::agent::Agent;
use crate::errno;
use crate::gate::Holds;

/// A checked name. The kernel sends no other; an NFS server on top may ask for `.`.
pub(super) fn checked(name: &OsStr) -> Result<Name, Errno> {
    Name::new(Bytes::copy_from_slice(name.as_bytes()))
}

/// Shows the kernel an entry.
pub(super) fn enter(call: Call<ReplyEntry>, result: Result<Attr, Errno>, parent: Ino, name: Name) {
    let attr = match result {
        Ok(attr) => attr,
        Err(errno) => return call.fail(errno),
    };
    call.with_pages_checked(&attr.clone(), move |call| {
        let (agent, asker) = (Arc::clone(&call.agent), call.asker);
        call.finish(Ok(attr), move |reply, attr| {
            agent.show(asker, &[parent, attr.ino], &attr, |ttl| {
                agent.inodes.entered(&attr, parent, &name);
                reply.entry(&ttl, &agent.numbers.attr(&attr), GENERATION);
            });
        });
    });
}

pub(super) fn lookup(agent: &Arc<Agent>, thread: Thread, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
    let name = match checked(name) {
        Ok(name) => name,
        Err(errno) => return reply.fail(errno),
    };
    let parent = agent.numbers.to_node(parent);
    Call::begin_for(Some(thread), agent, SystemCall::Lookup, Holds::Nothing, reply, move |call| {
        call.ask(Request::Lookup { parent, name: name.clone() }, move |call, answer| enter(call, attr_of(answer), parent, name));
    });
}

pub(super) fn read_link(agent: &Arc<Agent>, ino: INodeNo, reply: ReplyData) {
    let ino = agent.numbers.to_node(ino);
    Call::begin(agent, SystemCall::ReadLink, Holds::Nothing, reply, move |call| {
        call.ask(Request::ReadLink { ino }, move |call, answer| {
            let target = answer.and_then(|answer| if let Answer::Bytes(target) = answer { Ok(target) } else { Err(Errno::EIO) });
            if target.is_ok() {
                access_times::read(&call.agent, ino);
            }
            call.finish(target.map_err(errno::of_inode), |reply, target| reply.data(&target));
        });
    });
}

pub(super) fn link(agent: &Arc<Agent>, thread: Thread, ino: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
    let name = match checked(name) {
        Ok(name) => name,
        Err(errno) => return reply.fail(errno),
    };
    let (ino, parent) = (agent.numbers.to_node(ino), agent.numbers.to_node(parent));
    Call::begin_for(Some(thread), agent, SystemCall::Link, Holds::Nothing, reply, move |call| {
        call.commit(Mutation::Link { ino, parent, name: name.clone() }, move |call, result| match result {
            Ok(outcome) => {
                call.names_changed(&[parent]);
                enter_outcome(call, outcome.attr, ino, parent, name);
            }
            Err(errno) => call.fail(errno),
        });
    });
}

/// Shows the kernel what an op has made. A node that has restarted meanwhile may not know the details any more, and
/// is asked for them.
pub(super) fn enter_outcome(call: Call<ReplyEntry>, attr: Option<Attr>, ino: Ino, parent: Ino, name: Name) {
    match attr {
        Some(attr) => enter(call, Ok(attr), parent, name),
        None => call.ask(Request::Attr { ino }, move |call, answer| enter(call, attr_of(answer), parent, name)),
    }
}

fn change(agent: &Arc<Agent>, thread: Thread, reply: ReplyEmpty, mutation: Mutation, directories: impl AsRef<[Ino]> + Send + 'static) {
    let call = match mutation {
        Mutation::Rename { .. } => SystemCall::Rename,
        Mutation::RemoveDir { .. } => SystemCall::Rmdir,
        _ => SystemCall::Unlink,
    };
    Call::begin_for(Some(thread), agent, call, Holds::Nothing, reply, move |call| {
        call.commit(mutation, move |call, result| {
            if result.is_ok() {
                call.names_changed(directories.as_ref());
            }
            call.finish(result, |reply, _| reply.ok());
        });
    });
}

pub(super) fn unlink(agent: &Arc<Agent>, thread: Thread, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
    let parent = agent.numbers.to_node(parent);
    match checked(name) {
        Ok(name) => change(agent, thread, reply, Mutation::Unlink { parent, name }, [parent]),
        Err(errno) => reply.fail(errno),
    }
}

pub(super) fn remove_dir(agent: &Arc<Agent>, thread: Thread, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
    let parent = agent.numbers.to_node(parent);
    match checked(name) {
        Ok(name) => change(agent, thread, reply, Mutation::RemoveDir { parent, name }, [parent]),
        Err(errno) => reply.fail(errno),
    }
}

pub(super) fn rename(
    agent: &Arc<Agent>,
    thread: Thread,
    from: (INodeNo, &OsStr),
    to: (INodeNo, &OsStr),
    flags: RenameFlags,
    reply: ReplyEmpty,
) {
    let mode = if flags.is_empty() {
        RenameMode::Replace
    } else if flags == RenameFlags::RENAME_NOREPLACE {
        RenameMode::NoReplace
    } else if flags == RenameFlags::RENAME_EXCHANGE {
        RenameMode::Exchange
    } else {
        return reply.fail(Errno::EINVAL);
    };
    match checked(from.1).and_then(|name| Ok((name, checked(to.1)?))) {
        Ok((name, new_name)) => {
            let (parent, new_parent) = (agent.numbers.to_node(from.0), agent.numbers.to_node(to.0));
            change(agent, thread, reply, Mutation::Rename { parent, name, new_parent, new_name, mode }, [parent, new_parent]);
        }
        Err(errno) => reply.fail(errno),
    }
}
