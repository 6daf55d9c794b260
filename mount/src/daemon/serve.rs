use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use artifacts_core::protocol::Opening;
use artifacts_core::ticket::Mode;
use artifacts_core::{SessionId, Timestamp};
use tokio::runtime::{Builder, Runtime};

use super::ending::{Taken, save, take_down, unsaved};
use super::memory::share_pools;
use super::{ExitReport, MountInfo, MountRecord, StateDir, Stop};
use crate::agent::Agent;
use crate::control::{CacheStatus, Listening, MountStatus, UnmountReport, UnmountRequest};
use crate::data::{Blocks, DiskCache, Exchange};
use crate::error::MountError;
use crate::fs::ArtifactsFs;
use crate::kernel::{self, MountPoint};
use crate::mesh::{self, Mesh};
use crate::metrics::{MetricsListener, Registered, Registry};
use crate::options::MountOptions;
use crate::session::{MountSession, Opener, bury, connection};
use crate::time::{SharedClock, SystemClock, timestamp};
use crate::transport::{Trust, http_client};

/// However large a cache is asked for, memory is not for more than this, in bytes.
const CACHE_MAX_BYTES: u64 = 64 << 20;
/// How long saving may take when somebody asks for an unmount and can ask again.
const SAVING: Duration = Duration::from_secs(30);
/// How long when the process is told to end.
const SAVING_AT_THE_END: Duration = Duration::from_secs(8);
/// How long when the mount is given up.
const SAVING_WITH_FORCE: Duration = Duration::from_secs(2);
/// How long the kernel may take to let go of a mount that was detached.
const LETTING_GO: Duration = Duration::from_secs(1);
/// How long the last words to the node and to clients may take.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The name under which agents trace.
pub const SERVICE: &str = "artifacts-agent";

/// What may happen to a mount that serves.
enum Event {
    /// The kernel has let go of it.
    Gone,
    /// The process is to end.
    Terminate,
    /// A client wants it unmounted.
    Unmount(UnmountRequest),
}

/// A mount that serves.
struct Service {
    agent: Arc<Agent>,
    path: PathBuf,
    events: Receiver<Event>,
    /// A call to end that came while saving, which cuts the saving short.
    pressing: bool,
}

/// Mounts a workspace and serves it in this process until it is unmounted. `on_ready` runs once it serves.
///
/// # Errors
/// What the node refuses, before anything is mounted; what is wrong with the directory; what the kernel refuses.
pub fn serve(options: MountOptions, on_ready: impl FnOnce(&MountInfo)) -> Result<ExitReport, MountError> {
    let tracing = artifacts_trace::start(&options.traces, SERVICE).map_err(|error| MountError::agent(error.to_string()))?;
    let registry = Registry::default();
    if let Some(address) = options.metrics_listen {
        MetricsListener::bind(address)?.serve(registry.clone())?;
    }
    let report = serve_until(options, &Stop::default(), None, &registry, on_ready);
    tracing.finish();
    report
}

/// As [`serve`], until it is unmounted or all mounts of the process are to end; by what the process has from the mesh, too.
pub(crate) fn serve_until(
    options: MountOptions,
    stop: &Stop,
    mesh: Option<&Arc<Mesh>>,
    registry: &Registry,
    on_ready: impl FnOnce(&MountInfo),
) -> Result<ExitReport, MountError> {
    if options.handle_signals {
        share_pools();
    }
    let clock: SharedClock = Arc::new(SystemClock);
    let trust = Trust::load(options.ca_cert.as_deref())?;
    let http = http_client(&trust)?;
    let opener = Opener::new(options.credential.endpoints(), trust, Arc::clone(&clock))?;
    let state = StateDir::new(&options.state_dir);
    let point = MountPoint::resolve(&options.mountpoint).map_err(|error| MountError::mount_point(&options.mountpoint, error))?;
    let opening = options.credential.opening(options.read_only);
    let session = open_session(&clock, opener, opening, left_behind(&state, &point))?;
    // From here on the node must hear of every end.
    let work = Builder::new_multi_thread().worker_threads(2).thread_name("work").enable_all().build();
    let work = work.map_err(MountError::io("cannot start the runtime"));
    let result = work.and_then(|work| {
        let result = run(&options, &clock, &state, point, &session, http, &work, stop, mesh, registry, on_ready);
        work.shutdown_timeout(Duration::from_millis(100));
        result
    });
    goodbye(&session);
    result
}

