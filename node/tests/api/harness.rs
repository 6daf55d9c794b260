//! A node's API without a network: requests go straight into the router.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use artifacts_core::cluster::ShardMap;
use artifacts_core::namespace::{Ino, Usage};
use artifacts_core::protocol::FenceReason;
use artifacts_core::revocation::Target;
use artifacts_core::session::{InodeRanges, Phase};
use artifacts_core::ticket::Mode;
use artifacts_core::{SessionId, Timestamp, WorkspaceId};
use artifacts_node::api::{self, ApiState};
use artifacts_node::blob::MemoryBlobs;
use artifacts_node::catalog::Catalog;
use artifacts_node::config::NodeConfig;
use artifacts_node::context::{Context, SharedContext};
use artifacts_node::control::{Control, DataPlane, hits};
use artifacts_node::locks::Locks;
use artifacts_node::random::{SharedEntropy, SystemEntropy};
use artifacts_node::records::{AccountRecord, Quotas, SessionRecord, SessionRight, WorkspaceRecord};
use artifacts_node::sessions::{CheckFinding, CheckOptions, CheckReport, FenceReport, SessionStatus, Storage};
use artifacts_node::store::fault::FaultPlan;
use artifacts_node::store::{FaultyStore, MemoryStore, StoreError};
use artifacts_node::time::Clock;
use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderMap, Request, StatusCode};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

/// A clock that the test moves.
pub(crate) struct ManualClock(AtomicU64);

impl ManualClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_millis() as u64, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.0.load(Ordering::SeqCst))
    }

    fn monotonic_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Sessions that the test plants; every mount confirms at once.
#[derive(Clone, Default)]
pub(crate) struct FakeDataPlane(Arc<FakeState>);

#[derive(Default)]
struct FakeState {
    sessions: Mutex<Vec<SessionStatus>>,
    fences: Mutex<Vec<(BTreeSet<Target>, FenceReason, Duration)>>,
    destroyed: Mutex<Vec<WorkspaceId>>,
    quotas: Mutex<Vec<(WorkspaceId, Quotas)>>,
    /// Of what, and as what.
    copies: Mutex<Vec<(WorkspaceId, WorkspaceId)>>,
    drawn: AtomicU64,
    uncopyable: AtomicBool,
    /// While held, nothing is copied.
    copying: tokio::sync::Mutex<()>,
    /// While held, nothing is destroyed.
    destruction: tokio::sync::Mutex<()>,
    /// While held, nothing is fenced.
    fencing: tokio::sync::Mutex<()>,
    broken: AtomicBool,
}

