use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::Signal;
use serde_json::Value;

use crate::time::{Duration, now, sleep};
use crate::{Api, Host, Process, Scratch, artifacts_binary};

/// How long a node may take to serve, and to stop.
const PATIENCE: Duration = Duration::from_secs(60);
/// Ports are taken from below the kernel's range for outgoing connections, so that none of those occupies the
/// node's port while it is down.
const FIRST_PORT: u16 = 20_000;
const PORTS: u16 = 10_000;
const PORT_ATTEMPTS: usize = 5;

/// What a node is started with besides its data directory and address.
#[derive(Debug, Clone, Default)]
pub struct NodeOptions {
    /// The settings that differ from the defaults.
    pub config: Value,
    /// More arguments of `artifacts node`.
    pub arguments: Vec<String>,
    /// More of its environment.
    pub environment: Vec<(String, String)>,
    /// Where it runs, if not on the machine of the test.
    pub host: Option<Host>,
}

/// A control node: a process with a port and a data directory that stay the same when it is started again.
#[derive(Debug)]
pub struct NodeProcess {
    scratch: Arc<Scratch>,
    child: Option<Child>,
    port: u16,
    config: PathBuf,
    data: PathBuf,
    options: NodeOptions,
}

impl NodeProcess {
    /// Starts a node on a free port with an empty data directory, and waits until it is
    /// ready. `config` holds the settings that differ from the defaults.
    ///
    /// # Errors
    /// If it does not get ready.
    pub fn start(scratch: &Arc<Scratch>, config: &Value) -> Result<Self> {
        Self::start_with(scratch, NodeOptions { config: config.clone(), ..NodeOptions::default() })
    }

    /// As [`NodeProcess::start`], with more options.
    ///
    /// # Errors
    /// If it does not get ready.
    pub fn start_with(scratch: &Arc<Scratch>, options: NodeOptions) -> Result<Self> {
        let file = scratch.join("node.json");
        fs::write(&file, options.config.to_string())?;
        let (port, data) = (free_port()?, scratch.join("data"));
        let mut node = Self { scratch: Arc::clone(scratch), child: None, port, config: file, data, options };
        for _ in 0..PORT_ATTEMPTS {
            match node.start_again() {
                Err(_) if node.says_port_is_taken() => node.port = free_port()?,
                result => return result.map(|()| node),
            }
        }
        bail!("each of {PORT_ATTEMPTS} ports was taken")
    }

    /// Whether its last start failed for the port. It was free a moment before, but a process that another thread is
    /// about to start may hold copies of all descriptors for an instant.
    fn says_port_is_taken(&self) -> bool {
        let log = fs::read_to_string(self.scratch.join("logs/node.log")).unwrap_or_default();
        log.contains("cannot listen")
    }

    /// Starts it after it was stopped or killed.
    ///
    /// # Errors
    /// If it does not get ready.
    pub fn start_again(&mut self) -> Result<()> {
        ensure!(self.child.is_none(), "the node runs already");
        let log = File::options().create(true).append(true).open(self.scratch.join("logs/node.log"))?;
        let binary = artifacts_binary()?;
        let mut command = self.options.host.as_ref().map_or_else(|| Command::new(binary), |host| host.command(binary));
        self.scratch.mark(&mut command);
        command.arg("node").arg("--config").arg(&self.config).arg("--data").arg(&self.data);
        command.arg("--listen").arg(self.address().to_string()).args(&self.options.arguments);
        command.envs(self.options.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.child = Some(command.spawn().context("artifacts node")?);
        let (api, start) = (Api::new(&self.url())?, now());
        while !api.send("GET", "/readyz", None).is_ok_and(|reply| reply.status == 200) {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten()) {
                self.child = None;
                bail!("the node ended at once with {status}; its log is below");
            }
            ensure!(start.elapsed() < PATIENCE, "the node is not ready after {PATIENCE:?}");
            sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        let host = self.options.host.as_ref().map_or(Ipv4Addr::LOCALHOST, Host::address);
        SocketAddr::from((host, self.port))
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The token that makes accounts.
    ///
    /// # Errors
    /// If the node has not written it.
    pub fn admin_token(&self) -> Result<String> {
        Ok(fs::read_to_string(self.data.join("admin-token")).context("admin-token")?.trim().to_owned())
    }

    /// Its data directory.
    pub fn data(&self) -> &std::path::Path {
        &self.data
    }

    /// The process.
    ///
    /// # Errors
    /// If it does not run.
    pub fn process(&self) -> Result<Process> {
        let pid = self.child.as_ref().context("the node does not run")?.id();
        Process::with_pid(i32::try_from(pid)?).context("the node has ended by itself")
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// If it does not run.
    pub fn kill(&mut self) -> Result<()> {
        self.end(Signal::KILL).map(|_| ())
    }

    /// SIGTERM, and waits until it has ended in good order.
    ///
    /// # Errors
    /// If it does not run or does not end.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        self.end(Signal::TERM)
    }

    /// SIGSTOP: it keeps its connections and answers nothing.
    ///
    /// # Errors
    /// If it does not run.
    pub fn freeze(&self) -> Result<()> {
        self.process()?.signal(Signal::STOP)
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// If it does not run.
    pub fn thaw(&self) -> Result<()> {
        self.process()?.signal(Signal::CONT)
    }

    /// Notes how much memory it has held so far.
    pub fn note_memory(&self) {
        self.scratch.memory().note_node(self.process().ok().and_then(Process::peak_rss_bytes));
    }

    fn end(&mut self, signal: Signal) -> Result<ExitStatus> {
        self.note_memory();
        let process = self.process()?;
        process.signal(signal)?;
        process.wait_gone(PATIENCE)?;
        self.child.take().context("the node does not run")?.wait().context("wait")
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        self.note_memory();
        if let Some(mut child) = self.child.take() {
            // Already gone is as good.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A port of the loopback interface that nobody listens on.
///
/// # Errors
/// If there is none.
pub fn free_port() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = (std::process::id() % u32::from(PORTS)) as u16;
    for _ in 0..PORTS {
        let port = FIRST_PORT + start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port from {FIRST_PORT} on")
}

/// An address of the loopback interface that nothing receives datagrams at, and that nobody listens on either.
///
/// # Errors
/// If there is none.
pub fn free_udp_address() -> Result<SocketAddr> {
    for _ in 0..100 {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        if UdpSocket::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no free port for datagrams")
}
