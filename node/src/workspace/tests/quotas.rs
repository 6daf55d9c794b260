//! Quotas that change while mounts go by them.

use artifacts_core::leases::Kind;
use artifacts_core::namespace::Key;
use artifacts_core::replica::Fetch;

use super::*;
use crate::records::Quotas;

const fn inodes(limit: u64) -> Quotas {
    Quotas { bytes: None, inodes: Some(limit) }
}

/// Asks for other quotas, and says when they hold.
fn set(actor: &ActorRef<WorkspaceMessage>, quotas: Quotas) -> tokio::task::JoinHandle<()> {
    let actor = actor.clone();
    tokio::spawn(async move {
        actor.call(|reply| WorkspaceMessage::SetQuotas(quotas, Some(reply)), None).await.unwrap().unwrap().unwrap();
    })
}

async fn granted(mount: &mut Mount) -> Option<u64> {
    mount.send(ClientFrame::WantLease);
    match mount.answer().await {
        ServerFrame::Lease { inodes, .. } => inodes,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_mount_that_decides_gives_that_back_before_it_goes_by_others() {
    let lab = Lab::new().await;
    let actor = lab.start(vec![]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, false).await;
    assert_eq!(granted(&mut a).await, Some(1_000));
    let done = set(&actor, inodes(3));
    assert!(matches!(a.answer().await, ServerFrame::Recall { .. }));
    // Decided under what it had been told.
    for index in 0..4 {
        a.commit(file(&format!("f{index}"), 1_000 + index)).await.1.unwrap();
    }
    assert!(!done.is_finished());
    a.send(ClientFrame::ReturnLease);
    done.await.unwrap();
    assert_eq!(a.commit(file("g", 1_010)).await.1, Err(Errno::EDQUOT), "it holds more than the new quota already");
    assert_eq!(granted(&mut a).await, Some(3));
}

#[tokio::test]
async fn where_there_come_to_be_quotas_nobody_decides_on_single_inodes_any_more() {
    let mut lab = Lab::new().await;
    lab.record.quota_inodes = None;
    let actor = lab.start(vec![]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, false).await;
    let _b = Mount::attach(&actor, 2, Mode::Rw, false).await;
    let root = Fetch::Key(Key::Inode(Ino::ROOT).encode().into());
    let learn = Request::Learn { fetch: root, kind: Kind::Write };
    let Ok(Answer::Learnt { leases, .. }) = a.ask(learn.clone()).await else { panic!("no lease") };
    let done = set(&actor, inodes(2));
    assert!(matches!(a.answer().await, ServerFrame::RecallLeases { keep_read: true, .. }));
    assert_eq!(a.ask(learn.clone()).await, Err(Errno::EPERM), "there are going to be quotas");
    assert!(!done.is_finished());
    a.send(ClientFrame::GiveBack { leases, keep_read: false });
    done.await.unwrap();
    assert_eq!(a.ask(learn).await, Err(Errno::EPERM));
    a.commit(file("f", 1_000)).await.1.unwrap();
    assert_eq!(a.commit(file("g", 1_001)).await.1, Err(Errno::EDQUOT));
}

/// The record says less than what the mount was told: what it had decided before the crash counts all the same.
#[tokio::test]
async fn after_a_crash_what_was_decided_under_the_earlier_quotas_counts() {
    let mut lab = Lab::new().await;
    let actor = lab.start(vec![]).await;
    set(&actor, inodes(3)).await.unwrap();
    let mut a = Mount::attach(&actor, 1, Mode::Rw, false).await;
    a.commit(file("f", 1_000)).await.1.unwrap();
    a.make_durable().await;
    let (order, second) = a.commit(file("g", 1_001)).await;
    second.unwrap();
    lab.crash(actor);
    lab.record.quota_inodes = Some(2);
    let actor = lab.start(vec![a.id]).await;
    let mut a = Mount::attach(&actor, 1, Mode::Rw, true).await;
    a.send_op(2, Some(order), file("g", 1_001));
    a.send(ClientFrame::ResendDone { open: vec![] });
    assert!(matches!(a.answer().await, ServerFrame::Applied(results) if results[0].result.is_ok()));
    a.next_seq = 3;
    a.commit(unlink("g")).await.1.unwrap();
    assert_eq!(a.commit(file("h", 1_002)).await.1, Err(Errno::EDQUOT), "from then on the record counts");
    a.commit(unlink("f")).await.1.unwrap();
    a.commit(file("h", 1_002)).await.1.unwrap();
}
