use std::collections::BTreeMap;

use artifacts_core::locks::{Grant, Outcome, Refusal, Request, WaiterId};
use artifacts_core::revocation::Target;
use artifacts_core::{LockId, TicketId};
use ractor::{ActorRef, RpcReplyPort};
use tokio::sync::oneshot;

use super::actor::{LockState, Now};
use super::event::EventKind;
use super::message::{Acquire, AcquireRefusal, Lease, LockMessage, Lost, Which, Wish};
use super::record::{LockRecord, LockRight};

type Reply = oneshot::Sender<Result<Lease, AcquireRefusal>>;

/// The named locks of a workspace, beside what the table knows of them.
#[derive(Default)]
pub(super) struct NamedLocks {
    held: BTreeMap<LockId, LockRecord>,
    waiting: BTreeMap<LockId, Pending>,
    waiters: BTreeMap<WaiterId, LockId>,
}

struct Pending {
    waiter: WaiterId,
    wish: Wish,
    reply: Reply,
}

impl NamedLocks {
    /// What was held before the actor started.
    pub(super) fn restore(&mut self, record: LockRecord) {
        self.held.insert(record.lock_id, record);
    }

    /// By what right a lock is held or wanted.
    pub(super) fn right_of(&self, lock: LockId) -> Option<LockRight> {
        let held = self.held.get(&lock).map(|record| record.right);
        held.or_else(|| self.waiting.get(&lock).map(|pending| pending.wish.right))
    }

    /// Whether a lock is held as somebody says.
    fn find(&self, which: &Which) -> Result<(), Lost> {
        let held = self.held.get(&which.lock_id).filter(|record| record.name == which.name).ok_or(Lost::NotHeld)?;
        if which.taken_by.is_none_or(|right| right == held.right) { Ok(()) } else { Err(Lost::Others) }
    }

    /// Those that wait first: none of them may get what the others leave.
    fn by_right(&self, ends: impl Fn(&LockRight) -> bool) -> Vec<LockId> {
        let held = self.held.iter().filter(|(_, record)| ends(&record.right)).map(|(&lock, _)| lock);
        let waiting = self.waiting.iter().filter(|(_, pending)| ends(&pending.wish.right)).map(|(&lock, _)| lock);
        waiting.chain(held).collect()
    }
}

impl LockState {
    pub(super) fn acquire(&mut self, myself: &ActorRef<LockMessage>, acquire: Acquire, now: Now) {
        let Acquire { lock, wish, reply } = acquire;
        if self.is_revoked(&wish.right) {
            let _ = reply.send(Err(AcquireRefusal::Revoked));
            return;
        }
        let until_ms = wish.until.map(|until| now.monotonic_of(until));
        let holder = artifacts_core::locks::NamedHolder {
            lock_id: lock,
            owner: wish.owner.clone(),
            note: wish.note.clone(),
            ttl_ms: wish.ttl_ms,
            until_ms,
        };
        let request = Request::named(wish.name.clone(), holder, wish.mode, wish.wait);
        let (outcome, grants) = self.table.request(request, now.monotonic_ms);
        let refusal = match outcome {
            Outcome::Granted { fencing_token } => {
                self.hold(myself, lock, wish, reply, fencing_token, now);
                self.pass_on(myself, grants, now);
                return;
            }
            Outcome::Queued(waiter) => {
                self.tell(EventKind::Waiting, &wish, None, now);
                self.named.waiters.insert(waiter, lock);
                self.named.waiting.insert(lock, Pending { waiter, wish, reply });
                self.pass_on(myself, grants, now);
                return;
            }
            Outcome::Refused(Refusal::WouldBlock { held }) => AcquireRefusal::Held(held),
            Outcome::Refused(Refusal::Deadlock { cycle }) => AcquireRefusal::Deadlock(cycle),
            Outcome::Refused(Refusal::Mismatch { mode }) => AcquireRefusal::Mismatch(mode),
            Outcome::Refused(Refusal::Full) => AcquireRefusal::Full,
        };
        let _ = reply.send(Err(refusal));
        self.pass_on(myself, grants, now);
    }

    /// Puts a grant on record, then tells whoever asked.
    fn hold(&mut self, myself: &ActorRef<LockMessage>, lock: LockId, wish: Wish, reply: Reply, fencing_token: u64, now: Now) {
        if wish.until.is_some_and(|until| until <= now.wall) {
            // It waited for longer than its right stands.
            let _ = reply.send(Err(AcquireRefusal::Revoked));
            let _ = myself.cast(LockMessage::GiveUp(lock));
            return;
        }
        if reply.is_closed() {
            let _ = myself.cast(LockMessage::GiveUp(lock));
        }
        let expires_ms = self.table.named(lock).and_then(|(_, held)| held.expires_ms).unwrap_or(now.monotonic_ms);
        self.tell(EventKind::Acquired, &wish, Some(fencing_token), now);
        metrics::counter!("artifacts_named_locks_acquired_total").increment(1);
        let record = LockRecord {
            lock_id: lock,
            name: wish.name,
            mode: wish.mode,
            owner: wish.owner,
            note: wish.note,
            right: wish.right,
            ttl_ms: wish.ttl_ms,
            until: wish.until,
            fencing_token,
            acquired_at: now.wall,
            expires_at: now.wall_of(expires_ms),
        };
        self.put(&record);
        let lease = Lease { lock_id: lock, fencing_token, expires_at: record.expires_at };
        self.named.held.insert(lock, record);
        let actor = myself.clone();
        self.commit.answers.push(Box::new(move |written| {
            let answer = if written { Ok(lease) } else { Err(AcquireRefusal::Unwritten) };
            if reply.send(answer).is_err() || !written {
                let _ = actor.cast(LockMessage::GiveUp(lock));
            }
        }));
    }

