use std::collections::{BTreeMap, BTreeSet};

use artifacts_core::SessionId;
use artifacts_core::locks::{FileLock, Grant, LockTable};
use artifacts_core::namespace::Errno;
use artifacts_core::protocol::{Answer, Request, ServerFrame};
use artifacts_core::session::{FileLocks, LockClaims};

use super::actor::FenceSession;
use super::message::Outbound;

/// The locks that mounts ask for over their streams: answers go back, and grants are pushed to whoever has waited.
///
/// A session that has lapsed keeps its locks as long as nobody wants them. If somebody does it is fenced, and its locks
/// pass on when that is done: not before nothing of it is accepted any more.
pub(crate) struct MountLocks {
    files: FileLocks,
    outbounds: BTreeMap<SessionId, Outbound>,
    lapsed: BTreeSet<SessionId>,
    fence: FenceSession,
}

impl MountLocks {
    /// For a table that has just been made; `absent` may hold something that it does not know.
    pub(crate) fn new(absent: impl IntoIterator<Item = SessionId>, fence: FenceSession) -> Self {
        Self { files: FileLocks::new(absent), outbounds: BTreeMap::new(), lapsed: BTreeSet::new(), fence }
    }

    /// Answers a question about locks.
    pub(crate) fn answer(
        &mut self,
        table: &mut LockTable,
        session: SessionId,
        outbound: &Outbound,
        id: u32,
        request: Request,
        now_ms: u64,
    ) {
        self.outbounds.insert(session, outbound.clone());
        let files = &mut self.files;
        let (result, grants) = match request {
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
        };
        self.send(session, ServerFrame::Reply { id, result });
        self.push(table, &grants);
        self.fence_who_is_in_the_way(table);
    }

    /// A session says what it holds, before anybody is given anything.
    pub(crate) fn reclaim(&mut self, table: &mut LockTable, session: SessionId, held: &[FileLock], now_ms: u64) {
        if self.files.reclaim(table, session, held, now_ms).is_err() {
            self.give_up(session);
        }
    }

    /// A session says all about its locks over a new stream.
    pub(crate) fn claim(&mut self, table: &mut LockTable, session: SessionId, outbound: &Outbound, claims: &LockClaims, now_ms: u64) {
        self.outbounds.insert(session, outbound.clone());
        match self.files.claim(table, session, claims, now_ms) {
            Ok((grants, ended)) => {
                for (id, result) in ended {
                    self.send(session, ServerFrame::LockSettled { id, result });
                }
                self.push(table, &grants);
                self.fence_who_is_in_the_way(table);
            }
            Err(_) => self.give_up(session),
        }
    }

    /// A session has not been heard for its lease.
    pub(crate) fn lapse(&mut self, table: &LockTable, session: SessionId) {
        self.lapsed.insert(session);
        self.fence_who_is_in_the_way(table);
    }

    /// A session has attached. One that is new has nothing to claim.
    pub(crate) fn attach(&mut self, session: SessionId, resumes: bool) {
        self.hear(session);
        if !resumes {
            self.files.arrived(session);
        }
    }

    /// A session is heard.
    pub(crate) fn hear(&mut self, session: SessionId) {
        self.lapsed.remove(&session);
    }

    /// A session is over, and nothing of it is accepted: what it held passes on.
    pub(crate) fn depart(&mut self, table: &mut LockTable, session: SessionId, now_ms: u64) {
        self.lapsed.remove(&session);
        self.outbounds.remove(&session);
        let grants = self.files.gone(table, session, now_ms);
        self.push(table, &grants);
        self.fence_who_is_in_the_way(table);
    }

    /// Tells those of mounts who have waited that they have it now.
    pub(crate) fn push(&mut self, table: &LockTable, grants: &[Grant]) {
        for grant in grants {
            if let Some((session, id)) = self.files.granted(table, grant) {
                self.send(session, ServerFrame::LockSettled { id, result: Ok(()) });
            }
        }
    }

    /// Fences the sessions that have lapsed and hold what somebody waits for.
    pub(crate) fn fence_who_is_in_the_way(&self, table: &LockTable) {
        for &session in self.lapsed.iter().filter(|&&session| table.is_in_the_way(session)) {
            tracing::warn!(%session, "a session that is not heard holds a lock that somebody waits for");
            (self.fence)(session);
        }
    }

    fn give_up(&self, session: SessionId) {
        tracing::warn!(%session, "a session claims a lock that was given to somebody else");
        (self.fence)(session);
    }

    /// If the connection is gone the mount asks again over its next one.
    fn send(&self, session: SessionId, frame: ServerFrame) {
        if let Some(outbound) = self.outbounds.get(&session) {
            let _ = outbound.send(frame);
        }
    }
}
