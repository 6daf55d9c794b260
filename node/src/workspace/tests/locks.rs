//! Locks on files, over the stream of a session.

use artifacts_core::locks::{FileLock, LockSpace, Mode as LockMode};
use artifacts_core::protocol::LockAnswer;

use super::*;

fn exclusive(ino: u64) -> FileLock {
    FileLock { ino: Ino(ino), space: LockSpace::Flock, mode: LockMode::Exclusive, owner: 1, pid: 10 }
}

impl Lab {
    fn locks(&self) -> Locks {
        self.locks.lock().clone().unwrap()
    }
}

impl Mount {
    async fn lock(&mut self, id: u64, lock: FileLock) -> Result<LockAnswer, Errno> {
        match self.ask(Request::Lock { id, lock, wait: true }).await? {
            Answer::Lock(answer) => Ok(answer),
            other => panic!("{other:?}"),
        }
    }

    async fn unlock(&mut self, lock: FileLock) {
        let answer = self.ask(Request::Unlock { ino: lock.ino, owner: lock.owner, space: lock.space }).await;
        assert_eq!(answer, Ok(Answer::Unlocked));
    }

    async fn settled(&mut self) -> (u64, Result<(), Errno>) {
        match self.answer().await {
            ServerFrame::LockSettled { id, result } => (id, result),
            other => panic!("{other:?}"),
        }
    }

    fn claim(&self, held: &[FileLock], waiting: &[(u64, FileLock)]) {
        self.send(ClientFrame::ClaimLocks { held: held.to_vec(), asked: vec![], waiting: waiting.to_vec() });
        self.send(ClientFrame::ResendDone { open: vec![] });
    }

    /// Nothing has come, and nothing is on its way: the node has worked off what it was sent.
    async fn expect_silence(&mut self) {
        tokio::time::timeout(Duration::from_millis(50), self.answer()).await.expect_err("something has come");
    }
}

#[tokio::test]
async fn a_lock_is_granted_pushed_and_cancelled_over_the_stream() {
    let lab = Lab::new().await;
    let actor = lab.start(vec![]).await;
    let (mut a, mut b) = (Mount::attach(&actor, 1, Mode::Rw, false).await, Mount::attach(&actor, 2, Mode::Ro, false).await);
    assert_eq!(a.lock(1, exclusive(5)).await, Ok(LockAnswer::Granted));
    assert_eq!(b.lock(1, exclusive(5)).await, Ok(LockAnswer::Queued));
    let found = b.ask(Request::TestLock(exclusive(5))).await;
    assert!(matches!(found, Ok(Answer::Conflict(Some(conflict))) if conflict.session == a.id && conflict.pid == 10), "{found:?}");
    a.unlock(exclusive(5)).await;
    assert_eq!(b.settled().await, (1, Ok(())));
    assert_eq!(a.lock(2, exclusive(5)).await, Ok(LockAnswer::Queued));
    assert_eq!(a.ask(Request::CancelLock { id: 2 }).await, Ok(Answer::Cancelled(true)));
    assert_eq!(b.ask(Request::CancelLock { id: 1 }).await, Ok(Answer::Cancelled(false)));
    b.unlock(exclusive(5)).await;
    a.expect_silence().await;
    let backwards = LockSpace::Range(artifacts_core::locks::ByteRange { start: 2, end: 1 });
    assert_eq!(a.ask(Request::Unlock { ino: Ino(5), owner: 1, space: backwards }).await, Err(Errno::EINVAL));
}

#[tokio::test]
async fn after_a_restart_nobody_gets_a_lock_before_all_have_said_what_they_hold() {
    let mut lab = Lab::new().await;
    let actor = lab.start(vec![]).await;
    let (mut a, mut b) = (Mount::attach(&actor, 1, Mode::Rw, false).await, Mount::attach(&actor, 2, Mode::Rw, false).await);
    a.lock(1, exclusive(5)).await.unwrap();
    b.lock(1, exclusive(5)).await.unwrap();
    lab.crash(actor);
    let actor = lab.start(vec![a.id, b.id]).await;
    // The one that waits is back first.
    let mut b = Mount::attach(&actor, 2, Mode::Rw, true).await;
    b.claim(&[], &[(1, exclusive(5))]);
    b.send(ClientFrame::Request { id: 8, request: Request::Lock { id: 2, lock: exclusive(6), wait: false } });
    b.expect_silence().await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, true).await;
    a.claim(&[exclusive(5)], &[]);
    assert_eq!(b.answer().await, ServerFrame::Reply { id: 8, result: Ok(Answer::Lock(LockAnswer::Granted)) });
    a.unlock(exclusive(5)).await;
    assert_eq!(b.settled().await, (1, Ok(())));
    assert!(lab.fenced.lock().is_empty());
}