#[allow(clippy::too_many_arguments, reason = "the parts of a mount, put together once")]
fn run(
    options: &MountOptions,
    clock: &SharedClock,
    state: &StateDir,
    point: MountPoint,
    session: &Arc<MountSession>,
    http: reqwest::Client,
    work: &Runtime,
    stop: &Stop,
    mesh: Option<&Arc<Mesh>>,
    registry: &Registry,
    on_ready: impl FnOnce(&MountInfo),
) -> Result<ExitReport, MountError> {
    point.prepare()?;
    let path = point.path().to_owned();
    let disk = options.cache_dir.as_deref().filter(|_| !session.welcome.keep_off_disk);
    if options.cache_dir.is_some() && disk.is_none() {
        tracing::info!("the workspace is encrypted at rest; nothing of it is kept in the cache on disk");
    }
    let disk = disk.and_then(|dir| DiskCache::new(dir, &session.welcome.workspace, options.disk_cache_bytes, Arc::clone(clock)));
    let exchange = Arc::new(Exchange::new(http.clone(), Arc::clone(session)));
    let blocks = Blocks::new(exchange, options.cache_bytes.min(CACHE_MAX_BYTES) as usize, disk);
    let agent = Agent::new(Arc::clone(session), blocks, work.handle().clone()).map_err(MountError::io("cannot watch the session"))?;
    state.prepare().map_err(MountError::io("cannot make the state directory"))?;
    let (events, happening) = mpsc::channel();
    let read_only = options.read_only || session.welcome.mode == Mode::Ro;
    let source = format!("artifacts:{}", session.welcome.workspace);
    let file_system = ArtifactsFs::new(Arc::clone(&agent), read_only);
    let gone = tell(&events, || Event::Gone);
    let side = kernel::mount(file_system, &path, &source, read_only, options.threads, gone)?;
    agent.caches.begin(side);
    let mesh = match mesh {
        Some(mesh) => {
            mesh.add(session);
            Some(Arc::clone(mesh))
        }
        None => mesh::guest::begin(session, &options.mesh, &http, work.handle()),
    };
    agent.want_lease().map_err(MountError::io("cannot start a thread"))?;
    kernel::raise_read_ahead(&path);
    let record = MountRecord {
        mountpoint: path.clone(),
        workspace: session.welcome.workspace.clone(),
        mode: if read_only { Mode::Ro } else { Mode::Rw },
        pid: std::process::id(),
        since: timestamp(clock.as_ref()),
        session: session.id(),
        secret: session.welcome.secret.clone(),
        endpoints: options.credential.endpoints().to_vec(),
    };
    let listening = put_on_record(state, &record, &agent, work, &events, mesh, registry);
    // A mount without a record serves all the same, but could not be unmounted with care.
    let (listening, registered) = match listening {
        Ok(both) => both,
        Err(error) => {
            let _ = take_down(&path, true);
            return Err(MountError::system("cannot put the mount on record", error));
        }
    };
    if options.handle_signals {
        watch_signals(work, &events);
    }
    let _stopping = stop.on_stop(tell(&events, || Event::Terminate));
    on_ready(&MountInfo {
        mountpoint: path.clone(),
        workspace: record.workspace.clone(),
        session: record.session,
        mode: record.mode,
        endpoint: session.endpoint().to_string(),
        pid: record.pid,
        log: None,
    });
    tracing::info!(path = %path.display(), workspace = record.workspace, session = %record.session, "mounted");
    let mut service = Service { agent, path, events: happening, pressing: false };
    let report = service.serve();
    service.agent.blocks.settle();
    drop((listening, registered));
    state.forget(&service.path);
    tracing::info!(path = %service.path.display(), unsaved = report.unsaved.len(), "unmounted");
    Ok(report)
}

