use std::collections::{BTreeSet, VecDeque};

use artifacts_core::SessionId;
use artifacts_core::locks::{Grant, Held, LockTable, Resource};
use artifacts_core::namespace::Errno;
use artifacts_core::protocol::{Answer, FenceReason, LockAnswer, Request, ServerFrame};
use artifacts_core::session::{FileLocks, LockClaims};

use super::node::{Node, Todo};

/// What a mount says about its locks.
#[derive(Debug)]
enum Said {
    Ask(SessionId, u32, Request),
    Claim(SessionId, LockClaims),
}

impl Said {
    const fn session(&self) -> SessionId {
        match self {
            Self::Ask(session, ..) | Self::Claim(session, _) => *session,
        }
    }
}

/// The table of locks and the mounts in it, as the locks' actor has them. After a takeover who holds says so first.
#[derive(Debug, Default)]
pub(super) struct Locks {
    pub(super) table: LockTable,
    files: FileLocks,
    lapsed: BTreeSet<SessionId>,
    /// Sessions on record that have not said yet what they hold, and are waited for.
    awaited: BTreeSet<SessionId>,
    deferred: VecDeque<Said>,
}

impl Locks {
    /// A table whose first token is greater than `last_token`. `known` may hold something that it does not know; those of them that are
    /// `awaited` speak before anybody is answered.
    pub(super) fn new(last_token: u64, known: impl IntoIterator<Item = SessionId>, awaited: impl IntoIterator<Item = SessionId>) -> Self {
        let (table, files) = (LockTable::new(last_token), FileLocks::new(known));
        Self { table, files, awaited: awaited.into_iter().collect(), ..Self::default() }
    }

    pub(super) fn is_at_rest(&self) -> bool {
        self.awaited.is_empty() && self.deferred.is_empty()
    }
}

impl Node {
    pub(super) fn asks_about_locks(&mut self, session: SessionId, id: u32, request: Request) {
        self.say_of_locks(Said::Ask(session, id, request));
    }

    pub(super) fn claims_locks(&mut self, session: SessionId, claims: LockClaims) {
        if self.locks.files.reclaim(&mut self.locks.table, session, &claims.held, self.now_ms).is_err() {
            return self.gave_away(session);
        }
        self.locks.awaited.remove(&session);
        self.locks.deferred.push_back(Said::Claim(session, claims));
        self.locks_go_on();
    }

    fn say_of_locks(&mut self, said: Said) {
        if !self.locks.awaited.is_empty() {
            return self.locks.deferred.push_back(said);
        }
        self.serve_locks(said);
    }

    fn serve_locks(&mut self, said: Said) {
        let (locks, now_ms) = (&mut self.locks, self.now_ms);
        let grants = match said {
            Said::Ask(session, id, request) => {
                let (result, grants) = answer(locks, session, request, now_ms);
                self.send(session, ServerFrame::Reply { id, result });
                grants
            }
            Said::Claim(session, claims) => match locks.files.claim(&mut locks.table, session, &claims, now_ms) {
                Ok((grants, ended)) => {
                    for (id, result) in ended {
                        self.send(session, ServerFrame::LockSettled { id, result });
                    }
                    grants
                }
                Err(_) => return self.gave_away(session),
            },
        };
        self.push_grants(&grants);
        self.fence_who_is_in_the_way();
    }

    /// What a session claims was given to somebody else.
    fn gave_away(&mut self, session: SessionId) {
        if !self.faults.forgets_lock_fence {
            self.fence(session, FenceReason::LeaseLost);
        }
    }

    fn push_grants(&mut self, grants: &[Grant]) {
        for grant in grants {
            if let Some((session, id)) = self.locks.files.granted(&self.locks.table, grant) {
                self.send(session, ServerFrame::LockSettled { id, result: Ok(()) });
            }
        }
    }

    /// A session has nothing to say of the time before.
    pub(super) fn settle_locks(&mut self, session: SessionId) {
        self.locks.files.arrived(session);
        self.locks.awaited.remove(&session);
        self.locks_go_on();
    }

