//! POSIX access control lists. The kernel enforces them (POSIX_ACL) and hands them in and out as extended attributes.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use artifacts_core::namespace::{ACL_ACCESS, ACL_DEFAULT, AclKind, Ino, Mutation};
use artifacts_core::protocol::Request;
use bytes::Bytes;
use fuser::{INodeNo, ReplyEmpty};

use super::call::{Call, attr_of};
use super::caller::Caller;
use super::system_call::SystemCall;
use crate::agent::Agent;
use crate::gate::Holds;

/// Which list an extended attribute is, if it is one.
pub(super) fn kind_of(name: &OsStr) -> Option<AclKind> {
    match name.as_bytes() {
        name if name == ACL_ACCESS => Some(AclKind::Access),
        name if name == ACL_DEFAULT => Some(AclKind::Default),
        _ => None,
    }
}

/// Sets a list or removes it. Whoever sets an access list from outside the file's group takes its set-group-id away.
/// The kernel would say so in a longer form of the request, which the library does not read.
pub(super) fn set(agent: &Arc<Agent>, caller: Caller, ino: INodeNo, kind: AclKind, acl: Option<Bytes>, reply: ReplyEmpty) {
    let ino = agent.numbers.to_node(ino);
    let call = if acl.is_some() { SystemCall::SetXattr } else { SystemCall::RemoveXattr };
    Call::begin(agent, call, Holds::Nothing, reply, move |call| {
        if kind == AclKind::Default || acl.is_none() {
            return commit(call, ino, kind, acl, false);
        }
        call.ask(Request::Attr { ino }, move |call, answer| match attr_of(answer) {
            Ok(attr) => commit(call, ino, kind, acl, attr.mode & 0o2000 != 0 && !caller.may_set_group_id(attr.gid)),
            Err(errno) => call.fail(errno),
        });
    });
}

fn commit(call: Call<ReplyEmpty>, ino: Ino, kind: AclKind, acl: Option<Bytes>, kill_set_group_id: bool) {
    let mutation = Mutation::SetAcl { ino, kind, acl, kill_set_group_id };
    call.commit(mutation, |call, result| call.finish(result, |reply, _| reply.ok()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_known_by_their_names() {
        for (name, kind) in [
            ("system.posix_acl_access", Some(AclKind::Access)),
            ("system.posix_acl_default", Some(AclKind::Default)),
            ("security.capability", None),
            ("user.system.posix_acl_access", None),
        ] {
            assert_eq!(kind_of(OsStr::new(name)), kind, "{name}");
        }
    }
}
