#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use artifacts_core::cluster::ShardMap;
use artifacts_core::protocol::{FenceReason, Hello, Opening, Refusal, ServerFrame, VersionRange};
use artifacts_core::revocation::{Issue, RevocationRecord, Target};
use artifacts_core::session::{Out, Phase};
use artifacts_core::ticket::{KeyRing, Mode, SigningKey, TicketClaims, sign};
use artifacts_core::{AccountId, ErrorCode, GrantId, RevocationId, SessionId, TicketId, Timestamp, WorkspaceId};
use tokio::sync::mpsc;

use super::*;
use crate::audit::{AuditEvent, AuditKind, By, Revoked};
use crate::blob::MemoryBlobs;
use crate::catalog::{Catalog, Records as _};
use crate::config::NodeConfig;
use crate::context::{Context, SharedContext};
use crate::random::SystemEntropy;
use crate::records::{GrantRecord, WorkspaceRecord, WorkspaceStatus};
use crate::server::Shutdown;
use crate::store::{Batch, Durability, MemoryStore, Store as _};
use crate::time::Clock;

/// A clock that stands until a test moves it.
#[derive(Default)]
struct ManualClock(AtomicU64);

const START: u64 = 1_700_000_000_000;

impl Clock for ManualClock {
    fn wall(&self) -> Timestamp {
        Timestamp::from_unix_ms(START + self.0.load(Ordering::Relaxed))
    }

    fn monotonic_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

struct Lab {
    store: Arc<MemoryStore>,
    clock: Arc<ManualClock>,
    context: SharedContext,
    sessions: Sessions,
}

fn context(store: &Arc<MemoryStore>, clock: &Arc<ManualClock>) -> SharedContext {
    let mut key_ring = KeyRing::default();
    key_ring.rotate("k".into(), [1; 32], Timestamp::from_unix_ms(START), 0);
    Arc::new(Context {
        config: NodeConfig { session_lease_ms: 2_000, ..NodeConfig::default() },
        clock: clock.clone(),
        entropy: Arc::new(SystemEntropy),
        store: store.clone(),
        blobs: Arc::new(MemoryBlobs::new()),
        catalog: Catalog::new(store.clone()),
        key_ring: Arc::new(parking_lot::RwLock::new(key_ring)),
        revocations: Arc::default(),
        log: parking_lot::Mutex::default(),
        audit: crate::audit::Trail::default(),
        data_keys: Arc::default(),
        admin_token_hash: Arc::default(),
        is_home: true,
        endpoints: Arc::default(),
        peers: Arc::default(),
        regions: artifacts_core::cluster::Regions::one("local"),
        abroad: Arc::default(),
        homes: Default::default(),
    })
}

impl Lab {
    async fn new() -> Self {
        let store = Arc::new(MemoryStore::sharded(ShardMap::new(16).unwrap()));
        let clock = Arc::new(ManualClock::default());
        let context = context(&store, &clock);
        let sessions = Sessions::start(context.clone()).await.unwrap();
        let lab = Self { store, clock, context, sessions };
        let mut batch = Batch::new();
        batch.put_workspace(&workspace());
        batch.put_grant(&grant());
        lab.store.write(batch, Durability::Durable).await.unwrap();
        lab.sessions.format(&workspace()).await.unwrap();
        lab
    }

    /// The node's process is gone and comes back on what was durable.
    async fn restart(&mut self) {
        self.store = Arc::new(self.store.crash());
        self.context = context(&self.store, &self.clock);
        self.sessions = Sessions::start(self.context.clone()).await.unwrap();
    }

    async fn open(&self, opening: Opening) -> Result<(Opened, mpsc::UnboundedReceiver<ServerFrame>), Refusal> {
        let hello = Hello { protocol: VersionRange::OURS, agent: "test".into(), host: "here".into(), opening };
        let (outbound, frames) = mpsc::unbounded_channel();
        let connection = Connection { id: self.sessions.next_connection(), outbound, end: Shutdown::new() };
        let opened = self.sessions.open(VersionRange::OURS, &hello, SocketAddr::from(([127, 0, 0, 1], 9)), connection).await?;
        Ok((opened, frames))
    }

