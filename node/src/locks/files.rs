use std::collections::{BTreeMap, BTreeSet, VecDeque};

use artifacts_core::SessionId;
use artifacts_core::locks::{Grant, LockTable};
use artifacts_core::namespace::Errno;
use artifacts_core::protocol::{Answer, LockAnswer, Request, ServerFrame};
use artifacts_core::session::{FileLocks, LockClaims};

use super::registry::{Absent, FenceSession};
use crate::workspace::Outbound;

/// What a mount says about locks on files. The answers go back over its stream.
#[derive(Debug)]
pub(crate) enum FileMessage {
    /// A question about locks, under the stream's number for it.
    Ask { session: SessionId, outbound: Outbound, id: u32, request: Request },
    /// All about the session's locks, over a new stream.
    Claim { session: SessionId, outbound: Outbound, claims: LockClaims },
}

/// The mounts of a workspace, as far as their locks go: questions are answered over their streams, and grants are pushed to
/// whoever has waited.
///
/// After a restart who holds says so first: until every session on record has, or has run out, nothing is answered.
pub(super) struct MountLocks {
    files: FileLocks,
    outbounds: BTreeMap<SessionId, Outbound>,
    lapsed: BTreeSet<SessionId>,
    /// Sessions on record that have not said yet what they hold, and are still waited for.
    awaited: BTreeSet<SessionId>,
    /// What waits for them.
    deferred: VecDeque<FileMessage>,
    fence: FenceSession,
}

impl MountLocks {
    /// For a table that has just been made.
    pub(super) fn new(absent: Vec<Absent>, fence: FenceSession) -> Self {
        Self {
            files: FileLocks::new(absent.iter().map(|absent| absent.session)),
            outbounds: BTreeMap::new(),
            lapsed: BTreeSet::new(),
            awaited: absent.into_iter().filter(|absent| absent.is_awaited).map(|absent| absent.session).collect(),
            deferred: VecDeque::new(),
            fence,
        }
    }

    /// Whether nothing is known here that a table without locks does not know.
    pub(super) fn is_idle(&self) -> bool {
        self.files.is_idle() && self.deferred.is_empty()
    }

    pub(super) fn take(&mut self, table: &mut LockTable, message: FileMessage, now_ms: u64) -> Vec<Grant> {
        if let FileMessage::Claim { session, claims, .. } = &message {
            if self.files.reclaim(table, *session, &claims.held, now_ms).is_err() {
                tracing::warn!(%session, "a session claims a lock that was given to somebody else");
                (self.fence)(*session);
                return Vec::new();
            }
            self.awaited.remove(session);
            // What it waits for it gets when all have said what they hold.
            self.deferred.push_back(message);
            return self.go_on(table, now_ms);
        }
        if !self.awaited.is_empty() {
            self.deferred.push_back(message);
            return Vec::new();
        }
        self.serve(table, message, now_ms)
    }

    fn serve(&mut self, table: &mut LockTable, message: FileMessage, now_ms: u64) -> Vec<Grant> {
        match message {
            FileMessage::Ask { session, outbound, id, request } => {
                let (result, grants) = self.answer(table, session, request, now_ms);
                let _ = outbound.send(ServerFrame::Reply { id, result });
                self.outbounds.insert(session, outbound);
                grants
            }
            FileMessage::Claim { session, outbound, claims } => match self.files.claim(table, session, &claims, now_ms) {
                Ok((grants, ended)) => {
                    for (id, result) in ended {
                        let _ = outbound.send(ServerFrame::LockSettled { id, result });
                    }
                    self.outbounds.insert(session, outbound);
                    grants
                }
                Err(_) => {
                    (self.fence)(session);
                    Vec::new()
                }
            },
        }
    }

