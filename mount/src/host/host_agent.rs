use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use super::client::who_listens;
use super::message::{Answer, QUESTION_MAX, Question};
use super::namespaces::Namespaces;
use crate::control;
use crate::daemon::{ExitReport, MountInfo, START, Stop, serve_until, share_pools};
use crate::error::MountError;
use crate::mesh::{self, Mesh, MeshOptions};
use crate::metrics::{MetricsListener, Registry};
use crate::options::MountOptions;
use crate::time::{SharedClock, SystemClock};

/// How long a client may take to ask.
const ASKING: Duration = Duration::from_secs(5);
/// How long all mounts together may take to end.
const ENDING: Duration = Duration::from_secs(30);

/// How the mounts of a host agent ended that was told to end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostReport {
    /// What could not be saved: absolute paths.
    pub unsaved: Vec<PathBuf>,
    /// How many mounts did not end in time.
    pub left: usize,
}

/// A host agent, before it serves.
#[derive(Debug)]
pub struct HostAgent {
    runtime: Runtime,
    listener: UnixListener,
    socket: PathBuf,
    ours: Namespaces,
    terminate: Signal,
    interrupt: Signal,
    mesh: Option<MeshOptions>,
    registry: Registry,
}

/// What the threads of mounts share with the agent: it is gone when the last of them has ended.
struct Shared {
    stop: Stop,
    ours: Namespaces,
    /// What the host has from the mesh, if it takes part in it.
    mesh: Option<Arc<Mesh>>,
    registry: Registry,
    /// How mounts ended.
    ended: mpsc::UnboundedSender<(PathBuf, ExitReport)>,
}

impl HostAgent {
    /// Listens at `socket`, in a directory that is made if it is missing. From now on SIGTERM and SIGINT end it. With a mesh credential
    /// it takes part in the mesh when it serves.
    ///
    /// # Errors
    /// Another one listens there; what the system refuses.
    pub fn listen(socket: &Path, mesh: Option<MeshOptions>) -> Result<Self, MountError> {
        share_pools();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(MountError::io("cannot start the runtime"))?;
        if let Some(pid) = who_listens(socket) {
            return Err(MountError::agent(format!("of this host serves at {} already (process {pid})", socket.display())));
        }
        let within = runtime.enter();
        let listener = bind(socket).map_err(|error| MountError::system(format!("cannot listen at {}", socket.display()), error))?;
        let catch = |kind| signal(kind).map_err(MountError::io("cannot catch signals"));
        let (terminate, interrupt) = (catch(SignalKind::terminate())?, catch(SignalKind::interrupt())?);
        drop(within);
        let ours = Namespaces::ours().map_err(MountError::io("cannot tell what this process sees of the machine"))?;
        Ok(Self { runtime, listener, socket: socket.to_owned(), ours, terminate, interrupt, mesh, registry: Registry::default() })
    }

    /// Lets Prometheus ask for the metrics of all mounts.
    ///
    /// # Errors
    /// When the machine gives no thread.
    pub fn tell_metrics(&self, listener: MetricsListener) -> Result<(), MountError> {
        listener.serve(self.registry.clone())
    }

    /// Serves mounts until it is told to end; then all of them are saved and unmounted.
    pub fn serve(self) -> HostReport {
        let Self { runtime, listener, socket, ours, mut terminate, mut interrupt, mesh, registry } = self;
        let (ended, mut endings) = mpsc::unbounded_channel();
        let mesh = mesh.map(|options| {
            let clock: SharedClock = Arc::new(SystemClock);
            let mesh = Mesh::new(clock.clone());
            runtime.spawn(mesh::keep(mesh.clone(), clock, options));
            mesh
        });
        let shared = Arc::new(Shared { stop: Stop::default(), ours, mesh, registry, ended });
        let report = runtime.block_on(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => break,
                    _ = interrupt.recv() => break,
                    Some((path, ending)) = endings.recv() => tell(&path, &ending),
                    accepted = listener.accept() => match accepted {
                        Ok((stream, _)) => drop(tokio::spawn(answer(stream, Arc::clone(&shared)))),
                        // Out of descriptors, say: those who wait are served when there are some again.
                        Err(error) => {
                            tracing::error!(%error, "a client could not be taken in");
                            tokio::task::yield_now().await;
                        }
                    },
                }
            }
            tracing::info!("ending: every mount is saved and unmounted");
            // Nobody else may come.
            drop(listener);
            let _ = fs::remove_file(&socket);
            shared.stop.stop();
            // What is left of it is in the threads of mounts.
            let mounts = Arc::downgrade(&shared);
            drop(shared);
            let mut report = HostReport::default();
            let all = async {
                while let Some((path, ending)) = endings.recv().await {
                    tell(&path, &ending);
                    report.unsaved.extend(ending.unsaved.iter().map(|file| path.join(file)));
                }
            };
            if tokio::time::timeout(ENDING, all).await.is_err() {
                report.left = mounts.strong_count();
            }
            report
        });
        runtime.shutdown_background();
        report
    }
}