    async fn refusal(&self, opening: Opening) -> Refusal {
        self.open(opening).await.err().expect("a refusal")
    }

    /// Moves the clock and waits until the sessions have seen it.
    async fn pass(&self, ms: u64, seen: impl Fn(&Sessions) -> bool) {
        self.clock.0.fetch_add(ms, Ordering::Relaxed);
        let mut poll = tokio::time::interval(Duration::from_millis(20));
        for _ in 0..250 {
            poll.tick().await;
            if seen(&self.sessions) {
                return;
            }
        }
        panic!("the sessions did not see the time pass");
    }
}

fn workspace() -> WorkspaceRecord {
    WorkspaceRecord {
        id: WorkspaceId::from_bits(2),
        account: AccountId::from_bits(1),
        handle: "acme".parse().unwrap(),
        name: "w".parse().unwrap(),
        status: WorkspaceStatus::Active,
        region: "local".into(),
        abroad: false,
        tenant: None,
        origin: None,
        quota_bytes: None,
        quota_inodes: None,
        created_at: Timestamp::from_unix_ms(START),
    }
}

fn grant() -> GrantRecord {
    GrantRecord {
        id: GrantId::from_bits(3),
        account: AccountId::from_bits(1),
        workspace: WorkspaceId::from_bits(2),
        workspace_name: "acme/w".into(),
        tenant: "t".parse().unwrap(),
        runtime: Some("r".parse().unwrap()),
        mode: Mode::Rw,
        subpath: None,
        generation: 0,
        created_at: Timestamp::from_unix_ms(START),
        expires_at: None,
        revoked_at: None,
    }
}

fn claims(ticket: u128) -> TicketClaims {
    TicketClaims {
        jti: TicketId::from_bits(ticket),
        account: AccountId::from_bits(1),
        grant: GrantId::from_bits(3),
        tenant: "t".parse().unwrap(),
        runtime: "r".parse().unwrap(),
        workspace: WorkspaceId::from_bits(2),
        region: None,
        handle: "acme".parse().unwrap(),
        name: "w".parse().unwrap(),
        mode: Mode::Rw,
        subpath: None,
        renewable: false,
        iat: START / 1000,
        exp: START / 1000 + 60,
    }
}

fn ticket_of(claims: &TicketClaims) -> Opening {
    // The key that `context` signs with.
    Opening::Ticket { token: sign(claims, "k", &SigningKey::from_bytes(&[1; 32])) }
}

fn ticket(number: u128) -> Opening {
    ticket_of(&claims(number))
}

fn resume(opened: &Opened) -> Opening {
    Opening::Resume { session: opened.welcome.session, secret: opened.welcome.secret.clone() }
}

#[tokio::test]
async fn a_ticket_has_one_live_session() {
    let lab = Lab::new().await;
    let (first, _frames) = lab.open(ticket(1)).await.unwrap();
    assert_eq!(lab.refusal(ticket(1)).await.code, ErrorCode::TicketInUse);
    lab.open(ticket(2)).await.unwrap();
    let goodbye = first.handle.actor.call(SessionMessage::Goodbye, None).await;
    goodbye.unwrap().unwrap();
    lab.open(ticket(1)).await.unwrap();
    assert_eq!(lab.refusal(resume(&first)).await.code, ErrorCode::SessionNotFound, "it ended in good order");
}

#[tokio::test]
async fn of_many_who_open_on_one_ticket_at_once_one_gets_it_and_others_do_not_wait_for_it() {
    let lab = Lab::new().await;
    let contenders = (0..8).map(|_| lab.open(ticket(5)));
    let opened: Vec<_> = futures_util::future::join_all(contenders).await;
    let refusals: Vec<ErrorCode> = opened.iter().filter_map(|opened| Some(opened.as_ref().err()?.code)).collect();
    assert_eq!(refusals, [ErrorCode::TicketInUse; 7]);
    // Whoever is at it holds up those with its ticket, or one of the few that share its lane.
    let _turn = lab.sessions.0.opening.of(TicketId::from_bits(6).bits()).await;
    assert!(lab.open(ticket(7)).await.is_ok());
}

#[tokio::test]
async fn a_lapsed_session_makes_way_for_good_but_comes_back_if_nobody_took_its_place() {
    let lab = Lab::new().await;
    let (first, _frames) = lab.open(ticket(1)).await.unwrap();
    let id = first.welcome.session;
    let lapsed = |sessions: &Sessions| sessions.get(id).is_some_and(|status| status.phase == Phase::Lapsed);
    lab.pass(2_000, lapsed).await;
    lab.open(resume(&first)).await.unwrap();
    lab.pass(0, |sessions| sessions.get(id).is_some_and(|status| status.phase == Phase::Live)).await;
    lab.pass(2_000, lapsed).await;
    let (second, _frames) = lab.open(ticket(1)).await.unwrap();
    assert_ne!(second.welcome.session, id);
    assert_eq!(lab.refusal(resume(&first)).await.fenced, Some(FenceReason::LeaseLost));
}

#[tokio::test]
async fn a_fence_reaches_the_mount_and_nothing_is_accepted_after_it() {
    let lab = Lab::new().await;
    let (opened, mut frames) = lab.open(ticket(1)).await.unwrap();
    let (other, _other_frames) = lab.open(ticket(2)).await.unwrap();
    let id = opened.welcome.session;
    let report = lab.sessions.fence(|record| record.id == id, FenceReason::Revoked, Duration::ZERO).await;
    assert_eq!(report, FenceReport { matched: 1, fenced: 1, confirmed: 0 });
    assert_eq!(frames.recv().await, Some(ServerFrame::Fenced(FenceReason::Revoked)));
    assert!(lab.sessions.get(id).is_none());
    assert!(lab.sessions.authenticate(id, &opened.welcome.secret).is_none());
    assert_eq!(lab.refusal(resume(&opened)).await.fenced, Some(FenceReason::Revoked));
    assert!(other.handle.shared.accepts());
    let again = lab.sessions.fence(|record| record.id == id, FenceReason::Revoked, Duration::ZERO).await;
    assert_eq!(again, FenceReport::default());
}

#[tokio::test]
async fn a_fence_waits_for_the_mount_to_confirm() {
    let lab = Lab::new().await;
    let (opened, mut frames) = lab.open(ticket(1)).await.unwrap();
    let actor = opened.handle.actor.clone();
    tokio::spawn(async move {
        while let Some(frame) = frames.recv().await {
            if matches!(frame, ServerFrame::Fenced(_)) {
                actor.cast(SessionMessage::Confirmed).unwrap();
            }
        }
    });
    let report = lab.sessions.fence(|_| true, FenceReason::Revoked, Duration::from_secs(5)).await;
    assert_eq!(report, FenceReport { matched: 1, fenced: 1, confirmed: 1 });
}

#[tokio::test]
async fn a_session_outlives_its_node_and_a_fence_does_too() {
    let mut lab = Lab::new().await;
    let (kept, _frames) = lab.open(ticket(1)).await.unwrap();
    let (fenced, _frames) = lab.open(ticket(2)).await.unwrap();
    let id = fenced.welcome.session;
    lab.sessions.fence(|record| record.id == id, FenceReason::Revoked, Duration::ZERO).await;
    lab.restart().await;
    let (again, _frames) = lab.open(resume(&kept)).await.unwrap();
    assert_eq!(again.welcome.session, kept.welcome.session);
    assert_ne!(again.welcome.inodes, kept.welcome.inodes, "inode numbers are never leased twice");
    assert_eq!(lab.refusal(resume(&fenced)).await.fenced, Some(FenceReason::Revoked));
    assert_eq!(lab.refusal(ticket(1)).await.code, ErrorCode::TicketInUse);
}

#[tokio::test]
async fn a_session_ends_with_its_ticket_unless_that_is_renewable() {
    let lab = Lab::new().await;
    let (ends, _frames) = lab.open(ticket(1)).await.unwrap();
    let (goes_on, _frames) = lab.open(ticket_of(&TicketClaims { renewable: true, ..claims(2) })).await.unwrap();
    assert_eq!(ends.welcome.expires_in_ms, Some(60_000));
    let id = ends.welcome.session;
    lab.pass(60_000, |sessions| sessions.get(id).is_none()).await;
    assert_eq!(lab.refusal(resume(&ends)).await.fenced, Some(FenceReason::Expired));
    lab.open(resume(&goes_on)).await.unwrap();
}

#[tokio::test]
async fn what_does_not_stand_opens_nothing() {
    let lab = Lab::new().await;
    let claims = claims(1);
    let cases = [
        ("another workspace than the grant's", TicketClaims { workspace: WorkspaceId::from_bits(9), ..claims.clone() }),
        ("another account", TicketClaims { account: AccountId::from_bits(9), ..claims.clone() }),
        ("another tenant", TicketClaims { tenant: "u".parse().unwrap(), ..claims.clone() }),
        ("another runtime", TicketClaims { runtime: "s".parse().unwrap(), ..claims.clone() }),
        ("an unknown grant", TicketClaims { grant: GrantId::from_bits(9), ..claims.clone() }),
        ("past its time", TicketClaims { exp: START / 1000, ..claims.clone() }),
    ];
    for (what, claims) in cases {
        assert_eq!(lab.refusal(ticket_of(&claims)).await.code, ErrorCode::Unauthorized, "{what}");
    }
    let (opened, _frames) = lab.open(ticket(1)).await.unwrap();
    let wrong = Opening::Resume { session: opened.welcome.session, secret: "wrong".into() };
    assert_eq!(lab.refusal(wrong).await.code, ErrorCode::SessionNotFound);
    let unknown = Opening::ApiKey { key: "tbo_x".into(), workspace: "w".parse().unwrap(), mode: Mode::Rw, subpath: None };
    assert_eq!(lab.refusal(unknown).await.code, ErrorCode::Unauthorized);
    assert_eq!(lab.sessions.list().len(), 1, "no refusal left a session behind");
}

#[tokio::test]
async fn a_revocation_that_races_with_the_opening_wins() {
    let lab = Lab::new().await;
    // The grant's record still stands when it is read; the register knows better by the time the session is open.
    lab.context.revocations.write().admit(grant_revoked());
    assert_eq!(lab.refusal(ticket(1)).await.fenced, Some(FenceReason::Revoked));
    assert!(lab.sessions.list().is_empty());
}

#[tokio::test]
async fn a_subpath_is_made_and_confines() {
    let lab = Lab::new().await;
    let claims = TicketClaims { subpath: Some("a/b".parse().unwrap()), ..claims(1) };
    let (opened, _frames) = lab.open(ticket_of(&claims)).await.unwrap();
    let (again, _frames) = lab.open(ticket_of(&TicketClaims { jti: TicketId::from_bits(2), ..claims })).await.unwrap();
    assert_eq!(opened.welcome.root, again.welcome.root);
    assert_ne!(opened.welcome.root, artifacts_core::namespace::Ino::ROOT);
}

#[tokio::test]
async fn an_unknown_version_is_told_which_ones_there_are() {
    let lab = Lab::new().await;
    let hello = Hello { protocol: VersionRange { min: 7, max: 9 }, agent: "a".into(), host: "h".into(), opening: ticket(1) };
    let (outbound, _frames) = mpsc::unbounded_channel();
    let connection = Connection { id: 1, outbound, end: Shutdown::new() };
    let refusal = lab.sessions.open(VersionRange::OURS, &hello, SocketAddr::from(([127, 0, 0, 1], 9)), connection).await.err().unwrap();
    assert_eq!(refusal.code, ErrorCode::UnsupportedVersion);
    assert!(refusal.message.contains("3 to 3"), "{}", refusal.message);
}

/// The kinds of the entries in the account's trail, once there are as many.
async fn trail(lab: &Lab, count: usize) -> Vec<AuditEvent> {
    let account = AccountId::from_bits(1);
    let mut poll = tokio::time::interval(Duration::from_millis(10));
    for _ in 0..1_000 {
        poll.tick().await;
        let settled = lab.context.audit.settled(&lab.context, account).await.unwrap();
        let part = lab.context.catalog.audit(account, 0, settled, 100, |_| true).await.unwrap();
        if part.events.len() >= count {
            return part.events.into_iter().map(|(_, event)| event).collect();
        }
    }
    panic!("the trail does not grow");
}

#[tokio::test]
async fn whoever_mounts_and_how_that_ends_is_in_the_trail_once() {
    let mut lab = Lab::new().await;
    let (opened, _frames) = lab.open(ticket(1)).await.unwrap();
    let events = trail(&lab, 1).await;
    assert_eq!((events[0].kind, events[0].session_id), (AuditKind::SessionOpened, Some(opened.welcome.session)));
    assert_eq!(events[0].by, By::Ticket { ticket_id: TicketId::from_bits(1) });
    assert_eq!((events[0].host.as_deref(), events[0].remote_addr.as_deref()), (Some("here"), Some("127.0.0.1:9")));
    lab.sessions.fence(|_| true, FenceReason::Revoked, Duration::ZERO).await;
    let events = trail(&lab, 2).await;
    assert_eq!((events[1].kind, events[1].reason.as_deref()), (AuditKind::SessionFenced, Some("revoked")));
    let (other, _frames) = lab.open(ticket(2)).await.unwrap();
    other.handle.actor.call(SessionMessage::Goodbye, None).await.unwrap();
    let events = trail(&lab, 4).await;
    assert_eq!(events[3].kind, AuditKind::SessionEnded);
    // What had been passed on and not yet dropped is passed on again.
    for event in &events {
        lab.context.audit.take(&lab.context, AccountId::from_bits(1), std::slice::from_ref(event)).await.unwrap();
    }
    lab.restart().await;
    assert_eq!(trail(&lab, 4).await.len(), 4);
}

/// What the trail says of mounts that are out, once there are as many: how that is known, after how long, and what was revoked.
async fn outs(lab: &Lab, count: usize) -> Vec<(SessionId, Out, u64, Option<Revoked>)> {
    let account = AccountId::from_bits(1);
    let mut poll = tokio::time::interval(Duration::from_millis(10));
    for _ in 0..1_000 {
        poll.tick().await;
        let settled = lab.context.audit.settled(&lab.context, account).await.unwrap();
        let is_out = |event: &AuditEvent| event.kind == AuditKind::SessionOut;
        let part = lab.context.catalog.audit(account, 0, settled, 100, is_out).await.unwrap();
        if part.events.len() >= count {
            let told = |event: AuditEvent| (event.session_id.unwrap(), event.how.unwrap(), event.after_ms.unwrap(), event.revoked);
            return part.events.into_iter().map(|(_, event)| told(event)).collect();
        }
    }
    panic!("no more mounts are out");
}

fn grant_revoked() -> RevocationRecord {
    RevocationRecord {
        id: RevocationId::from_bits(1),
        account: AccountId::from_bits(1),
        target: Target::Grant(GrantId::from_bits(3)),
        revoked_at: Timestamp::from_unix_ms(START),
    }
}

#[tokio::test]
async fn mounts_go_out_one_by_one_each_in_its_own_way() {
    let lab = Lab::new().await;
    let (confirms, _frames) = lab.open(ticket(1)).await.unwrap();
    let (silent, _silent_frames) = lab.open(ticket(2)).await.unwrap();
    let [first, second] = [&confirms, &silent].map(|opened| opened.welcome.session);
    lab.clock.0.fetch_add(300, Ordering::Relaxed);
    silent.handle.shared.hear(300);
    lab.context.revocations.write().admit(grant_revoked());
    lab.sessions.fence(|_| true, FenceReason::Revoked, Duration::ZERO).await;
    lab.clock.0.fetch_add(40, Ordering::Relaxed);
    confirms.handle.actor.cast(SessionMessage::Confirmed).unwrap();
    assert_eq!(outs(&lab, 1).await, [(first, Out::Confirmed, 340, Some(Revoked::Grant))]);
    // A lease from when it was heard last, however long the clock takes to be looked at.
    lab.clock.0.fetch_add(9_000, Ordering::Relaxed);
    let told = outs(&lab, 2).await;
    assert_eq!((told[1].0, told[1].1, told[1].2), (second, Out::LeaseEnded, 2_300));
    let events = trail(&lab, 6).await;
    let of = |session| events.iter().filter(|event| event.session_id == Some(session)).map(|event| event.kind).collect::<Vec<_>>();
    for session in [first, second] {
        assert_eq!(of(session), [AuditKind::SessionOpened, AuditKind::SessionFenced, AuditKind::SessionOut]);
    }
    let fenced = events.iter().find(|event| event.kind == AuditKind::SessionFenced).unwrap();
    assert_eq!((fenced.after_ms, fenced.revoked, fenced.how), (Some(300), Some(Revoked::Grant), None));
}

#[tokio::test]
async fn a_mount_is_out_once_also_if_its_node_dies_before() {
    let mut lab = Lab::new().await;
    let (opened, _frames) = lab.open(ticket(1)).await.unwrap();
    let id = opened.welcome.session;
    lab.sessions.fence(|_| true, FenceReason::LeaseLost, Duration::ZERO).await;
    lab.clock.0.fetch_add(500, Ordering::Relaxed);
    lab.restart().await;
    assert_eq!(trail(&lab, 2).await.len(), 2, "nobody knows yet");
    assert_eq!(lab.refusal(resume(&opened)).await.fenced, Some(FenceReason::LeaseLost));
    lab.clock.0.fetch_add(7_000, Ordering::Relaxed);
    assert_eq!(outs(&lab, 1).await, [(id, Out::LeaseEnded, 2_000, None)], "a lease after the fence, not after the restart");
    lab.restart().await;
    lab.clock.0.fetch_add(7_000, Ordering::Relaxed);
    // A second session's entries come behind whatever is left of the first.
    let (other, _frames) = lab.open(ticket(2)).await.unwrap();
    other.handle.actor.call(SessionMessage::Goodbye, None).await.unwrap();
    assert_eq!(trail(&lab, 5).await.iter().filter(|event| event.kind == AuditKind::SessionOut).count(), 1);
}

/// What is over and still going, found beside a session that the same ticket has opened since, would let a third one in.
#[tokio::test]
async fn a_ticket_is_in_use_after_a_restart_also_if_its_session_before_has_only_just_ended() {
    let mut lab = Lab::new().await;
    // They are found in the order of their random ids.
    for number in 0..8 {
        lab.open(ticket(number)).await.unwrap();
    }
    lab.sessions.fence(|_| true, FenceReason::LeaseLost, Duration::ZERO).await;
    for number in 0..8 {
        lab.open(ticket(number)).await.unwrap();
    }
    lab.restart().await;
    for number in 0..8 {
        assert_eq!(lab.refusal(ticket(number)).await.code, ErrorCode::TicketInUse);
    }
}

/// A revoke call waited its whole time for mounts that had no stream to confirm over.
#[tokio::test]
async fn nobody_waits_for_a_mount_that_cannot_confirm() {
    let lab = Lab::new().await;
    let (opened, _frames) = lab.open(ticket(1)).await.unwrap();
    opened.handle.actor.cast(SessionMessage::DropConnection).unwrap();
    let fencing = lab.sessions.fence(|_| true, FenceReason::Revoked, Duration::from_secs(600));
    let report = tokio::time::timeout(Duration::from_secs(60), fencing).await.expect("an answer at once");
    assert_eq!(report, FenceReport { matched: 1, fenced: 1, confirmed: 0 });
}

#[tokio::test]
async fn a_session_of_an_earlier_generation_is_not_opened_nor_resumed() {
    let lab = Lab::new().await;
    let (opened, _frames) = lab.open(ticket(1)).await.unwrap();
    let everything = RevocationRecord {
        id: RevocationId::from_bits(1),
        account: AccountId::from_bits(1),
        target: Target::Account(Issue { account: AccountId::from_bits(1), generation: 0 }),
        revoked_at: Timestamp::from_unix_ms(START),
    };
    lab.context.revocations.write().admit(everything);
    assert_eq!(lab.refusal(ticket(2)).await.fenced, Some(FenceReason::Revoked));
    assert!(lab.refusal(resume(&opened)).await.fenced.is_some());
}
