//! What the node does in a workspace by itself, beside mounts that hold leases.

use artifacts_core::leases::Kind;
use artifacts_core::namespace::Piece;

use super::*;

fn target(path: &str) -> Target {
    Target { root: Vec::new(), path: path.split('/').filter(|part| !part.is_empty()).map(name).collect() }
}

fn new_file(path: &str, text: &'static str) -> NewFile {
    NewFile {
        target: target(path),
        condition: Condition::default(),
        makes_parents: false,
        mode: None,
        extents: vec![Extent::inline(Bytes::from_static(text.as_bytes()))],
        segments: Vec::new(),
    }
}

async fn visit(actor: &ActorRef<WorkspaceMessage>, visit: Visit) -> Result<Visited, VisitError> {
    actor.call(|reply| WorkspaceMessage::Visit(visit, reply), None).await.unwrap().unwrap()
}

async fn put(actor: &ActorRef<WorkspaceMessage>, path: &str, text: &'static str) -> Attr {
    match visit(actor, Visit::Put(new_file(path, text))).await {
        Ok(Visited::Put { attr, .. }) => attr,
        other => panic!("{other:?}"),
    }
}

async fn find(actor: &ActorRef<WorkspaceMessage>, path: &str, opens: bool) -> Result<Attr, Errno> {
    match visit(actor, Visit::Find { target: target(path), opens }).await {
        Ok(Visited::Found(attr)) => Ok(attr),
        Err(VisitError::Refused(errno)) => Err(errno),
        other => panic!("{other:?}"),
    }
}