/// Who asked first, by the numbers of the mounts, is first again, whoever was back first.
#[tokio::test]
async fn after_a_restart_who_waits_is_served_in_the_order_of_asking() {
    let mut lab = Lab::new().await;
    let actor = lab.start(vec![]).await;
    let mut mounts = Vec::new();
    for id in 1..=3 {
        mounts.push(Mount::attach(&actor, id, Mode::Rw, false).await);
    }
    assert_eq!(mounts[0].lock(100, exclusive(5)).await, Ok(LockAnswer::Granted));
    assert_eq!(mounts[2].lock(200, exclusive(5)).await, Ok(LockAnswer::Queued));
    assert_eq!(mounts[1].lock(300, exclusive(5)).await, Ok(LockAnswer::Queued));
    let ids: Vec<_> = mounts.iter().map(|mount| mount.id).collect();
    lab.crash(actor);
    let actor = lab.start(ids).await;
    let mut late = Mount::attach(&actor, 2, Mode::Rw, true).await;
    late.claim(&[], &[(300, exclusive(5))]);
    let mut early = Mount::attach(&actor, 3, Mode::Rw, true).await;
    early.claim(&[], &[(200, exclusive(5))]);
    let mut holder = Mount::attach(&actor, 1, Mode::Rw, true).await;
    holder.claim(&[exclusive(5)], &[]);
    holder.unlock(exclusive(5)).await;
    assert_eq!(early.settled().await, (200, Ok(())));
    late.expect_silence().await;
    early.unlock(exclusive(5)).await;
    assert_eq!(late.settled().await, (300, Ok(())));
}

#[tokio::test]
async fn who_is_late_after_a_restart_is_fenced_if_others_had_its_lock_meanwhile() {
    let mut lab = Lab::new().await;
    let actor = lab.start(vec![]).await;
    let (a, b) = (Mount::attach(&actor, 1, Mode::Rw, false).await, Mount::attach(&actor, 2, Mode::Rw, false).await);
    lab.crash(actor);
    let actor = lab.start(vec![a.id, b.id]).await;
    let mut b = Mount::attach(&actor, 2, Mode::Rw, true).await;
    b.claim(&[], &[]);
    actor.cast(WorkspaceMessage::Lapsed(a.id)).unwrap();
    lab.locks().lapsed(lab.record.id, a.id);
    assert_eq!(b.lock(1, exclusive(5)).await, Ok(LockAnswer::Granted));
    b.unlock(exclusive(5)).await;
    let a = Mount::attach(&actor, 1, Mode::Rw, true).await;
    lab.locks().heard(lab.record.id, a.id);
    a.claim(&[exclusive(5)], &[]);
    b.lock(2, exclusive(6)).await.unwrap();
    assert_eq!(*lab.fenced.lock(), [a.id]);
}

#[tokio::test]
async fn a_session_that_lapsed_is_fenced_once_somebody_wants_its_lock_and_then_it_passes_on() {
    let lab = Lab::new().await;
    let actor = lab.start(vec![]).await;
    let (mut a, mut b) = (Mount::attach(&actor, 1, Mode::Rw, false).await, Mount::attach(&actor, 2, Mode::Rw, false).await);
    a.lock(1, exclusive(5)).await.unwrap();
    let locks = lab.locks();
    locks.lapsed(lab.record.id, a.id);
    assert_eq!(b.lock(1, exclusive(6)).await, Ok(LockAnswer::Granted));
    assert!(lab.fenced.lock().is_empty(), "nobody wants what it holds");
    assert_eq!(b.lock(2, exclusive(5)).await, Ok(LockAnswer::Queued));
    b.expect_silence().await;
    assert_eq!(*lab.fenced.lock(), [a.id]);
    actor.call(|reply| WorkspaceMessage::Seal(a.id, reply), None).await.unwrap();
    locks.gone(lab.record.id, a.id);
    assert_eq!(b.settled().await, (2, Ok(())));
    a.send(ClientFrame::Request { id: 9, request: Request::Lock { id: 7, lock: exclusive(6), wait: true } });
    // Nobody answers it any more.
    assert!(!matches!(tokio::time::timeout(Duration::from_millis(50), a.frames.recv()).await, Ok(Some(_))));
}

#[tokio::test]
async fn who_claims_what_another_holds_is_fenced() {
    let lab = Lab::new().await;
    let actor = lab.start(vec![]).await;
    let (mut a, mut b) = (Mount::attach(&actor, 1, Mode::Rw, false).await, Mount::attach(&actor, 2, Mode::Rw, false).await);
    a.lock(1, exclusive(5)).await.unwrap();
    b.claim(&[exclusive(5)], &[]);
    assert_eq!(b.ask(Request::CancelLock { id: 1 }).await, Ok(Answer::Cancelled(false)));
    assert_eq!(*lab.fenced.lock(), [b.id]);
    a.unlock(exclusive(5)).await;
}

#[tokio::test]
async fn below_a_subpath_only_what_lies_there_is_locked_looked_at_and_claimed() {
    let lab = Lab::new().await;
    let actor = lab.start(vec![]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, false).await;
    a.commit(create(Ino::ROOT, "dir", 1_000, NewNode::Directory)).await.1.unwrap();
    a.commit(create(Ino(1_000), "inside", 1_001, NewNode::File)).await.1.unwrap();
    a.commit(create(Ino::ROOT, "outside", 1_002, NewNode::File)).await.1.unwrap();
    let mut b = Mount::attach_at(&actor, 2, Mode::Rw, false, Ino(1_000)).await;
    assert_eq!(b.lock(1, exclusive(1_001)).await, Ok(LockAnswer::Granted));
    assert_eq!(b.lock(2, exclusive(1_002)).await, Err(Errno::ENOENT));
    assert_eq!(b.ask(Request::TestLock(exclusive(1_002))).await, Err(Errno::ENOENT));
    b.claim(&[exclusive(1_001), exclusive(1_002)], &[(7, exclusive(1_002))]);
    assert_eq!(a.lock(1, exclusive(1_002)).await, Ok(LockAnswer::Granted));
    assert_eq!(a.ask(Request::Lock { id: 2, lock: exclusive(1_001), wait: false }).await, Err(Errno::EAGAIN));
    assert!(lab.fenced.lock().is_empty());
}