impl DataPlane for FakeDataPlane {
    fn fence(&self, targets: BTreeSet<Target>, reason: FenceReason, wait: Duration) -> BoxFuture<'_, FenceReport> {
        async move {
            let _held = self.0.fencing.lock().await;
            let mut sessions = self.0.sessions.lock();
            let before = sessions.len();
            sessions.retain(|session| !hits(&targets, &session.record));
            let matched = (before - sessions.len()) as u64;
            self.0.fences.lock().push((targets, reason, wait));
            FenceReport { matched, fenced: matched, confirmed: matched }
        }
        .boxed()
    }

    fn sessions<'a>(&'a self, account: Option<&'a AccountRecord>) -> BoxFuture<'a, Result<Vec<SessionStatus>, StoreError>> {
        let mut sessions = self.0.sessions.lock().clone();
        sessions.retain(|session| account.is_none_or(|account| session.record.account == account.id));
        ready(Ok(sessions)).boxed()
    }

    fn session(&self, id: SessionId) -> BoxFuture<'_, Result<Option<SessionStatus>, StoreError>> {
        let found = self.0.sessions.lock().iter().find(|session| session.record.id == id).cloned();
        ready(Ok(found)).boxed()
    }

    fn format<'a>(&'a self, _: &'a WorkspaceRecord) -> BoxFuture<'a, Result<(), StoreError>> {
        ready(Ok(())).boxed()
    }

    fn set_quotas<'a>(&'a self, workspace: &'a WorkspaceRecord) -> BoxFuture<'a, Result<(), StoreError>> {
        self.0.quotas.lock().push((workspace.id, workspace.quotas()));
        ready(Ok(())).boxed()
    }

    fn id_beside<'a>(&'a self, workspace: &'a WorkspaceRecord) -> BoxFuture<'a, Result<WorkspaceId, StoreError>> {
        let drawn = 1 + u128::from(self.0.drawn.fetch_add(1, Ordering::SeqCst));
        ready(Ok(WorkspaceId::from_bits(workspace.id.bits().wrapping_add(drawn)))).boxed()
    }

    fn copy<'a>(&'a self, source: &'a WorkspaceRecord, copy: &'a WorkspaceRecord) -> BoxFuture<'a, Result<(), StoreError>> {
        if self.0.uncopyable.load(Ordering::SeqCst) {
            return ready(Err(StoreError::Unavailable { reason: "planted".to_owned() })).boxed();
        }
        async move {
            let _held = self.0.copying.lock().await;
            self.0.copies.lock().push((source.id, copy.id));
            Ok(())
        }
        .boxed()
    }

    fn usage<'a>(&'a self, _: &'a WorkspaceRecord) -> BoxFuture<'a, Result<Usage, StoreError>> {
        assert!(!self.0.broken.load(Ordering::SeqCst), "planted");
        ready(Ok(Usage { bytes: 42, inodes: 7 })).boxed()
    }

    fn storage<'a>(&'a self, _: &'a WorkspaceRecord) -> BoxFuture<'a, Result<Storage, StoreError>> {
        let usage = Usage { bytes: 42, inodes: 7 };
        ready(Ok(Storage { usage, inline_bytes: 2, segments: 3, stored_bytes: 80, live_bytes: 40, dead_segments: 1 })).boxed()
    }

    fn check<'a>(&'a self, _: &'a WorkspaceRecord, options: CheckOptions) -> BoxFuture<'a, Result<CheckReport, StoreError>> {
        let finding = |text: &str, repairable| CheckFinding { text: text.to_owned(), repairable, repaired: repairable && options.repair };
        let findings = vec![finding("usage: recorded 1, counted 2", true), finding("a name is lost", false)];
        let verified_bytes = if options.data { 42 } else { 0 };
        ready(Ok(CheckReport { findings, inodes: 7, bytes: 42, segments: 3, objects: 3, verified_bytes, ..CheckReport::default() })).boxed()
    }

    fn destroy<'a>(&'a self, workspace: &'a WorkspaceRecord) -> BoxFuture<'a, Result<(), StoreError>> {
        async move {
            let _held = self.0.destruction.lock().await;
            self.0.destroyed.lock().push(workspace.id);
            Ok(())
        }
        .boxed()
    }
}

impl FakeDataPlane {
    pub(crate) fn plant(&self, record: SessionRecord) {
        let (phase, last_heard_at) = (record.phase, record.opened_at);
        self.0.sessions.lock().push(SessionStatus { record, phase, connected: true, last_heard_at });
    }

    pub(crate) fn last_fence(&self) -> (BTreeSet<Target>, FenceReason, Duration) {
        self.0.fences.lock().last().cloned().expect("something was fenced")
    }

    /// The quotas that it was told last.
    pub(crate) fn last_quotas(&self) -> Quotas {
        self.0.quotas.lock().last().expect("some were told").1
    }

    /// What was copied, and as what.
    pub(crate) fn copies(&self) -> Vec<(WorkspaceId, WorkspaceId)> {
        self.0.copies.lock().clone()
    }

    /// Nothing is copied until the guard is dropped.
    pub(crate) async fn hold_copying(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.0.copying.lock().await
    }

    /// From now on nothing can be copied, or again.
    pub(crate) fn set_uncopyable(&self, is: bool) {
        self.0.uncopyable.store(is, Ordering::SeqCst);
    }

    pub(crate) fn destroyed(&self) -> Vec<WorkspaceId> {
        self.0.destroyed.lock().clone()
    }

    /// Nothing is fenced until the guard is dropped.
    pub(crate) async fn hold_fencing(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.0.fencing.lock().await
    }

    /// From now on asking for usage panics.
    pub(crate) fn break_usage(&self) {
        self.0.broken.store(true, Ordering::SeqCst);
    }

    /// Nothing is destroyed until the guard is dropped.
    pub(crate) async fn hold_destruction(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.0.destruction.lock().await
    }
}

/// A node's API.
pub(crate) struct TestNode {
    pub(crate) context: SharedContext,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) data_plane: FakeDataPlane,
    pub(crate) store: Arc<MemoryStore>,
    /// What stands between the node and its store.
    pub(crate) faults: Arc<FaultyStore>,
    pub(crate) control: Control,
    pub(crate) data: Arc<TempDir>,
    router: Router,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) body: Value,
}

impl Answer {
    /// Checks the status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }

