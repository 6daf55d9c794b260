//! Leases on single inodes, at the node.

use artifacts_core::leases::{Kind, Lease};
use artifacts_core::namespace::Key;
use artifacts_core::protocol::COME_AGAIN;
use artifacts_core::replica::Fetch;
use ractor::rpc::CallResult;

use super::*;

const FILE: Ino = Ino(1_000);

/// Two mounts in a workspace without quotas, in which there is a file that the first has made.
async fn shared() -> (Lab, ActorRef<WorkspaceMessage>, Mount, Mount) {
    let mut lab = Lab::new().await;
    lab.record.quota_inodes = None;
    let actor = lab.start(vec![]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, false).await;
    let b = Mount::attach(&actor, 2, Mode::Rw, false).await;
    a.commit(file("f", FILE.0)).await.1.unwrap();
    (lab, actor, a, b)
}

fn inode(ino: Ino) -> Fetch {
    Fetch::Key(Key::Inode(ino).encode().into())
}

fn touch(ino: Ino, mtime: i64) -> Mutation {
    let set = artifacts_core::namespace::SetAttr { mtime: Some(mtime), ..Default::default() };
    Mutation::SetAttr { ino, set }
}

impl Mount {
    async fn learn(&mut self, fetch: Fetch, kind: Kind) -> Result<Vec<Lease>, Errno> {
        match self.ask(Request::Learn { fetch, kind }).await? {
            Answer::Learnt { leases, records } => {
                assert_eq!(leases.is_empty(), records.rows.is_empty(), "records come with leases");
                Ok(leases)
            }
            other => panic!("{other:?}"),
        }
    }

    async fn inodes_recalled(&mut self) -> (Vec<Lease>, bool) {
        match self.answer().await {
            ServerFrame::RecallLeases { leases, keep_read } => (leases, keep_read),
            other => panic!("{other:?}"),
        }
    }

    fn ask_later(&self, id: u32, request: Request) {
        self.send(ClientFrame::Request { id, request });
    }
}