fn put_on_record(
    state: &StateDir,
    record: &MountRecord,
    agent: &Arc<Agent>,
    work: &Runtime,
    events: &Sender<Event>,
    mesh: Option<Arc<Mesh>>,
    registry: &Registry,
) -> std::io::Result<(Listening, Registered)> {
    let (watched, base, events) = (Arc::downgrade(agent), record.clone(), events.clone());
    let status = Arc::new(move || status_of(watched.upgrade().as_deref(), &base, mesh.as_deref()));
    let shown = Arc::clone(&status);
    let unmount = move |request| {
        // Without a receiver the mount is ending; dropping the request says so.
        let _ = events.send(Event::Unmount(request));
    };
    let listening = Listening::begin(&state.socket(&record.mountpoint), work.handle(), move || shown(), unmount)?;
    state.write(record)?;
    Ok((listening, registry.add(status)))
}

fn status_of(agent: Option<&Agent>, record: &MountRecord, mesh: Option<&Mesh>) -> MountStatus {
    let vitals = agent.map(|agent| agent.session.vitals());
    let lease_ms = agent.map_or(0, |agent| agent.session.welcome.lease_ms);
    let proof_age_ms = vitals.as_ref().map_or(u64::MAX, |vitals| vitals.proof_age_ms);
    MountStatus {
        mountpoint: record.mountpoint.clone(),
        workspace: record.workspace.clone(),
        session: record.session,
        mode: record.mode,
        health: agent
            .zip(vitals.as_ref())
            .map_or_else(|| "ending".to_owned(), |(agent, vitals)| agent.gate.health(vitals.connected).to_string()),
        lease_remaining_ms: lease_ms.saturating_sub(vitals.as_ref().map_or(u64::MAX, |vitals| vitals.lease_age_ms)),
        proof_age_ms,
        unsaved_bytes: vitals.as_ref().map_or(0, |vitals| vitals.unsaved_bytes),
        unsaved_ops: vitals.as_ref().map_or(0, |vitals| vitals.unsaved_ops),
        open_files: vitals.as_ref().map_or(0, |vitals| vitals.open_files),
        cache_bytes: agent.map_or(0, |agent| agent.blocks.memory().bytes() as u64),
        cache: agent.map_or_else(CacheStatus::default, |agent| agent.blocks.status()),
        pid: record.pid,
        since: Timestamp::from_unix_ms(record.since.unix_ms()),
        second_endpoint: vitals.as_ref().and_then(|vitals| vitals.second_endpoint.clone()),
        gossip: mesh.and_then(Mesh::status),
        alone: agent.is_some_and(|agent| agent.session.whole_lease().is_some()),
        reconnects: vitals.as_ref().map_or(0, |vitals| vitals.reconnects),
        calls: agent.map_or_else(Vec::new, |agent| agent.calls.status()),
        endpoint: vitals.map_or_else(String::new, |vitals| vitals.endpoint),
    }
}