    /// Checks that it is an error of the contract's form.
    #[track_caller]
    pub(crate) fn expect_error(self, status: u16, code: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.body["code"], code, "{}", answer.text);
        assert!(answer.body["message"].as_str().is_some_and(|message| message.len() > 5), "{}", answer.text);
        assert_eq!(answer.body["request_id"].as_str(), Some(answer.header("x-request-id")), "{}", answer.text);
        answer
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    pub(crate) fn str(&self, field: &str) -> String {
        self.body[field].as_str().unwrap_or_else(|| panic!("no `{field}` in {}", self.text)).to_owned()
    }
}

/// A request under construction.
pub(crate) struct Call<'a> {
    node: &'a TestNode,
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Option<String>,
}

impl Call<'_> {
    pub(crate) fn bearer(self, secret: &str) -> Self {
        self.header("authorization", format!("Bearer {secret}"))
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn json(self, body: Value) -> Self {
        self.raw("application/json", body.to_string())
    }

    pub(crate) fn raw(mut self, content_type: &str, body: impl Into<String>) -> Self {
        self.body = Some(body.into());
        self.header("content-type", content_type)
    }

    /// The status and the body as it comes.
    pub(crate) async fn open(self) -> (StatusCode, BodyDataStream) {
        let router = self.node.router.clone();
        let (parts, body) = router.oneshot(self.request()).await.unwrap().into_parts();
        (parts.status, body.into_data_stream())
    }

    pub(crate) async fn send(self) -> Answer {
        let router = self.node.router.clone();
        let (parts, body) = router.oneshot(self.request()).await.unwrap().into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status: parts.status, headers: parts.headers, text, body }
    }

    fn request(self) -> Request<Body> {
        let mut request = Request::builder().method(self.method).uri(&self.path);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        request.body(self.body.map_or_else(Body::empty, Body::from)).unwrap()
    }
}

/// An account with its first API key.
#[derive(Clone)]
pub(crate) struct Owner {
    pub(crate) handle: String,
    pub(crate) key: String,
    pub(crate) key_id: String,
}

impl TestNode {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(configure: impl FnOnce(&mut NodeConfig)) -> Self {
        let data = Arc::new(tempfile::tempdir().unwrap());
        let clock = Arc::new(ManualClock(AtomicU64::new(1_700_000_000_000)));
        Self::over(data, clock, Arc::new(MemoryStore::sharded(ShardMap::new(16).unwrap())), FakeDataPlane::default(), configure).await
    }

    /// The node after a crash: only what was durable is there.
    pub(crate) async fn crash(self) -> Self {
        self.control.stop().await;
        self.control.locks().stop().await;
        let store = Arc::new(self.store.crash());
        Self::over(self.data, self.clock, store, self.data_plane, |_| {}).await
    }

    async fn over(
        data: Arc<TempDir>,
        clock: Arc<ManualClock>,
        store: Arc<MemoryStore>,
        data_plane: FakeDataPlane,
        configure: impl FnOnce(&mut NodeConfig),
    ) -> Self {
        let mut config = NodeConfig { data: data.path().to_owned(), rate_limit: 0, ..NodeConfig::default() };
        configure(&mut config);
        let entropy: SharedEntropy = Arc::new(SystemEntropy);
        let faults = Arc::new(FaultyStore::new(store.clone(), FaultPlan::new(0)));
        let context = Arc::new(Context {
            config,
            clock: clock.clone(),
            entropy,
            catalog: Catalog::new(faults.clone()),
            store: faults.clone(),
            blobs: Arc::new(MemoryBlobs::default()),
            key_ring: Arc::default(),
            revocations: Arc::default(),
            log: parking_lot::Mutex::default(),
            audit: artifacts_node::audit::Trail::default(),
            data_keys: Arc::default(),
            admin_token_hash: Arc::default(),
            is_home: true,
            endpoints: Arc::new(parking_lot::RwLock::new(vec!["https://node.test".to_owned()])),
            peers: Arc::default(),
            regions: artifacts_core::cluster::Regions::one("local"),
            abroad: Arc::default(),
            homes: Default::default(),
        });
        Control::load(&context).await.unwrap();
        let locks = Locks::start(context.clone(), Arc::new(|_| false), |_| {}).await.unwrap();
        let control = Control::start(context.clone(), data_plane.clone(), locks).await.unwrap();
        let router = api::router(ApiState::new(control.clone()));
        Self { context, clock, data_plane, store, faults, control, data, router }
    }

    pub(crate) fn call(&self, method: &'static str, path: impl Into<String>) -> Call<'_> {
        Call { node: self, method, path: path.into(), headers: Vec::new(), body: None }
    }

    pub(crate) fn get(&self, path: impl Into<String>, key: &str) -> Call<'_> {
        self.call("GET", path).bearer(key)
    }