#[tokio::test]
async fn an_op_that_meets_a_lease_comes_again_when_it_is_given_back() {
    let (_lab, _actor, mut a, mut b) = shared().await;
    let leases = b.learn(inode(FILE), Kind::Read).await.unwrap();
    assert_eq!(a.commit(touch(FILE, 5)).await.1, Err(COME_AGAIN));
    assert_eq!(b.inodes_recalled().await, (leases.clone(), false));
    assert_eq!(a.learn(inode(FILE), Kind::Read).await, Ok(vec![]), "somebody waits for it, though it is who asks");
    b.send(ClientFrame::GiveBack { leases, keep_read: false });
    assert_eq!(a.answer().await, ServerFrame::ComeAgain { seq: 2 });
    assert_eq!(b.learn(inode(FILE), Kind::Read).await, Ok(vec![]), "the op is to find its way free");
    a.commit(touch(FILE, 5)).await.1.unwrap();
    assert_eq!(b.learn(inode(FILE), Kind::Read).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_question_waits_until_its_holder_decides_no_more_and_holds_up_nothing_else() {
    let (_lab, _actor, mut a, mut b) = shared().await;
    let leases = a.learn(inode(FILE), Kind::Write).await.unwrap();
    b.ask_later(7, Request::Attr { ino: FILE });
    assert_eq!(a.inodes_recalled().await, (leases.clone(), true));
    assert!(matches!(b.ask(Request::Attr { ino: Ino::ROOT }).await, Ok(Answer::Attr(_))));
    assert!(matches!(a.ask(Request::Attr { ino: FILE }).await, Ok(Answer::Attr(_))), "its own lease is in nobody's way");
    let op = NumberedOp { seq: 2, order: None, op: Op { mutation: touch(FILE, 5), time: 9 } };
    a.next_seq = 3;
    a.send(ClientFrame::Decided { acked: 0, ops: vec![op] });
    assert!(matches!(a.answer().await, ServerFrame::Applied(results) if results[0].result.is_ok()));
    a.send(ClientFrame::GiveBack { leases, keep_read: true });
    match b.answer().await {
        ServerFrame::Reply { id: 7, result: Ok(Answer::Attr(attr)) } => assert_eq!(attr.mtime, 5),
        other => panic!("{other:?}"),
    }
    a.send_op(3, None, touch(FILE, 6));
    assert_eq!(a.answer().await, ServerFrame::Changed { inodes: vec![FILE] }, "it goes on believing");
}

#[tokio::test]
async fn who_changes_through_the_node_what_it_holds_is_told_before_the_answer() {
    let (_lab, _actor, mut a, _b) = shared().await;
    a.learn(inode(FILE), Kind::Read).await.unwrap();
    a.send_op(2, None, touch(FILE, 5));
    assert_eq!(a.answer().await, ServerFrame::Changed { inodes: vec![FILE] });
    assert!(matches!(a.answer().await, ServerFrame::Applied(results) if results[0].result.is_ok()));
}

#[tokio::test]
async fn what_nobody_may_decide_on_is_not_taken_from_who_says_it_has() {
    let (_lab, _actor, mut a, mut b) = shared().await;
    a.learn(inode(FILE), Kind::Write).await.unwrap();
    let op = NumberedOp { seq: 1, order: None, op: Op { mutation: touch(FILE, 5), time: 9 } };
    b.send(ClientFrame::Decided { acked: 0, ops: vec![op] });
    assert!(matches!(b.answer().await, ServerFrame::Applied(results) if results[0].result == Err(Errno::EIO)));
    let held = a.ask(Request::Attr { ino: FILE }).await;
    assert!(matches!(held, Ok(Answer::Attr(attr)) if attr.mtime != 5));
}

#[tokio::test]
async fn where_there_is_a_quota_or_only_a_right_to_read_nobody_decides() {
    let lab = Lab::new().await;
    let actor = lab.start(vec![]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, false).await;
    let mut b = Mount::attach(&actor, 2, Mode::Ro, false).await;
    assert_eq!(a.learn(inode(Ino::ROOT), Kind::Write).await, Err(Errno::EPERM), "there is a quota");
    assert_eq!(a.learn(inode(Ino::ROOT), Kind::Read).await.unwrap().len(), 1);
    let (_lab, actor, mut a, _) = shared().await;
    assert_eq!(a.learn(inode(Ino::ROOT), Kind::Write).await.unwrap().len(), 1);
    let mut reader = Mount::attach(&actor, 3, Mode::Ro, false).await;
    assert_eq!(reader.learn(inode(FILE), Kind::Write).await, Err(Errno::EPERM));
    assert_eq!(b.learn(inode(Ino::ROOT), Kind::Read).await.unwrap().len(), 1);
}

#[tokio::test]
async fn after_a_restart_leases_are_claimed_and_who_comes_too_late_is_fenced() {
    let (mut lab, actor, mut a, mut b) = shared().await;
    a.make_durable().await;
    let leases = a.learn(inode(FILE), Kind::Write).await.unwrap();
    lab.crash(actor);
    let actor = lab.start(vec![a.id, b.id]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, true).await;
    a.send(ClientFrame::ClaimLeases { leases: leases.clone() });
    a.send(ClientFrame::ResendDone { open: vec![] });
    b = Mount::attach(&actor, 2, Mode::Rw, true).await;
    b.send(ClientFrame::ResendDone { open: vec![] });
    b.ask_later(7, Request::Attr { ino: FILE });
    assert_eq!(a.inodes_recalled().await, (leases.clone(), true));
    a.send(ClientFrame::GiveBack { leases: leases.clone(), keep_read: false });
    assert!(matches!(b.answer().await, ServerFrame::Reply { id: 7, result: Ok(_) }));
    assert!(lab.fenced.lock().is_empty());

    lab.crash(actor);
    let actor = lab.start(vec![]).await;
    let mut b = Mount::attach(&actor, 2, Mode::Rw, false).await;
    b.lookup("f").await.unwrap();
    let mut a = Mount::attach(&actor, 1, Mode::Rw, true).await;
    a.send(ClientFrame::ClaimLeases { leases });
    a.send_op(2, None, touch(FILE, 5));
    while lab.fenced.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(lab.fenced.lock()[0], a.id);
    assert!(matches!(b.ask(Request::Attr { ino: FILE }).await, Ok(Answer::Attr(attr)) if attr.mtime != 5));
    assert!(a.frames.try_recv().is_err(), "nothing of it is taken, also before its seal");
}

#[tokio::test]
async fn who_waits_for_an_orphan_goes_on_when_it_goes() {
    let (_lab, _actor, mut a, mut b) = shared().await;
    a.learn(inode(FILE), Kind::Read).await.unwrap();
    a.send_op(2, None, unlink("f"));
    assert_eq!(a.answer().await, ServerFrame::Changed { inodes: vec![FILE] });
    assert!(matches!(a.answer().await, ServerFrame::Applied(_)));
    assert_eq!(b.commit(touch(FILE, 5)).await.1, Err(COME_AGAIN), "it stays a moment, and is believed");
    assert_eq!(a.inodes_recalled().await.0.len(), 1);
    assert_eq!(b.answer().await, ServerFrame::ComeAgain { seq: 1 }, "though nobody has given it back");
    assert_eq!(b.commit(touch(FILE, 5)).await.1, Err(Errno::ENOENT));
}

/// Who believes something by now does so since before the crash, and an op that had not happened by then comes after.
#[tokio::test]
async fn an_op_that_had_not_happened_before_a_crash_waits_for_who_claims_what_it_changes() {
    let (mut lab, actor, mut a, mut b) = shared().await;
    a.make_durable().await;
    let leases = b.learn(inode(FILE), Kind::Read).await.unwrap();
    let own = a.learn(inode(Ino::ROOT), Kind::Read).await.unwrap();
    lab.crash(actor);
    let actor = lab.start(vec![a.id, b.id]).await;
    a = Mount::attach(&actor, 1, Mode::Rw, true).await;
    a.send(ClientFrame::ClaimLeases { leases: own });
    a.send_op(2, None, touch(FILE, 5));
    a.send_op(3, None, file("new", 1_001));
    a.send(ClientFrame::ResendDone { open: vec![] });
    b = Mount::attach(&actor, 2, Mode::Rw, true).await;
    b.send(ClientFrame::ClaimLeases { leases: leases.clone() });
    b.send(ClientFrame::ResendDone { open: vec![] });
    assert_eq!(b.inodes_recalled().await, (leases.clone(), false));
    assert_eq!(a.answer().await, ServerFrame::Changed { inodes: vec![Ino::ROOT] }, "its own lease stands");
    match a.answer().await {
        ServerFrame::Applied(results) => {
            assert_eq!(results[0].result, Err(COME_AGAIN));
            assert!(results[1].result.is_ok());
        }
        other => panic!("{other:?}"),
    }
    b.send(ClientFrame::GiveBack { leases, keep_read: false });
    assert_eq!(a.answer().await, ServerFrame::ComeAgain { seq: 2 });
}

/// So that what is decided under a lease says by its number which ops came before it.
#[tokio::test]
async fn leases_and_ops_are_numbered_as_one() {
    let (_lab, _actor, mut a, mut b) = shared().await;
    let mut last = 0;
    for round in 0..3 {
        let (order, result) = a.commit(touch(FILE, round)).await;
        result.unwrap();
        let leases = b.learn(inode(FILE), Kind::Read).await.unwrap();
        assert!(last < order && order < leases[0].number, "{last} {order} {leases:?}");
        last = leases[0].number;
        b.send(ClientFrame::GiveBack { leases, keep_read: false });
    }
}

/// It would be granted between what the mount says that it holds and the end of what it sends again, and be taken back.
#[tokio::test]
async fn a_question_that_waited_when_its_stream_broke_brings_no_lease_over_the_next() {
    let (_lab, actor, mut a, mut b) = shared().await;
    let leases = a.learn(inode(FILE), Kind::Write).await.unwrap();
    b.ask_later(7, Request::Acquire { inodes: vec![FILE] });
    assert_eq!(a.inodes_recalled().await, (leases.clone(), false));
    b = Mount::attach(&actor, 2, Mode::Rw, true).await;
    b.send(ClientFrame::ClaimLeases { leases: vec![] });
    a.send(ClientFrame::GiveBack { leases, keep_read: false });
    assert!(matches!(a.ask(Request::Attr { ino: FILE }).await, Ok(Answer::Attr(_))));
    assert!(b.frames.try_recv().is_err());
    b.send(ClientFrame::ResendDone { open: vec![] });
    b.ask_later(7, Request::Acquire { inodes: vec![FILE] });
    assert!(matches!(b.answer().await, ServerFrame::Reply { id: 7, result: Ok(Answer::Leases(leases)) } if leases.len() == 1));
}

/// What one had made, and the other had seen, is gone with the one that does not come back.
#[tokio::test]
async fn nobody_goes_on_believing_what_may_never_come_back() {
    let (mut lab, actor, mut a, mut b) = shared().await;
    a.make_durable().await;
    a.commit(file("new", 1_001)).await.1.unwrap();
    let leases = b.learn(inode(Ino::ROOT), Kind::Read).await.unwrap();
    lab.crash(actor);
    let actor = lab.start(vec![a.id, b.id]).await;
    b = Mount::attach(&actor, 2, Mode::Rw, true).await;
    b.send(ClientFrame::ClaimLeases { leases: leases.clone() });
    b.send(ClientFrame::ResendDone { open: vec![] });
    actor.cast(WorkspaceMessage::Lapsed(a.id)).unwrap();
    assert_eq!(b.inodes_recalled().await, (leases.clone(), false));
    b.send(ClientFrame::GiveBack { leases, keep_read: false });
    assert_eq!(b.lookup("new").await, Err(Errno::ENOENT));
    assert!(lab.fenced.lock().is_empty());
}

/// The same, if it had ended before: nobody waits for it then.
#[tokio::test]
async fn nobody_goes_on_believing_what_a_session_left_unsaved() {
    let (mut lab, actor, mut a, mut b) = shared().await;
    a.make_durable().await;
    a.commit(file("new", 1_001)).await.1.unwrap();
    let leases = b.learn(inode(Ino::ROOT), Kind::Read).await.unwrap();
    let sealed = actor.call(|reply| WorkspaceMessage::Seal(a.id, reply), None).await.unwrap();
    assert!(matches!(sealed, CallResult::Success(Sealed { is_saved: false })));
    // As the session's actor does, with the record of the end.
    let key = WorkspaceKeys(lab.record.id).unsaved(a.id);
    let mut batch = Batch::new();
    batch.put(key.clone(), Vec::new());
    lab.store.write(batch, Durability::Durable).await.unwrap();
    lab.crash(actor);
    let actor = lab.start(vec![b.id]).await;
    b = Mount::attach(&actor, 2, Mode::Rw, true).await;
    b.send(ClientFrame::ClaimLeases { leases: leases.clone() });
    b.send(ClientFrame::ResendDone { open: vec![] });
    assert_eq!(b.inodes_recalled().await, (leases.clone(), false));
    b.send(ClientFrame::GiveBack { leases, keep_read: false });
    assert_eq!(b.lookup("new").await, Err(Errno::ENOENT));
    b.commit(file("later", 2_001)).await.1.unwrap();
    b.make_durable().await;
    assert_eq!(lab.store.get(&key).await.unwrap(), None, "it is known once");
}
