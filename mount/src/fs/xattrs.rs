//! Extended attributes.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use artifacts_core::namespace::{Errno, Mutation, XattrMode};
use artifacts_core::protocol::{Answer, Request};
use bytes::Bytes;
use fuser::{INodeNo, ReplyEmpty, ReplyXattr};

use super::call::{Call, Reply};
use super::system_call::SystemCall;
use crate::agent::Agent;
use crate::errno;
use crate::gate::Holds;

/// What a name may begin with (xattr(7)). Access control lists have a way of their own and are only read here.
const KINDS: [&[u8]; 4] = [b"user.", b"trusted.", b"security.", b"system.posix_acl_"];

/// The full name. One of another kind is refused, as everywhere on Linux.
fn checked(name: &OsStr) -> Result<Bytes, Errno> {
    let name = name.as_bytes();
    match KINDS.iter().find(|kind| name.starts_with(kind)) {
        Some(kind) if name.len() == kind.len() => Err(Errno::EINVAL),
        Some(_) => Ok(Bytes::copy_from_slice(name)),
        None => Err(Errno::EOPNOTSUPP),
    }
}

/// Answers with a value, or with its length to a program that asks with no room (getxattr(2)).
fn finish(call: Call<ReplyXattr>, value: Result<Bytes, Errno>, room: u32) {
    let value = value.and_then(|value| if room > 0 && value.len() > room as usize { Err(Errno::ERANGE) } else { Ok(value) });
    call.finish(
        value.map_err(errno::of_inode),
        move |reply, value| if room == 0 { reply.size(value.len() as u32) } else { reply.data(&value) },
    );
}

pub(super) fn get(agent: &Arc<Agent>, ino: INodeNo, name: &OsStr, room: u32, reply: ReplyXattr) {
    let name = match checked(name) {
        Ok(name) => name,
        Err(errno) => return reply.fail(errno),
    };
    let ino = agent.numbers.to_node(ino);
    Call::begin(agent, SystemCall::GetXattr, Holds::Nothing, reply, move |call| {
        call.ask(Request::Xattr { ino, name }, move |call, answer| {
            let value = answer.and_then(|answer| if let Answer::Bytes(value) = answer { Ok(value) } else { Err(Errno::EIO) });
            finish(call, value, room);
        });
    });
}

/// As on every Linux file system, `trusted.` attributes are shown to the privileged alone.
fn is_shown(name: &[u8], uid: u32) -> bool {
    uid == 0 || !name.starts_with(b"trusted.")
}

pub(super) fn list(agent: &Arc<Agent>, uid: u32, ino: INodeNo, room: u32, reply: ReplyXattr) {
    let ino = agent.numbers.to_node(ino);
    Call::begin(agent, SystemCall::ListXattr, Holds::Nothing, reply, move |call| {
        call.ask(Request::XattrNames { ino }, move |call, answer| {
            let names = answer.and_then(|answer| if let Answer::Names(names) = answer { Ok(names) } else { Err(Errno::EIO) });
            let names = names.map(|names| joined(names.iter().filter(|name| is_shown(name, uid))));
            finish(call, names, room);
        });
    });
}

/// Each name with a NUL behind it (listxattr(2)).
fn joined<'a>(names: impl Iterator<Item = &'a Bytes>) -> Bytes {
    names.flat_map(|name| name.iter().copied().chain([0])).collect()
}

fn mode_of(flags: i32) -> Result<XattrMode, Errno> {
    match flags {
        0 => Ok(XattrMode::Any),
        libc::XATTR_CREATE => Ok(XattrMode::Create),
        libc::XATTR_REPLACE => Ok(XattrMode::Replace),
        _ => Err(Errno::EINVAL),
    }
}

fn change(agent: &Arc<Agent>, reply: ReplyEmpty, mutation: Mutation) {
    let call = if matches!(mutation, Mutation::SetXattr { .. }) { SystemCall::SetXattr } else { SystemCall::RemoveXattr };
    Call::begin(agent, call, Holds::Nothing, reply, move |call| {
        call.commit(mutation, |call, result| call.finish(result.map_err(errno::of_inode), |reply, _| reply.ok()));
    });
}

pub(super) fn set(agent: &Arc<Agent>, ino: INodeNo, name: &OsStr, value: &[u8], flags: i32, reply: ReplyEmpty) {
    let ino = agent.numbers.to_node(ino);
    match mode_of(flags).and_then(|mode| Ok((mode, checked(name)?))) {
        Ok((mode, name)) => change(agent, reply, Mutation::SetXattr { ino, name, value: Bytes::copy_from_slice(value), mode }),
        Err(errno) => reply.fail(errno),
    }
}

pub(super) fn remove(agent: &Arc<Agent>, ino: INodeNo, name: &OsStr, reply: ReplyEmpty) {
    let ino = agent.numbers.to_node(ino);
    match checked(name) {
        Ok(name) => change(agent, reply, Mutation::RemoveXattr { ino, name }),
        Err(errno) => reply.fail(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_listed_as_the_system_call_wants_them() {
        assert_eq!(joined([Bytes::from_static(b"user.a"), Bytes::from_static(b"user.b")].iter()), &b"user.a\0user.b\0"[..]);
        assert_eq!(joined([].iter()), &b""[..]);
    }

    #[test]
    fn names_are_of_a_known_kind() {
        for (name, expected) in [
            ("user.a", Ok(())),
            ("security.capability", Ok(())),
            ("trusted.overlay.opaque", Ok(())),
            ("system.posix_acl_access", Ok(())),
            ("user.", Err(Errno::EINVAL)),
            ("system.nfs4_acl", Err(Errno::EOPNOTSUPP)),
            ("a", Err(Errno::EOPNOTSUPP)),
        ] {
            assert_eq!(checked(OsStr::new(name)).map(drop), expected, "{name}");
        }
    }

    #[test]
    fn trusted_attributes_are_shown_to_the_privileged_alone() {
        assert!(is_shown(b"trusted.a", 0) && !is_shown(b"trusted.a", 1000));
        assert!(is_shown(b"user.trusted.a", 1000) && is_shown(b"system.posix_acl_access", 1000));
    }

    #[test]
    fn flags_exclude_each_other() {
        assert_eq!(mode_of(libc::XATTR_CREATE | libc::XATTR_REPLACE), Err(Errno::EINVAL));
    }
}
