//! Extended attributes.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use artifacts_core::namespace::{Errno, Mutation, XattrMode};
use artifacts_core::protocol::{Answer, Request};
use bytes::Bytes;
use fuser::{INodeNo, ReplyEmpty, ReplyXattr};

use super::call::{Call, Reply};
use crate::agent::Agent;
use crate::gate::Holds;

/// The full name. POSIX ACLs are not served: kept as plain attributes they would look like protection and be none.
fn checked(name: &OsStr) -> Result<Bytes, Errno> {
    if name.as_bytes().starts_with(b"system.posix_acl_") {
        return Err(Errno::EOPNOTSUPP);
    }
    Ok(Bytes::copy_from_slice(name.as_bytes()))
}

/// Answers with a value, or with its length to a program that asks with no room (getxattr(2)).
fn finish(call: Call<ReplyXattr>, value: Result<Bytes, Errno>, room: u32) {
    let value = value.and_then(|value| if room > 0 && value.len() > room as usize { Err(Errno::ERANGE) } else { Ok(value) });
    call.finish(value, move |reply, value| if room == 0 { reply.size(value.len() as u32) } else { reply.data(&value) });
}

pub(super) fn get(agent: &Arc<Agent>, ino: INodeNo, name: &OsStr, room: u32, reply: ReplyXattr) {
    let name = match checked(name) {
        Ok(name) => name,
        Err(errno) => return reply.fail(errno),
    };
    let ino = agent.numbers.to_node(ino);
    Call::begin(agent, Holds::Nothing, reply, move |call| {
        call.ask(Request::Xattr { ino, name }, move |call, answer| {
            let value = answer.and_then(|answer| if let Answer::Bytes(value) = answer { Ok(value) } else { Err(Errno::EIO) });
            finish(call, value, room);
        });
    });
}

pub(super) fn list(agent: &Arc<Agent>, ino: INodeNo, room: u32, reply: ReplyXattr) {
    let ino = agent.numbers.to_node(ino);
    Call::begin(agent, Holds::Nothing, reply, move |call| {
        call.ask(Request::XattrNames { ino }, move |call, answer| {
            let names = answer.and_then(|answer| if let Answer::Names(names) = answer { Ok(joined(&names)) } else { Err(Errno::EIO) });
            finish(call, names, room);
        });
    });
}

/// Each name with a NUL behind it (listxattr(2)).
fn joined(names: &[Bytes]) -> Bytes {
    names.iter().flat_map(|name| name.iter().copied().chain([0])).collect()
}

fn mode_of(flags: i32) -> Result<XattrMode, Errno> {
    match flags {
        0 => Ok(XattrMode::Any),
        libc::XATTR_CREATE => Ok(XattrMode::Create),
        libc::XATTR_REPLACE => Ok(XattrMode::Replace),
        _ => Err(Errno::EINVAL),
    }
}

fn change(agent: &Arc<Agent>, reply: ReplyEmpty, mutation: Result<Mutation, Errno>) {
    match mutation {
        Ok(mutation) => Call::begin(agent, Holds::Nothing, reply, move |call| {
            call.commit(mutation, |call, result| call.finish(result, |reply, _| reply.ok()));
        }),
        Err(errno) => reply.fail(errno),
    }
}

pub(super) fn set(agent: &Arc<Agent>, ino: INodeNo, name: &OsStr, value: &[u8], flags: i32, reply: ReplyEmpty) {
    let ino = agent.numbers.to_node(ino);
    let mutation =
        mode_of(flags).and_then(|mode| Ok(Mutation::SetXattr { ino, name: checked(name)?, value: Bytes::copy_from_slice(value), mode }));
    change(agent, reply, mutation);
}

pub(super) fn remove(agent: &Arc<Agent>, ino: INodeNo, name: &OsStr, reply: ReplyEmpty) {
    let ino = agent.numbers.to_node(ino);
    change(agent, reply, checked(name).map(|name| Mutation::RemoveXattr { ino, name }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_listed_as_the_system_call_wants_them() {
        assert_eq!(joined(&[Bytes::from_static(b"user.a"), Bytes::from_static(b"user.b")]), &b"user.a\0user.b\0"[..]);
        assert_eq!(joined(&[]), &b""[..]);
    }

    #[test]
    fn access_control_lists_are_refused_and_capabilities_are_not() {
        assert_eq!(checked(OsStr::new("system.posix_acl_access")), Err(Errno::EOPNOTSUPP));
        assert!(checked(OsStr::new("security.capability")).is_ok());
        assert_eq!(mode_of(3), Err(Errno::EINVAL));
    }
}