fn tell(events: &Sender<Event>, event: impl Fn() -> Event + Send + 'static) -> impl Fn() + Send + 'static {
    let events = events.clone();
    move || {
        // Nobody listens once the mount has ended.
        let _ = events.send(event());
    }
}

fn watch_signals(work: &Runtime, events: &Sender<Event>) {
    use tokio::signal::unix::{SignalKind, signal};
    let terminate = tell(events, || Event::Terminate);
    work.spawn(async move {
        let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else { return };
        loop {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
            terminate();
        }
    });
}

/// The session that a dead agent left behind for this mount point.
fn left_behind(state: &StateDir, point: &MountPoint) -> Option<(SessionId, String)> {
    let record = state.read(point.path())?;
    let is_served = std::os::unix::net::UnixStream::connect(state.socket(point.path())).is_ok();
    (!is_served).then_some((record.session, record.secret))
}

/// Opens the session, and keeps its stream up in a thread of its own: a runtime of one thread, so that what arrives is
/// worked off where it arrives.
fn open_session(
    clock: &SharedClock,
    mut opener: Opener,
    opening: Opening,
    left_behind: Option<(SessionId, String)>,
) -> Result<Arc<MountSession>, MountError> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(MountError::io("cannot start the runtime"))?;
    let (sent, seen) = mpsc::channel();
    let clock = Arc::clone(clock);
    let stream = async move {
        if let Some((session, secret)) = left_behind {
            bury(&mut opener, session, secret).await;
        }
        match opener.open(&opening).await {
            Ok(opened) => {
                let session = connection::begin(clock, opened);
                // The credential itself is not needed any more.
                drop(opening);
                if sent.send(Ok(Arc::clone(&session))).is_ok() {
                    connection::keep(session, opener).await;
                }
            }
            Err(error) => drop(sent.send(Err(error))),
        }
    };
    let thread = std::thread::Builder::new().name("stream".to_owned());
    thread.spawn(move || runtime.block_on(stream)).map_err(MountError::io("cannot start a thread"))?;
    seen.recv().unwrap_or_else(|_| Err(MountError::agent("could not open the session")))
}

/// Tells the node that the mount has ended, and gives the word a moment to leave.
fn goodbye(session: &Arc<MountSession>) {
    session.say_goodbye();
    session.wait_until_over(LAST_WORDS);
}

impl Service {
    fn serve(&mut self) -> ExitReport {
        loop {
            match self.events.recv() {
                Ok(Event::Gone) | Err(_) => {
                    save(&self.agent, SAVING_AT_THE_END);
                    return self.report();
                }
                Ok(Event::Terminate) => {
                    self.terminate();
                    return self.report();
                }
                Ok(Event::Unmount(request)) => {
                    let outcome = self.unmount(request.force);
                    let ends = outcome.is_ok();
                    let (told, delivered) = tokio::sync::oneshot::channel();
                    if request.outcome.send((outcome, told)).is_ok() {
                        // The client has its answer when the other end is dropped.
                        let _ = self.agent.work.block_on(async { tokio::time::timeout(LAST_WORDS, delivered).await });
                    }
                    if ends || self.pressing {
                        if !ends {
                            self.terminate();
                        }
                        return self.report();
                    }
                }
            }
        }
    }

    fn report(&self) -> ExitReport {
        ExitReport { unsaved: unsaved(&self.agent), fenced: self.agent.gate.fenced() }
    }

    /// Ends whatever it costs, in a short time.
    fn terminate(&mut self) {
        save(&self.agent, SAVING_AT_THE_END);
        match take_down(&self.path, true) {
            Ok(taken) => self.finish(taken),
            Err(error) => tracing::error!(%error, "the mount could not be taken away"),
        }
    }

    fn unmount(&mut self, force: bool) -> Result<UnmountReport, MountError> {
        let saved = save(&self.agent, if force { SAVING_WITH_FORCE } else { SAVING });
        // After a fence nothing can be saved any more, so there is nothing to wait for.
        if !saved && !force && self.agent.gate.fenced().is_none() {
            return Err(MountError::Unsaved { path: self.path.clone(), files: unsaved(&self.agent) });
        }
        let taken = take_down(&self.path, force).map_err(|error| MountError::mount_point(&self.path, error))?;
        if taken == Taken::Busy {
            return Err(MountError::Busy { path: self.path.clone() });
        }
        self.finish(taken);
        Ok(UnmountReport { unsaved: unsaved(&self.agent), was_busy: taken == Taken::Detached, agent_was_dead: false })
    }

    /// Waits until the kernel has let go, then saves what it wrote back in doing so.
    fn finish(&mut self, taken: Taken) {
        let patience = if taken == Taken::Down { SAVING_AT_THE_END } else { LETTING_GO };
        loop {
            match self.events.recv_timeout(patience) {
                Ok(Event::Gone) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
                Ok(Event::Terminate) => self.pressing = true,
                // Dropped: the client hears that the mount is ending.
                Ok(Event::Unmount(_)) => {}
            }
        }
        save(&self.agent, SAVING_AT_THE_END);
    }
}