    /// A waiter has got a named lock.
    pub(super) fn granted(&mut self, myself: &ActorRef<LockMessage>, grant: &Grant, now: Now) {
        let Some(lock) = self.named.waiters.remove(&grant.waiter) else { return };
        if let Some(Pending { wish, reply, .. }) = self.named.waiting.remove(&lock) {
            self.hold(myself, lock, wish, reply, grant.fencing_token, now);
        }
    }

    /// A wait ends without a grant. Answers what was in the way, or nothing if there is no such wait.
    pub(super) fn withdraw(&mut self, myself: &ActorRef<LockMessage>, lock: LockId, now: Now) -> Option<AcquireRefusal> {
        let Pending { waiter, wish, .. } = self.named.waiting.remove(&lock)?;
        self.named.waiters.remove(&waiter);
        let held = self.table.blockers_of(waiter).next().cloned().map(Box::new);
        self.tell(EventKind::GaveUp, &wish, None, now);
        let (_, grants) = self.table.cancel(waiter, now.monotonic_ms);
        self.pass_on(myself, grants, now);
        Some(AcquireRefusal::Held(held))
    }

    /// Nobody is there for a lock: it is neither held nor waited for any longer.
    pub(super) fn give_up(&mut self, myself: &ActorRef<LockMessage>, lock: LockId, now: Now) {
        if self.withdraw(myself, lock, now).is_none() {
            self.free(myself, lock, EventKind::Released, now);
        }
    }

    pub(super) fn renew(&mut self, which: &Which, ttl_ms: u64, reply: RpcReplyPort<Result<Lease, Lost>>, now: Now) {
        let lock = which.lock_id;
        let renewed = self.named.find(which).and_then(|()| Ok(self.table.renew(lock, ttl_ms, now.monotonic_ms)?));
        let (expires_ms, record) = match (renewed, self.named.held.get_mut(&lock)) {
            (Ok(expires_ms), Some(record)) => (expires_ms, record),
            (lost, _) => {
                let _ = reply.send(Err(lost.err().unwrap_or(Lost::NotHeld)));
                return;
            }
        };
        record.expires_at = now.wall_of(expires_ms);
        let record = record.clone();
        self.put(&record);
        let lease = Lease { lock_id: lock, fencing_token: record.fencing_token, expires_at: record.expires_at };
        self.commit.answers.push(Box::new(move |written| {
            let _ = reply.send(if written { Ok(lease) } else { Err(Lost::Unwritten) });
        }));
    }

    pub(super) fn release(&mut self, myself: &ActorRef<LockMessage>, which: &Which, reply: RpcReplyPort<Result<(), Lost>>, now: Now) {
        if let Err(lost) = self.named.find(which) {
            let _ = reply.send(Err(lost));
            return;
        }
        self.free(myself, which.lock_id, EventKind::Released, now);
        self.commit.answers.push(Box::new(move |written| {
            let _ = reply.send(if written { Ok(()) } else { Err(Lost::Unwritten) });
        }));
    }

    /// Rights have ended: what was locked by them is free.
    pub(super) fn revoke(&mut self, myself: &ActorRef<LockMessage>, targets: &[Target], tickets: &[TicketId], now: Now) {
        let all = targets.contains(&Target::Workspace(self.workspace));
        let ends = |right: &LockRight| {
            let ticket = matches!(right, LockRight::Ticket { ticket, .. } if tickets.contains(ticket));
            all || ticket || right.is_taken_by(targets)
        };
        for lock in self.named.by_right(ends) {
            if let Some(pending) = self.named.waiting.get_mut(&lock) {
                let (nobody, _) = oneshot::channel();
                let _ = std::mem::replace(&mut pending.reply, nobody).send(Err(AcquireRefusal::Revoked));
                self.withdraw(myself, lock, now);
            } else {
                self.free(myself, lock, EventKind::Revoked, now);
            }
        }
    }

    /// Takes what has run out.
    pub(super) fn expire(&mut self, myself: &ActorRef<LockMessage>, now: Now) {
        let (expired, grants) = self.table.expire(now.monotonic_ms);
        metrics::counter!("artifacts_named_locks_expired_total").increment(expired.len() as u64);
        for gone in expired {
            self.forget(gone.holder.lock_id, EventKind::Expired, now);
        }
        self.pass_on(myself, grants, now);
    }

    fn free(&mut self, myself: &ActorRef<LockMessage>, lock: LockId, why: EventKind, now: Now) {
        self.forget(lock, why, now);
        let grants = self.table.release(lock, now.monotonic_ms).unwrap_or_default();
        self.pass_on(myself, grants, now);
    }

    fn forget(&mut self, lock: LockId, why: EventKind, now: Now) {
        let Some(record) = self.named.held.remove(&lock) else { return };
        self.commit.batch.delete(self.keys.named_lock(lock));
        let LockRecord { name, mode, owner, note, fencing_token, .. } = record;
        self.tell_of(why, name, mode, owner, note, Some(fencing_token), now);
    }

    fn put(&mut self, record: &LockRecord) {
        match serde_json::to_vec(record) {
            Ok(value) => {
                self.commit.batch.put(self.keys.named_lock(record.lock_id), value);
            }
            Err(error) => tracing::error!(%error, "a lock cannot be written down"),
        }
    }

    fn tell(&mut self, kind: EventKind, wish: &Wish, fencing_token: Option<u64>, now: Now) {
        self.tell_of(kind, wish.name.clone(), wish.mode, wish.owner.clone(), wish.note.clone(), fencing_token, now);
    }
}
