//! Attributes of inodes, and of the file system as a whole.

use std::sync::Arc;

use artifacts_core::namespace::{Errno, Ino, Mutation, NAME_MAX_BYTES, SetAttr};
use artifacts_core::protocol::{Answer, Request};
use fuser::{INodeNo, ReplyAttr, ReplyStatfs, TimeOrNow};

use super::call::{Call, attr_of};
use super::convert::to_nanos;
use super::system_call::SystemCall;
use super::thread::Thread;
use crate::agent::Agent;
use crate::errno;
use crate::gate::Holds;

/// The unit in which statfs(2) counts.
const STATFS_BLOCK_BYTES: u32 = 4096;
/// What a workspace without quotas shows as its size: 1 PiB, and 2^32 inodes.
const NO_QUOTA_BYTES: u64 = 1 << 50;
const NO_QUOTA_INODES: u64 = 1 << 32;

pub(super) fn get(agent: &Arc<Agent>, thread: Thread, ino: INodeNo, reply: ReplyAttr) {
    let ino = agent.numbers.to_node(ino);
    Call::begin_for(Some(thread), agent, SystemCall::GetAttr, Holds::Nothing, reply, move |call| call.ask(Request::Attr { ino }, show));
}

fn show(call: Call<ReplyAttr>, answer: Result<Answer, Errno>) {
    let attr = match attr_of(answer) {
        Ok(attr) => attr,
        Err(errno) => return call.fail(errno::of_inode(errno)),
    };
    call.with_pages_checked(&attr.clone(), move |call| {
        let (agent, asker) = (Arc::clone(&call.agent), call.asker);
        call.finish(Ok(attr), move |reply, attr| {
            agent.show(asker, &[attr.ino], &attr, |ttl| reply.attr(&ttl, &agent.numbers.attr(&attr)));
        });
    });
}

/// What a program sets.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) thread: Thread,
    pub(super) caller: u32,
    pub(super) mode: Option<u32>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) size: Option<u64>,
    pub(super) atime: Option<TimeOrNow>,
    pub(super) mtime: Option<TimeOrNow>,
}

impl Setting {
    fn to_op(&self, ino: Ino, now: i64) -> Mutation {
        // The kernel leaves set-user-id and set-group-id to us (HANDLE_KILLPRIV_V2). For a write of somebody who may
        // not keep them it sends a setattr that names nothing.
        let names_nothing = self.mode.is_none() && self.uid.is_none() && self.gid.is_none() && self.atime.is_none() && self.mtime.is_none();
        let set = SetAttr {
            mode: self.mode.map(|mode| (mode & 0o7777) as u16),
            uid: self.uid,
            gid: self.gid,
            size: self.size,
            atime: self.atime.map(|time| to_nanos(time, now)),
            mtime: self.mtime.map(|time| to_nanos(time, now)),
            kill_privileges: self.caller != 0 && (self.size.is_some() || names_nothing),
        };
        Mutation::SetAttr { ino, set }
    }
}

pub(super) fn set(agent: &Arc<Agent>, ino: INodeNo, setting: Setting, reply: ReplyAttr) {
    let ino = agent.numbers.to_node(ino);
    // While a file is cut the kernel allows no writing back of its pages.
    let holds = if setting.size.is_some() { Holds::Pages } else { Holds::Nothing };
    Call::begin_for(Some(setting.thread), agent, SystemCall::SetAttr, holds, reply, move |call| {
        let mutation = setting.to_op(ino, call.agent.session.clock.wall_ns());
        call.commit(mutation, move |call, result| match result.map(|outcome| outcome.attr) {
            Ok(Some(attr)) => {
                let (agent, asker) = (Arc::clone(&call.agent), call.asker);
                call.finish(Ok(attr), move |reply, attr| {
                    let is_suspect = agent.inodes.observe_set(&attr) && !agent.session.beliefs.has_everything(asker.stamp);
                    agent.show(asker, &[ino], &attr, |ttl| reply.attr(&ttl, &agent.numbers.attr(&attr)));
                    if is_suspect {
                        let dropped = Arc::clone(&agent);
                        agent.caches.drop_file(agent.numbers.to_kernel(ino), move || dropped.inodes.dropped(&attr));
                    }
                });
            }
            Ok(None) => call.ask(Request::Attr { ino }, show),
            Err(errno) => call.fail(errno::of_inode(errno)),
        });
    });
}

pub(super) fn statfs(agent: &Arc<Agent>, reply: ReplyStatfs) {
    Call::begin(agent, SystemCall::StatFs, Holds::Nothing, reply, |call| {
        call.ask(Request::Usage, |call, answer| {
            let numbers = answer.and_then(|answer| match answer {
                Answer::Usage { usage, bytes, inodes } => {
                    let block = u64::from(STATFS_BLOCK_BYTES);
                    let used = usage.bytes.div_ceil(block);
                    let blocks = (bytes.unwrap_or(NO_QUOTA_BYTES) / block).max(used);
                    let files = inodes.unwrap_or(NO_QUOTA_INODES).max(usage.inodes);
                    Ok((blocks, blocks - used, files, files - usage.inodes))
                }
                _ => Err(Errno::EIO),
            });
            call.finish(numbers, |reply, (blocks, free, files, files_free)| {
                reply.statfs(blocks, free, free, files, files_free, STATFS_BLOCK_BYTES, NAME_MAX_BYTES as u32, STATFS_BLOCK_BYTES);
            });
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kills(caller: u32, mode: Option<u32>, size: Option<u64>, mtime: Option<TimeOrNow>) -> bool {
        let setting = Setting { thread: Thread(0), caller, mode, uid: None, gid: None, size, atime: None, mtime };
        matches!(setting.to_op(Ino(5), 7), Mutation::SetAttr { set: SetAttr { kill_privileges: true, .. }, .. })
    }

    #[test]
    fn strangers_lose_set_user_id_when_they_change_content_and_only_then() {
        assert!(kills(1000, None, Some(0), Some(TimeOrNow::Now)));
        assert!(!kills(0, None, Some(0), None));
        assert!(kills(1000, None, None, None));
        assert!(!kills(1000, Some(0o4755), None, None), "chmod sets what it says");
        assert!(!kills(1000, None, None, Some(TimeOrNow::Now)));
    }
}