fn tell(path: &Path, ending: &ExitReport) {
    if !ending.unsaved.is_empty() {
        tracing::error!(path = %path.display(), files = ?ending.unsaved, "a mount ended and could not save everything");
    }
}

/// A socket for nobody but its owner, where a dead agent may have left its own.
fn bind(socket: &Path) -> io::Result<UnixListener> {
    if let Some(dir) = socket.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    match fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(socket)?;
    fs::set_permissions(socket, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn answer(stream: UnixStream, shared: Arc<Shared>) {
    let is_heard = stream.peer_cred().is_ok_and(|peer| peer.uid() == 0 || peer.uid() == rustix::process::geteuid().as_raw());
    if !is_heard {
        return tracing::warn!("another user was turned away");
    }
    if let Err(error) = converse(stream, shared).await {
        tracing::debug!(%error, "a client went away");
    }
}

async fn converse(stream: UnixStream, shared: Arc<Shared>) -> io::Result<()> {
    let (reading, mut writing) = stream.into_split();
    let mut line = String::new();
    let mut reading = BufReader::new(reading.take(QUESTION_MAX));
    tokio::time::timeout(ASKING, reading.read_line(&mut line)).await??;
    let answer = match serde_json::from_str(&line) {
        Ok(Question::Hello) => Answer::Here { pid: std::process::id() },
        Ok(Question::Mount { from, .. }) if from != shared.ours => Answer::Elsewhere,
        Ok(Question::Mount { options, .. }) => match mount(*options, shared).await {
            Ok(info) => Answer::Mounted(info),
            Err(error) => Answer::Failed(error),
        },
        Err(error) => Answer::Failed(MountError::agent(format!("was asked something it does not understand: {error}"))),
    };
    let mut line = serde_json::to_vec(&answer).map_err(io::Error::other)?;
    line.push(b'\n');
    writing.write_all(&line).await?;
    writing.shutdown().await
}

/// Serves a mount from a thread of its own; returns when it serves.
async fn mount(options: MountOptions, shared: Arc<Shared>) -> Result<MountInfo, MountError> {
    // Signals are the agent's.
    let options = MountOptions { handle_signals: false, ..options };
    let (path, state_dir) = (options.mountpoint.clone(), options.state_dir.clone());
    let given_up = path.clone();
    let (ready, mut served) = oneshot::channel();
    let (failed, failure) = oneshot::channel();
    let serve = move || {
        let on_ready = |info: &MountInfo| {
            // A client that is gone will not miss it.
            let _ = ready.send(info.clone());
        };
        match serve_until(options, &shared.stop, shared.mesh.as_ref(), &shared.registry, on_ready) {
            Ok(report) => drop(shared.ended.send((path, report))),
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "not mounted");
                let _ = failed.send(error);
            }
        }
    };
    std::thread::Builder::new().name("mount".to_owned()).spawn(serve).map_err(MountError::io("cannot start a thread"))?;
    match tokio::time::timeout(START, &mut served).await {
        Ok(Ok(info)) => Ok(info),
        Ok(Err(_)) => Err(failure.await.unwrap_or_else(|_| MountError::agent("of this host could not serve the mount; see its log"))),
        Err(_) => {
            // Should it serve later: nobody knows of it.
            tokio::spawn(async move {
                if served.await.is_ok() {
                    let _ = tokio::task::spawn_blocking(move || control::unmount(&state_dir, &given_up, true)).await;
                }
            });
            Err(MountError::agent("of this host did not serve the mount in time"))
        }
    }
}