    fn answer(&mut self, table: &mut LockTable, session: SessionId, request: Request, now_ms: u64) -> (Result<Answer, Errno>, Vec<Grant>) {
        let files = &mut self.files;
        match request {
            Request::Lock { id, lock, wait } => {
                let (answer, grants) = files.lock(table, session, id, lock, wait, now_ms);
                (answer.map(Answer::Lock), grants)
            }
            Request::Unlock { ino, owner, space } if space.is_valid() => {
                (Ok(Answer::Unlocked), files.unlock(table, session, ino, owner, space, now_ms))
            }
            Request::TestLock(lock) if lock.is_valid() => (Ok(Answer::Conflict(files.test(table, session, &lock))), Vec::new()),
            Request::CancelLock { id } => {
                let (waited, grants) = files.cancel(table, session, id, now_ms);
                (Ok(Answer::Cancelled(waited)), grants)
            }
            _ => (Err(Errno::EINVAL), Vec::new()),
        }
    }

    /// A session has nothing to say of the time before.
    pub(super) fn settle(&mut self, table: &mut LockTable, session: SessionId, now_ms: u64) -> Vec<Grant> {
        self.files.arrived(session);
        self.awaited.remove(&session);
        self.go_on(table, now_ms)
    }

    /// A session has not been heard for its lease, and is waited for no longer.
    pub(super) fn lapse(&mut self, table: &mut LockTable, session: SessionId, now_ms: u64) -> Vec<Grant> {
        self.lapsed.insert(session);
        self.awaited.remove(&session);
        self.go_on(table, now_ms)
    }

    pub(super) fn hear(&mut self, session: SessionId) {
        self.lapsed.remove(&session);
    }

    /// A session is over.
    pub(super) fn depart(&mut self, table: &mut LockTable, session: SessionId, now_ms: u64) -> Vec<Grant> {
        self.lapsed.remove(&session);
        self.outbounds.remove(&session);
        self.awaited.remove(&session);
        self.deferred.retain(|message| {
            let (FileMessage::Ask { session: of, .. } | FileMessage::Claim { session: of, .. }) = message;
            *of != session
        });
        let mut grants = self.files.gone(table, session, now_ms);
        grants.extend(self.go_on(table, now_ms));
        grants
    }

    fn go_on(&mut self, table: &mut LockTable, now_ms: u64) -> Vec<Grant> {
        let mut grants = Vec::new();
        let claims = self.deferred.iter().filter(|message| matches!(message, FileMessage::Claim { .. })).count();
        if self.awaited.is_empty() && claims > 1 {
            grants.extend(self.form_queues(table, now_ms));
        }
        while self.awaited.is_empty()
            && let Some(message) = self.deferred.pop_front()
        {
            grants.extend(self.serve(table, message, now_ms));
        }
        grants
    }

    /// All have said what they hold and what they wait for: who asked first by the numbers of the mounts, which follow the time of
    /// day, comes first, whoever was back first.
    fn form_queues(&mut self, table: &mut LockTable, now_ms: u64) -> Vec<Grant> {
        let mut waiting = Vec::new();
        for message in &self.deferred {
            if let FileMessage::Claim { session, outbound, claims } = message {
                self.outbounds.insert(*session, outbound.clone());
                waiting.extend(claims.waiting.iter().map(|&(id, lock)| (id, *session, lock, outbound.clone())));
            }
        }
        waiting.sort_by_key(|(id, session, ..)| (*id, *session));
        let mut grants = Vec::new();
        for (id, session, lock, outbound) in waiting {
            let (answer, others) = self.files.lock(table, session, id, lock, true, now_ms);
            grants.extend(others);
            let result = match answer {
                Ok(LockAnswer::Queued) => continue,
                Ok(LockAnswer::Granted) => Ok(()),
                Err(errno) => Err(errno),
            };
            let _ = outbound.send(ServerFrame::LockSettled { id, result });
        }
        grants
    }

    /// Tells a session that it has what it waited for.
    pub(super) fn push(&mut self, table: &LockTable, grant: &Grant) -> Option<impl FnOnce() + Send + use<>> {
        let (session, id) = self.files.granted(table, grant)?;
        let outbound = self.outbounds.get(&session)?.clone();
        // If the connection is gone the mount asks again over its next one.
        Some(move || drop(outbound.send(ServerFrame::LockSettled { id, result: Ok(()) })))
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
