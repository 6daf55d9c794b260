//! Sessions that were away when others were served.

use super::*;

/// Two sessions on record, of which the second does not come back in time, and the first is served then.
async fn outlive(lab: &Lab) -> (ActorRef<WorkspaceMessage>, Mount, SessionId) {
    let away = SessionId::from_bits(2);
    let actor = lab.start(vec![SessionId::from_bits(1), away]).await;
    let mut served = Mount::attach(&actor, 1, Mode::Rw, true).await;
    served.send(ClientFrame::ResendDone { open: vec![] });
    actor.cast(WorkspaceMessage::Lapsed(away)).unwrap();
    served.commit(file("new", 1_000)).await.1.unwrap();
    served.make_durable().await;
    (actor, served, away)
}

#[tokio::test]
async fn a_session_that_was_away_and_has_nothing_to_send_comes_back() {
    let mut lab = Lab::new().await;
    let (actor, _, away) = outlive(&lab).await;
    let mut late = Mount::attach(&actor, 2, Mode::Rw, true).await;
    late.send(ClientFrame::ResendDone { open: vec![] });
    assert_eq!(late.lookup("new").await.unwrap().ino, Ino(1_000));
    late.commit(file("later", 2_000)).await.1.unwrap();
    late.make_durable().await;
    // Nor does the next actor hold that against it.
    lab.crash(actor);
    let actor = lab.start(vec![away]).await;
    let mut again = Mount::attach(&actor, 2, Mode::Rw, true).await;
    again.send(ClientFrame::ResendDone { open: vec![] });
    assert_eq!(again.lookup("later").await.unwrap().ino, Ino(2_000));
    assert!(lab.fenced.lock().is_empty());
}

/// What it sends again it may have done under a lock that somebody else has had since.
#[tokio::test]
async fn nothing_is_taken_of_a_session_that_was_away_while_others_were_served() {
    let lab = Lab::new().await;
    let (actor, mut served, away) = outlive(&lab).await;
    let late = Mount::attach(&actor, 2, Mode::Rw, true).await;
    late.send_op(1, None, file("late", 2_000));
    late.send(ClientFrame::ResendDone { open: vec![] });
    assert_eq!(served.lookup("late").await, Err(Errno::ENOENT));
    assert_eq!(*lab.fenced.lock(), [away]);
}

/// What the one before has given to whom is not known to the next owner of the workspace.
#[tokio::test]
async fn a_session_that_was_away_does_not_come_back_to_the_next_actor() {
    let mut lab = Lab::new().await;
    let (actor, served, away) = outlive(&lab).await;
    lab.crash(actor);
    let actor = lab.start(vec![served.id, away]).await;
    let late = Mount::attach(&actor, 2, Mode::Rw, true).await;
    late.send_op(1, Some(1), file("late", 2_000));
    late.send(ClientFrame::ResendDone { open: vec![] });
    let mut served = Mount::attach(&actor, 1, Mode::Rw, true).await;
    served.send(ClientFrame::ResendDone { open: vec![] });
    assert_eq!(served.lookup("late").await, Err(Errno::ENOENT));
    assert_eq!(*lab.fenced.lock(), [away]);
}

/// Nor when others are served before it is back.
#[tokio::test]
async fn a_session_that_was_away_twice_does_not_come_back() {
    let mut lab = Lab::new().await;
    let (actor, served, away) = outlive(&lab).await;
    lab.crash(actor);
    let actor = lab.start(vec![served.id, away]).await;
    let mut served = Mount::attach(&actor, 1, Mode::Rw, true).await;
    served.send(ClientFrame::ResendDone { open: vec![] });
    actor.cast(WorkspaceMessage::Lapsed(away)).unwrap();
    served.lookup("new").await.unwrap();
    let late = Mount::attach(&actor, 2, Mode::Rw, true).await;
    late.send(ClientFrame::ResendDone { open: vec![] });
    late.send_op(1, None, file("late", 2_000));
    assert_eq!(served.lookup("late").await, Err(Errno::ENOENT));
    assert_eq!(*lab.fenced.lock(), [away]);
}

