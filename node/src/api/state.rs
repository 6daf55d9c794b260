use std::sync::Arc;

use artifacts_core::AccountId;
use artifacts_core::cluster::Shard;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::Semaphore;

use super::caller::Caller;
use super::cells::CellSight;
use super::change::MOST_CHANGES;
use super::elsewhere::Elsewhere;
use super::idempotency::Idempotency;
use super::monitoring;
use super::rate_limit::RateLimits;
use super::shell::Surroundings;
use crate::audit::By;
use crate::context::SharedContext;
use crate::control::Control;
use crate::files::Files;
use crate::ring::Ring;

/// What the handlers need. Cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    inner: Arc<Inner>,
}

struct Inner {
    control: Control,
    ring: Option<Ring>,
    elsewhere: Option<Arc<dyn Elsewhere>>,
    cells: Option<Arc<dyn CellSight>>,
    files: Option<Files>,
    operator: AccountId,
    idempotency: Arc<Idempotency>,
    rate_limits: RateLimits,
    prometheus: PrometheusHandle,
    changes: Arc<Semaphore>,
    waits: Semaphore,
    streams: Arc<Semaphore>,
}

/// So many requests may wait for locks at once.
const MOST_WAITS: usize = 4_096;
/// So many streams of events may be open at once.
const MOST_STREAMS: usize = 1_024;

impl ApiState {
    /// The state of an API over this control plane. Must be called within a runtime: answers that have run out are
    /// removed in the background for as long as the state lives.
    pub fn new(control: Control) -> Self {
        Self::with(control, None, None, None, None, AccountId::from_bits(0))
    }

    /// As [`ApiState::new`], with the files of these workspaces, for a node that may have others around it.
    pub fn in_ring(control: Control, files: Files, ring: Option<Ring>) -> Self {
        Self::with(control, Some(files), ring, None, None, AccountId::from_bits(0))
    }

    /// As [`ApiState::new`], for the accounts of one shard, whose workspaces may be elsewhere.
    pub(crate) fn of_shard(control: Control, files: Files, shard: Shard, elsewhere: Arc<dyn Elsewhere>, cells: Arc<dyn CellSight>) -> Self {
        let map = control.context().store.shards();
        let operator = (0..).map(AccountId::from_bits).find(|id| map.of(*id) == shard);
        Self::with(control, Some(files), None, Some(elsewhere), Some(cells), operator.unwrap_or(AccountId::from_bits(0)))
    }

    fn with(
        control: Control,
        files: Option<Files>,
        ring: Option<Ring>,
        elsewhere: Option<Arc<dyn Elsewhere>>,
        cells: Option<Arc<dyn CellSight>>,
        operator: AccountId,
    ) -> Self {
        let idempotency = Idempotency::start(control.context().clone());
        let prometheus = monitoring::install();
        let changes = Arc::new(Semaphore::new(MOST_CHANGES));
        let (waits, streams) = (Semaphore::new(MOST_WAITS), Arc::new(Semaphore::new(MOST_STREAMS)));
        let inner = Arc::new(Inner {
            control,
            ring,
            elsewhere,
            cells,
            files,
            operator,
            idempotency,
            rate_limits: RateLimits::default(),
            prometheus,
            changes,
            waits,
            streams,
        });
        let alive = Arc::downgrade(&inner);
        tokio::spawn(monitoring::upkeep(inner.prometheus.clone(), move || alive.strong_count() > 0));
        Self { inner }
    }

    pub(super) fn control(&self) -> &Control {
        &self.inner.control
    }

    /// The control plane, for what a caller changes: it is put down to the caller's key.
    pub(super) fn control_for(&self, caller: &Caller) -> Control {
        self.inner.control.by(By::ApiKey { key_id: caller.key().id })
    }

    pub(super) fn ring(&self) -> Option<&Ring> {
        self.inner.ring.as_ref()
    }

    pub(super) fn surroundings(&self) -> Surroundings {
        (self.context().clock.clone(), self.context().entropy.clone())
    }

    pub(super) fn elsewhere(&self) -> Option<&Arc<dyn Elsewhere>> {
        self.inner.elsewhere.as_ref()
    }

    /// The cells of hosts; absent where the node is alone.
    pub(super) fn cells(&self) -> Option<&Arc<dyn CellSight>> {
        self.inner.cells.as_ref()
    }

    pub(super) fn files_here(&self) -> Option<&Files> {
        self.inner.files.as_ref()
    }

    /// What stands for the operator where answers are kept by account: an id in the shard that this is the API of, and no
    /// account's, because those are random.
    pub(super) fn operator(&self) -> AccountId {
        self.inner.operator
    }

    pub(super) fn context(&self) -> &SharedContext {
        self.inner.control.context()
    }

    pub(super) fn idempotency(&self) -> &Idempotency {
        &self.inner.idempotency
    }

    pub(super) fn rate_limits(&self) -> &RateLimits {
        &self.inner.rate_limits
    }

    pub(super) fn prometheus(&self) -> &PrometheusHandle {
        &self.inner.prometheus
    }

    /// Permits for requests that wait for locks.
    pub(super) fn waits(&self) -> &Semaphore {
        &self.inner.waits
    }

    /// Permits for streams of events.
    pub(super) fn streams(&self) -> &Arc<Semaphore> {
        &self.inner.streams
    }

    /// Permits for requests that change something.
    pub(super) fn changes(&self) -> &Arc<Semaphore> {
        &self.inner.changes
    }
}
