use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use artifacts_core::SessionId;
use artifacts_core::locks::{ByteRange, FileOwner, Grant, Held, LockTable, Mode, Outcome, Request, Resource, WaiterId};
use artifacts_core::namespace::Ino;
use ractor::RpcReplyPort;

use super::registry::FenceSession;

/// Where the grants of a session go; must not wait.
pub type GrantSink = Arc<dyn Fn(&Grant) + Send + Sync>;

/// So many sessions that are over are remembered, in case something of theirs still comes.
const REMEMBERED: usize = 1_024;

/// What is asked of the locks on files.
pub(crate) enum FileMessage {
    /// A session is here; grants that it waits for go there from now on.
    Attach(SessionId, GrantSink),
    /// It wants a lock. Refused with [`None`] if the session is not attached.
    Request(Request, RpcReplyPort<Option<Outcome>>),
    /// It waits no longer. False if it does not wait, because it has been granted.
    Cancel(WaiterId, RpcReplyPort<bool>),
    /// fcntl(2) `F_UNLCK`, and with all bytes the close of a file.
    UnlockRange { ino: Ino, session: SessionId, owner: u64, range: ByteRange },
    /// flock(2) `LOCK_UN`, and the last close of an open file.
    UnlockFlock { ino: Ino, session: SessionId, owner: u64 },
    /// fcntl(2) `F_GETLK`.
    Query { resource: Resource, session: SessionId, owner: u64, range: ByteRange, mode: Mode, reply: RpcReplyPort<Option<Held>> },
    /// A session held this before the node lost its memory.
    Claim { resource: Resource, owner: FileOwner, range: ByteRange, mode: Mode, reply: RpcReplyPort<Result<u64, Box<Held>>> },
}

impl std::fmt::Debug for FileMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FileMessage")
    }
}

/// The sessions of a workspace, as far as their locks go.
pub(super) struct FileLocks {
    sinks: BTreeMap<SessionId, GrantSink>,
    lapsed: BTreeSet<SessionId>,
    /// Sessions on record that may hold what the table does not know. Nobody is given a file's lock before them.
    absent: BTreeSet<SessionId>,
    deferred: VecDeque<FileMessage>,
    departed: VecDeque<SessionId>,
    fence: FenceSession,
}

impl FileLocks {
    pub(super) fn new(absent: impl IntoIterator<Item = SessionId>, fence: FenceSession) -> Self {
        Self {
            sinks: BTreeMap::new(),
            lapsed: BTreeSet::new(),
            absent: absent.into_iter().collect(),
            deferred: VecDeque::new(),
            departed: VecDeque::new(),
            fence,
        }
    }

    /// Whether no session is here.
    pub(super) fn is_idle(&self) -> bool {
        self.sinks.is_empty() && self.deferred.is_empty()
    }

    pub(super) fn take(&mut self, table: &mut LockTable, message: FileMessage, now_ms: u64) -> Vec<Grant> {
        let waits = matches!(message, FileMessage::Request(..) | FileMessage::Query { .. });
        if waits && !self.absent.is_empty() {
            self.deferred.push_back(message);
            return Vec::new();
        }
        match message {
            FileMessage::Attach(session, sink) => {
                if !self.departed.contains(&session) {
                    self.sinks.insert(session, sink);
                }
                Vec::new()
            }
            FileMessage::Request(request, reply) => {
                let known = request.holder.session().is_some_and(|session| self.sinks.contains_key(&session));
                let (outcome, grants) = if known {
                    let (outcome, grants) = table.request(request, now_ms);
                    (Some(outcome), grants)
                } else {
                    (None, Vec::new())
                };
                let _ = reply.send(outcome);
                grants
            }
            FileMessage::Cancel(waiter, reply) => {
                let (waited, grants) = table.cancel(waiter, now_ms);
                let _ = reply.send(waited);
                grants
            }
            FileMessage::UnlockRange { ino, session, owner, range } => table.unlock_range(ino, session, owner, range, now_ms),
            FileMessage::UnlockFlock { ino, session, owner } => table.unlock_flock(ino, session, owner, now_ms),
            FileMessage::Query { resource, session, owner, range, mode, reply } => {
                let _ = reply.send(table.query(&resource, session, owner, range, mode).cloned());
                Vec::new()
            }
            FileMessage::Claim { resource, owner, range, mode, reply } => {
                let _ = reply.send(table.claim(resource, owner, range, mode, now_ms));
                Vec::new()
            }
        }
    }

    /// A session on record has said what it holds, or will not.
    pub(super) fn settle(&mut self, table: &mut LockTable, session: SessionId, now_ms: u64) -> Vec<Grant> {
        self.absent.remove(&session);
        if !self.absent.is_empty() {
            return Vec::new();
        }
        let deferred = std::mem::take(&mut self.deferred);
        deferred.into_iter().flat_map(|message| self.take(table, message, now_ms)).collect()
    }

    pub(super) fn lapse(&mut self, session: SessionId) {
        self.lapsed.insert(session);
    }

    pub(super) fn hear(&mut self, session: SessionId) {
        self.lapsed.remove(&session);
    }

    /// A session is over.
    pub(super) fn depart(&mut self, table: &mut LockTable, session: SessionId, now_ms: u64) -> Vec<Grant> {
        self.sinks.remove(&session);
        self.lapsed.remove(&session);
        if self.departed.len() == REMEMBERED {
            self.departed.pop_front();
        }
        self.departed.push_back(session);
        let mut grants = table.session_gone(session, now_ms);
        grants.extend(self.settle(table, session, now_ms));
        grants
    }

    /// Tells a session that it has what it waited for.
    pub(super) fn push(&self, grant: &Grant) -> Option<impl FnOnce() + Send + use<>> {
        let sink = self.sinks.get(&grant.holder.session()?)?.clone();
        let grant = grant.clone();
        Some(move || sink(&grant))
    }

    /// Fences the sessions that have lapsed and hold what somebody waits for. Those that do not exist any more are
    /// answered: they are over already.
    pub(super) fn fence_who_is_in_the_way(&mut self, table: &LockTable) -> Vec<SessionId> {
        let in_the_way: Vec<SessionId> = self.lapsed.iter().copied().filter(|&session| table.is_in_the_way(session)).collect();
        for session in &in_the_way {
            tracing::warn!(%session, "a session that is not heard holds a lock that somebody waits for");
            self.lapsed.remove(session);
        }
        in_the_way.into_iter().filter(|&session| !(self.fence)(session)).collect()
    }
}