/// Nobody was served but itself: it comes back, to the next actor too.
#[tokio::test]
async fn a_session_that_was_away_alone_comes_back() {
    let mut lab = Lab::new().await;
    let away = SessionId::from_bits(2);
    for _ in 0..2 {
        let actor = lab.start(vec![away]).await;
        actor.cast(WorkspaceMessage::Lapsed(away)).unwrap();
        usage(&actor).await;
        lab.crash(actor);
    }
    let actor = lab.start(vec![]).await;
    let mut late = Mount::attach(&actor, 2, Mode::Rw, true).await;
    late.resend(1, None, file("late", 2_000)).await.1.unwrap();
    assert!(lab.fenced.lock().is_empty());
}

/// A file without a name stays until everybody who may have it open has said so, or is over: also beyond the end of the grace, for
/// one that has lapsed and may come back.
#[tokio::test]
async fn what_a_session_that_is_away_may_have_open_is_not_removed() {
    let mut lab = Lab::new().await;
    let away = SessionId::from_bits(2);
    let actor = lab.start(vec![]).await;
    let mut mount = Mount::attach(&actor, 2, Mode::Rw, false).await;
    mount.commit(file("f", 2_000)).await.1.unwrap();
    mount.send(ClientFrame::Opened { inodes: vec![Ino(2_000)] });
    mount.commit(unlink("f")).await.1.unwrap();
    mount.make_durable().await;
    assert_eq!(usage(&actor).await.inodes, 2, "it is open");
    lab.crash(actor);

    let actor = lab.start(vec![away]).await;
    actor.cast(WorkspaceMessage::Lapsed(away)).unwrap();
    assert_eq!(usage(&actor).await.inodes, 2, "its mount may come back");
    let late = Mount::attach(&actor, 2, Mode::Rw, true).await;
    late.send(ClientFrame::ResendDone { open: vec![Ino(2_000)] });
    assert_eq!(usage(&actor).await.inodes, 2, "it has it open");
    late.send(ClientFrame::Closed { inodes: vec![Ino(2_000)] });
    assert_eq!(usage(&actor).await.inodes, 1, "nobody has it open any more");
}

/// What it went on to do with that file nobody else would ever see.
#[tokio::test]
async fn a_session_that_has_a_file_open_that_went_while_it_was_away_does_not_come_back() {
    let mut lab = Lab::new().await;
    let away = SessionId::from_bits(2);
    let actor = lab.start(vec![]).await;
    let mut mount = Mount::attach(&actor, 2, Mode::Rw, false).await;
    mount.commit(file("f", 2_000)).await.1.unwrap();
    mount.commit(file("g", 2_001)).await.1.unwrap();
    mount.send(ClientFrame::Opened { inodes: vec![Ino(2_000), Ino(2_001)] });
    mount.make_durable().await;
    lab.crash(actor);

    let actor = lab.start(vec![away]).await;
    actor.cast(WorkspaceMessage::Lapsed(away)).unwrap();
    let mut served = Mount::attach(&actor, 1, Mode::Rw, false).await;
    served.commit(unlink("f")).await.1.unwrap();
    let late = Mount::attach(&actor, 2, Mode::Rw, true).await;
    late.send(ClientFrame::ResendDone { open: vec![Ino(2_001)] });
    usage(&actor).await;
    assert!(lab.fenced.lock().is_empty(), "what it has open is there");
    lab.crash(actor);

    let actor = lab.start(vec![away]).await;
    actor.cast(WorkspaceMessage::Lapsed(away)).unwrap();
    let mut served = Mount::attach(&actor, 3, Mode::Rw, false).await;
    served.commit(unlink("g")).await.1.unwrap();
    let late = Mount::attach(&actor, 2, Mode::Rw, true).await;
    late.send(ClientFrame::ResendDone { open: vec![Ino(2_001)] });
    late.send_op(3, None, file("late", 2_002));
    assert_eq!(served.lookup("late").await, Err(Errno::ENOENT));
    assert_eq!(*lab.fenced.lock(), [away]);
}