async fn read(actor: &ActorRef<WorkspaceMessage>, ino: Ino) -> Vec<Piece> {
    match visit(actor, Visit::Pieces { ino, offset: 0, len: 1 << 20 }).await {
        Ok(Visited::Pieces { pieces, .. }) => pieces,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_put_survives_as_a_whole_and_keeps_the_mode_of_what_it_replaces() {
    let mut lab = Lab::new().await;
    let actor = lab.start(vec![]).await;
    let first = put(&actor, "f", "first").await;
    assert_eq!((first.mode, first.size, first.nlink), (0o644, 5, 1));
    let private = visit(&actor, Visit::Put(NewFile { mode: Some(0o600), ..new_file("f", "private") })).await;
    let Ok(Visited::Put { attr: private, is_new: false }) = private else { panic!("{private:?}") };
    assert_ne!(private.ino, first.ino);
    let third = put(&actor, "f", "third").await;
    assert_eq!(third.mode, 0o600);
    // What was answered is durable.
    lab.crash(actor);
    let actor = lab.start(vec![]).await;
    let found = find(&actor, "f", false).await.unwrap();
    assert_eq!(found, third);
    assert_eq!(read(&actor, found.ino).await[0].extent, Extent::inline(Bytes::from_static(b"third")));
    assert_eq!(usage(&actor).await, Usage { bytes: 5, inodes: 2 }, "what was replaced is gone");
}

#[tokio::test]
async fn who_reads_a_file_goes_on_with_it_when_it_is_replaced() {
    let lab = Lab::new().await;
    let actor = lab.start(vec![]).await;
    put(&actor, "f", "old").await;
    let [one, other] = [find(&actor, "f", true).await.unwrap(), find(&actor, "f", true).await.unwrap()];
    assert_eq!(one.ino, other.ino);
    put(&actor, "f", "new").await;
    actor.cast(WorkspaceMessage::Leave(one.ino)).unwrap();
    assert_eq!(read(&actor, one.ino).await[0].extent, Extent::inline(Bytes::from_static(b"old")));
    actor.cast(WorkspaceMessage::Leave(other.ino)).unwrap();
    assert!(matches!(visit(&actor, Visit::Pieces { ino: one.ino, offset: 0, len: 9 }).await, Err(VisitError::Refused(Errno::ENOENT))));
}

#[tokio::test]
async fn conditions_and_what_is_in_the_way_refuse_a_change_and_leave_everything_as_it_was() {
    let lab = Lab::new().await;
    let actor = lab.start(vec![]).await;
    let attr = put(&actor, "f", "first").await;
    let mut mount = Mount::attach(&actor, 1, Mode::Rw, false).await;
    mount.commit(create(Ino::ROOT, "dir", 1_000, NewNode::Directory)).await.1.unwrap();
    let with = |condition| NewFile { condition, ..new_file("f", "second") };
    for condition in [
        Condition { is_absent: true, ..Condition::default() },
        Condition { is: Some(vec![Version(attr.ino, attr.ctime - 1)]), is_absent: false },
    ] {
        assert!(matches!(visit(&actor, Visit::Put(with(condition.clone()))).await, Err(VisitError::Unmet)));
        let remove = Visit::Remove { target: target("f"), condition, recursive: false };
        assert!(matches!(visit(&actor, remove).await, Err(VisitError::Unmet)));
    }
    for (path, errno) in [("dir", Errno::EISDIR), ("f/x", Errno::ENOTDIR), ("none/x", Errno::ENOENT), ("", Errno::EISDIR)] {
        let refused = visit(&actor, Visit::Put(new_file(path, "x"))).await;
        assert!(matches!(refused, Err(VisitError::Refused(found)) if found == errno), "{path}: {refused:?}");
    }
    assert_eq!(find(&actor, "f", false).await.unwrap(), attr);
    let matching = with(Condition { is: Some(vec![Version::of(&attr)]), is_absent: false });
    assert!(visit(&actor, Visit::Put(matching)).await.is_ok());
    let deep = NewFile { makes_parents: true, ..new_file("dir/a/b/c", "deep") };
    assert!(visit(&actor, Visit::Put(deep)).await.is_ok());
    assert_eq!(find(&actor, "dir/a/b/c", false).await.unwrap().size, 4);
    let moved = Visit::Move { from: target("dir/a"), to: target("f"), overwrite: false };
    assert!(matches!(visit(&actor, moved).await, Err(VisitError::Refused(Errno::EEXIST))));
    let all = Visit::Remove { target: target("dir"), condition: Condition::default(), recursive: true };
    assert!(matches!(visit(&actor, all).await, Ok(Visited::Removed { more: false })));
    assert_eq!(find(&actor, "dir", false).await, Err(Errno::ENOENT));
}

#[tokio::test]
async fn a_visit_waits_until_who_decides_has_sent_everything() {
    let lab = Lab::new().await;
    let actor = lab.start(vec![]).await;
    let mut mount = Mount::attach(&actor, 1, Mode::Rw, false).await;
    mount.send(ClientFrame::WantLease);
    let ServerFrame::Lease { epoch, .. } = mount.answer().await else { panic!("no lease") };
    let asked = tokio::spawn({
        let actor = actor.clone();
        async move { find(&actor, "decided", false).await }
    });
    assert_eq!(mount.answer().await, ServerFrame::Recall { epoch });
    let op = Op { mutation: file("decided", 1_000), time: 1 };
    mount.send(ClientFrame::Decided { acked: 0, ops: vec![NumberedOp { seq: 1, order: None, op }] });
    mount.send(ClientFrame::ReturnLease);
    assert_eq!(asked.await.unwrap().unwrap().ino, Ino(1_000));
}

#[tokio::test]
async fn who_believes_to_know_what_a_visit_changes_is_told_before() {
    let lab = Lab::new().await;
    let actor = lab.start(vec![]).await;
    put(&actor, "f", "old").await;
    let mut mount = Mount::attach(&actor, 1, Mode::Rw, false).await;
    let _other = Mount::attach(&actor, 2, Mode::Rw, false).await;
    let fetch = artifacts_core::replica::Fetch::Key(artifacts_core::namespace::Key::Inode(Ino::ROOT).encode().into());
    let Ok(Answer::Learnt { leases, .. }) = mount.ask(Request::Learn { fetch, kind: Kind::Read }).await else { panic!("no lease") };
    assert!(leases.iter().any(|lease| lease.ino == Ino::ROOT));
    let putting = tokio::spawn({
        let actor = actor.clone();
        async move { put(&actor, "f", "new").await }
    });
    let ServerFrame::RecallLeases { leases, keep_read: false } = mount.answer().await else { panic!("no recall") };
    assert!(!putting.is_finished());
    mount.send(ClientFrame::GiveBack { leases, keep_read: false });
    assert_eq!(putting.await.unwrap().size, 3);
}
