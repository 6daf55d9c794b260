//! The lease on a whole workspace, at the node.

use artifacts_core::namespace::{Key, Record};
use artifacts_core::replica::Fetch;

use super::*;

impl Mount {
    /// The number of the lease that comes.
    async fn granted(&mut self) -> u64 {
        match self.answer().await {
            ServerFrame::Lease { epoch, .. } => epoch,
            other => panic!("{other:?}"),
        }
    }

    async fn recalled(&mut self) -> u64 {
        match self.answer().await {
            ServerFrame::Recall { epoch } => epoch,
            other => panic!("{other:?}"),
        }
    }

    async fn fetch(&mut self, fetch: Fetch) -> Result<Vec<(Key, Record)>, Errno> {
        match self.ask(Request::Fetch(fetch)).await? {
            Answer::Records(records) => Ok(records.rows.into_iter().map(|(key, record)| (Key::decode(&key).unwrap(), record)).collect()),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn while_one_mount_decides_others_wait_for_what_it_has_decided() {
    let lab = Lab::new().await;
    let actor = lab.start(vec![]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, false).await;
    a.send(ClientFrame::WantLease);
    let epoch = a.granted().await;
    let mut b = Mount::attach(&actor, 2, Mode::Rw, false).await;
    b.send(ClientFrame::Request { id: 7, request: Request::Lookup { parent: Ino::ROOT, name: name("f") } });
    assert_eq!(a.recalled().await, epoch);
    a.commit(file("f", 1_000)).await.1.unwrap();
    assert!(b.frames.try_recv().is_err(), "nobody is served before the lease is given back");
    a.send(ClientFrame::ReturnLease);
    assert!(matches!(b.answer().await, ServerFrame::Reply { id: 7, result: Ok(Answer::Attr(attr)) } if attr.ino == Ino(1_000)));
    a.send(ClientFrame::WantLease);
    actor.call(|reply| WorkspaceMessage::Seal(b.id, reply), None).await.unwrap();
    assert!(a.granted().await > epoch, "alone again");
}

#[tokio::test]
async fn only_the_holder_reads_records_and_entries_bring_what_they_name() {
    let lab = Lab::new().await;
    let actor = lab.start(vec![]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, false).await;
    let prefix = Bytes::from(Key::dentries_of(Ino::ROOT));
    let entries = Fetch::range(prefix.clone(), prefix, 1_000);
    assert_eq!(a.fetch(entries.clone()).await, Err(Errno::EPERM));
    a.send(ClientFrame::WantLease);
    a.granted().await;
    for index in 0..150 {
        a.commit(file(&format!("f{index:03}"), 1_000 + index)).await.1.unwrap();
    }
    let rows = a.fetch(entries).await.unwrap();
    let named = rows.iter().filter(|(key, _)| matches!(key, Key::Inode(_))).count();
    assert_eq!((rows.len(), named), (300, 150));
    let absent = Fetch::Key(Key::Inode(Ino(77)).encode().into());
    assert_eq!(a.fetch(absent).await, Ok(vec![]));
    assert_eq!(a.fetch(Fetch::Key(Bytes::from_static(b"?"))).await, Err(Errno::EINVAL));
}

#[tokio::test]
async fn a_holder_that_lapses_while_somebody_waits_is_fenced_and_then_the_other_is_served() {
    let lab = Lab::new().await;
    let actor = lab.start(vec![]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, false).await;
    a.send(ClientFrame::WantLease);
    a.granted().await;
    actor.cast(WorkspaceMessage::Lapsed(a.id)).unwrap();
    a.commit(file("f", 1_000)).await.1.unwrap();
    assert!(lab.fenced.lock().is_empty(), "nobody waits");
    let mut b = Mount::attach(&actor, 2, Mode::Rw, false).await;
    a.recalled().await;
    assert!(lab.fenced.lock().is_empty(), "what it sent showed that it is there");
    b.send(ClientFrame::Request { id: 7, request: Request::Attr { ino: Ino::ROOT } });
    actor.cast(WorkspaceMessage::Lapsed(a.id)).unwrap();
    while lab.fenced.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(lab.fenced.lock()[0], a.id);
    assert!(b.frames.try_recv().is_err());
    actor.call(|reply| WorkspaceMessage::Seal(a.id, reply), None).await.unwrap();
    assert!(matches!(b.answer().await, ServerFrame::Reply { id: 7, result: Ok(_) }));
}

#[tokio::test]
async fn after_a_restart_the_holder_claims_its_lease() {
    let mut lab = Lab::new().await;
    let actor = lab.start(vec![]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, false).await;
    a.send(ClientFrame::WantLease);
    let epoch = a.granted().await;
    a.commit(file("durable", 1_001)).await.1.unwrap();
    a.make_durable().await;
    let (order, result) = a.commit(file("f", 1_000)).await;
    result.unwrap();
    lab.crash(actor);
    let actor = lab.start(vec![a.id]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, true).await;
    a.send(ClientFrame::ClaimLease { epoch });
    a.send_op(2, Some(order), file("f", 1_000));
    a.send(ClientFrame::ResendDone { open: vec![] });
    assert!(matches!(a.answer().await, ServerFrame::Applied(results) if results[0].result.is_ok()));
    let mut b = Mount::attach(&actor, 2, Mode::Rw, false).await;
    b.send(ClientFrame::Request { id: 7, request: Request::Attr { ino: Ino(1_000) } });
    assert_eq!(a.recalled().await, epoch);
    assert!(b.frames.try_recv().is_err());
    a.send(ClientFrame::ReturnLease);
    assert!(matches!(b.answer().await, ServerFrame::Reply { id: 7, result: Ok(_) }));
    assert!(lab.fenced.lock().is_empty());
}

/// The holder fetched what another had done just before, and that other is not back.
#[tokio::test]
async fn a_holder_that_may_go_by_what_never_comes_back_begins_anew() {
    let mut lab = Lab::new().await;
    let actor = lab.start(vec![]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, false).await;
    a.send(ClientFrame::WantLease);
    let epoch = a.granted().await;
    a.commit(file("durable", 1_001)).await.1.unwrap();
    a.make_durable().await;
    lab.crash(actor);
    let gone = SessionId::from_bits(2);
    let actor = lab.start(vec![a.id, gone]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, true).await;
    a.send(ClientFrame::ClaimLease { epoch });
    a.send(ClientFrame::ResendDone { open: vec![] });
    actor.call(|reply| WorkspaceMessage::Seal(gone, reply), None).await.unwrap();
    assert_eq!(a.recalled().await, epoch);
    a.send(ClientFrame::ReturnLease);
    a.send(ClientFrame::WantLease);
    assert!(a.granted().await > epoch);
    assert!(lab.fenced.lock().is_empty());
}

/// Two mounts shared the workspace when the node died. The first that is back says that it holds no lease and wants one: were it
/// granted in the grace, what it said before would take it away again behind its back.
#[tokio::test]
async fn nobody_is_granted_the_lease_while_others_are_awaited() {
    let mut lab = Lab::new().await;
    let actor = lab.start(vec![]).await;
    let a = Mount::attach(&actor, 1, Mode::Rw, false).await;
    let b = Mount::attach(&actor, 2, Mode::Rw, false).await;
    lab.crash(actor);
    let actor = lab.start(vec![a.id, b.id]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, true).await;
    for frame in [ClientFrame::ReturnLease, ClientFrame::ResendDone { open: vec![] }, ClientFrame::WantLease] {
        a.send(frame);
    }
    a.send_op(1, None, file("f", 1_000));
    assert!(matches!(a.next().await, ServerFrame::Applied(results) if results.is_empty()), "no lease came first");
    // The other never comes back.
    actor.cast(WorkspaceMessage::Lapsed(b.id)).unwrap();
    assert!(matches!(a.answer().await, ServerFrame::Applied(results) if results.len() == 1));
    a.granted().await;
    let made = Fetch::Key(Key::Inode(Ino(1_000)).encode().into());
    assert_eq!(a.fetch(made).await.map(|rows| rows.len()), Ok(1), "it is the holder for the node too");
}

/// The last link of an open file goes, the file is written once more and closed, and then the node dies: what comes
/// back is the same, though the file is no longer open.
#[tokio::test]
async fn an_orphan_lives_until_everything_that_comes_back_is_there() {
    let mut lab = Lab::new().await;
    let actor = lab.start(vec![]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, false).await;
    let write = Mutation::Write {
        ino: Ino(1_000),
        position: Position::End,
        extents: vec![Extent::inline(Bytes::from_static(b"more"))],
        kill_privileges: false,
    };
    let ops = [file("f", 1_000), unlink("f"), write];
    let resend = |mount: &Mount, first: usize| {
        for (index, op) in ops.iter().enumerate().skip(first) {
            mount.send_op(index as u64 + 1, Some(index as u64), op.clone());
        }
        mount.send(ClientFrame::ResendDone { open: vec![] });
    };
    a.commit(ops[0].clone()).await.1.unwrap();
    a.make_durable().await;

    // The stream breaks before the rest has arrived.
    let mut a = Mount::attach(&actor, 1, Mode::Rw, true).await;
    resend(&a, 1);
    for _ in 1..3 {
        assert!(matches!(a.answer().await, ServerFrame::Applied(results) if results.iter().all(|result| result.result.is_ok())));
    }
    assert_eq!(usage(&actor).await.inodes, 1, "gone in the end");

    // The node dies before it was durable.
    lab.crash(actor);
    let actor = lab.start(vec![a.id]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, true).await;
    resend(&a, 1);
    assert!(matches!(a.answer().await, ServerFrame::Applied(results) if results.iter().all(|result| result.result.is_ok())));
    assert_eq!(usage(&actor).await.inodes, 1, "gone in the end");
}