    pub(super) fn lapse_locks(&mut self, session: SessionId) {
        self.locks.lapsed.insert(session);
        self.locks.awaited.remove(&session);
        self.locks_go_on();
        self.fence_who_is_in_the_way();
    }

    pub(super) fn hear_locks(&mut self, session: SessionId) {
        self.locks.lapsed.remove(&session);
    }

    /// A session is over: what it held goes to whoever is next.
    pub(super) fn depart_locks(&mut self, session: SessionId) {
        let locks = &mut self.locks;
        locks.lapsed.remove(&session);
        locks.awaited.remove(&session);
        locks.deferred.retain(|said| said.session() != session);
        let grants = locks.files.gone(&mut locks.table, session, self.now_ms);
        self.push_grants(&grants);
        self.locks_go_on();
    }

    fn locks_go_on(&mut self) {
        let claims = self.locks.deferred.iter().filter(|said| matches!(said, Said::Claim(..))).count();
        if self.locks.awaited.is_empty() && claims > 1 {
            self.form_queues();
        }
        while self.locks.awaited.is_empty()
            && let Some(said) = self.locks.deferred.pop_front()
        {
            self.serve_locks(said);
        }
    }

    /// All have said what they wait for: who asked first by the numbers of the mounts comes first.
    fn form_queues(&mut self) {
        let mut waiting = Vec::new();
        for said in &self.locks.deferred {
            if let Said::Claim(session, claims) = said {
                waiting.extend(claims.waiting.iter().map(|&(id, lock)| (id, *session, lock)));
            }
        }
        waiting.sort_by_key(|&(id, session, _)| (id, session));
        for (id, session, lock) in waiting {
            let locks = &mut self.locks;
            let (answer, grants) = locks.files.lock(&mut locks.table, session, id, lock, true, self.now_ms);
            self.push_grants(&grants);
            let result = match answer {
                Ok(LockAnswer::Queued) => continue,
                Ok(LockAnswer::Granted) => Ok(()),
                Err(errno) => Err(errno),
            };
            self.send(session, ServerFrame::LockSettled { id, result });
        }
    }

    /// Sessions that have lapsed and hold what somebody waits for are fenced, and only then does it pass.
    fn fence_who_is_in_the_way(&mut self) {
        let locks = &self.locks;
        let in_the_way: Vec<SessionId> = locks.lapsed.iter().copied().filter(|&session| locks.table.is_in_the_way(session)).collect();
        for session in in_the_way {
            self.locks.lapsed.remove(&session);
            if self.faults.forgets_lock_fence {
                // The fault that must be found: its locks pass, and it may go on.
                let grants = self.locks.table.session_gone(session, self.now_ms);
                self.push_grants(&grants);
                continue;
            }
            self.fence(session, FenceReason::LeaseLost);
        }
    }

    /// Tells who holds what alone, for whoever judges.
    pub(super) fn tell_holders(&mut self) {
        let last = self.locks.table.last_token();
        if std::mem::replace(&mut self.told_token, last) == last {
            return;
        }
        let of = |(resource, held): (&Resource, &Held)| (held.fencing_token, Todo::Holds(resource.clone(), Box::new(held.clone())));
        let mut held: Vec<_> =
            self.locks.table.list().flat_map(|(resource, held, _)| held.iter().map(move |held| of((resource, held)))).collect();
        held.sort_by_key(|(token, _)| *token);
        self.todo.extend(held.into_iter().map(|(_, todo)| todo));
    }
}

fn answer(locks: &mut Locks, session: SessionId, request: Request, now_ms: u64) -> (Result<Answer, Errno>, Vec<Grant>) {
    let Locks { table, files, .. } = locks;
    match request {
        Request::Lock { id, lock, wait } => {
            let (answer, grants) = files.lock(table, session, id, lock, wait, now_ms);
            (answer.map(Answer::Lock), grants)
        }
        Request::Unlock { ino, owner, space } => (Ok(Answer::Unlocked), files.unlock(table, session, ino, owner, space, now_ms)),
        Request::CancelLock { id } => {
            let (waited, grants) = files.cancel(table, session, id, now_ms);
            (Ok(Answer::Cancelled(waited)), grants)
        }
        _ => (Err(Errno::EINVAL), Vec::new()),
    }
}