    pub(crate) fn delete(&self, path: impl Into<String>, key: &str) -> Call<'_> {
        self.call("DELETE", path).bearer(key)
    }

    pub(crate) fn post(&self, path: impl Into<String>, key: &str, body: Value) -> Call<'_> {
        self.call("POST", path).bearer(key).json(body)
    }

    pub(crate) fn admin_token(&self) -> String {
        std::fs::read_to_string(self.data.path().join("admin-token")).unwrap().trim().to_owned()
    }

    pub(crate) async fn account(&self, handle: &str) -> Owner {
        let answer = self.post("/v1/accounts", &self.admin_token(), json!({ "handle": handle })).send().await.expect(201);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Owner { handle: handle.to_owned(), key: text(&answer.body["api_key"]["key"]), key_id: text(&answer.body["api_key"]["id"]) }
    }

    pub(crate) async fn workspace(&self, owner: &Owner, name: &str) -> Answer {
        self.post("/v1/workspaces", &owner.key, json!({ "name": name })).send().await.expect(201)
    }

    pub(crate) async fn tenant(&self, owner: &Owner, slug: &str) -> Answer {
        self.post("/v1/tenants", &owner.key, json!({ "slug": slug })).send().await.expect(201)
    }

    pub(crate) async fn grant(&self, owner: &Owner, workspace: &str, body: Value) -> String {
        let path = format!("/v1/workspaces/{}/{workspace}/grants", owner.handle);
        self.post(path, &owner.key, body).send().await.expect(201).str("id")
    }

    /// A key with a scope and maybe a life.
    pub(crate) async fn key(&self, owner: &Owner, body: Value) -> String {
        self.post("/v1/api-keys", &owner.key, body).send().await.expect(201).str("key")
    }

    pub(crate) async fn ticket(&self, owner: &Owner, tenant: &str, runtime: &str, workspace: &str, ttl_seconds: u64) -> Value {
        let path = format!("/v1/tenants/{tenant}/runtimes/{runtime}/mount-tickets");
        let body = json!({ "workspace": workspace, "mode": "rw", "ttl_seconds": ttl_seconds });
        self.post(path, &owner.key, body).send().await.expect(201).body["mount_ticket"].clone()
    }

    /// Plants the session that a mount with this ticket would open.
    pub(crate) fn mount(&self, ticket: &Value) -> SessionId {
        let token = ticket["token"].as_str().unwrap();
        let claims = artifacts_core::ticket::verify(token, &self.context.verifying_keys(), self.context.clock.wall()).unwrap();
        let id = self.context.entropy.id();
        let right = SessionRight::Ticket { ticket: claims.jti, grant: claims.grant, tenant: claims.tenant, runtime: claims.runtime };
        let mut record = session(id, claims.account, claims.workspace, right, self.context.clock.wall());
        record.workspace_name = format!("{}/{}", claims.handle, claims.name);
        self.data_plane.plant(record);
        id
    }

    /// Plants the session that a mount with this API key would open.
    pub(crate) async fn mount_with_key(&self, owner: &Owner, key: &str, workspace: &str) -> SessionId {
        let key = self.context.catalog.key_by_secret(key).await.unwrap().unwrap();
        let record = self.context.catalog.workspace_by_name(key.account, &workspace.parse().unwrap(), None).await.unwrap().unwrap();
        let id = self.context.entropy.id();
        let mut session = session(id, key.account, record.id, SessionRight::Key { key: key.id }, self.context.clock.wall());
        session.workspace_name = format!("{}/{workspace}", owner.handle);
        self.data_plane.plant(session);
        id
    }
}

fn session(
    id: SessionId,
    account: artifacts_core::AccountId,
    workspace: WorkspaceId,
    right: SessionRight,
    now: Timestamp,
) -> SessionRecord {
    SessionRecord {
        id,
        account,
        account_region: None,
        workspace,
        workspace_name: String::new(),
        right,
        generation: 0,
        mode: Mode::Rw,
        root: Ino::ROOT,
        secret_hash: [0; 32],
        agent: "artifacts/0.1.0".to_owned(),
        host: "vm-1".to_owned(),
        remote_addr: "192.0.2.1:5000".to_owned(),
        opened_at: now,
        expires_at: None,
        ended_at: None,
        is_going: false,
        phase: Phase::Live,
        inodes: InodeRanges::default(),
    }
}

/// Waits until a condition holds that a task in the background brings about.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let mut ticks = tokio::time::interval(Duration::from_millis(2));
    for _ in 0..5_000 {
        ticks.tick().await;
        if condition().await {
            return;
        }
    }
    panic!("never: {what}");
}
