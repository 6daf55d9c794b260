use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use super::child::Announcement;
use super::{MountInfo, StateDir};
use crate::error::MountError;
use crate::kernel::MountPoint;
use crate::options::MountOptions;

/// The argument under which the binary serves a mount in the background; the mount point follows, for `ps`.
pub const CHILD_ARGUMENT: &str = "__serve-mount";

/// How long a mount may take to serve. Connecting and mounting have shorter limits of their own.
pub(crate) const START: Duration = Duration::from_secs(60);

/// Serves a mount from a process of its own: this binary again, in a session of its own. Returns when it serves.
///
/// # Errors
/// Why it does not serve; nothing is mounted then.
pub fn spawn(options: MountOptions) -> Result<MountInfo, MountError> {
    let options = absolute(options)?;
    let state = StateDir::new(&options.state_dir);
    // Under the canonical path if that can be told; what is wrong with it the child will say.
    let logged = MountPoint::resolve(&options.mountpoint).map_or_else(|_| options.mountpoint.clone(), |point| point.path().to_owned());
    let (log_path, log) = state.log(&logged).map_err(MountError::io("cannot write a log in the state directory"))?;
    let program = std::env::current_exe().map_err(MountError::io("cannot find this program's own file"))?;
    let mut command = Command::new(program);
    command.arg(CHILD_ARGUMENT).arg(&options.mountpoint).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
    detach(&mut command);
    let mut child = command.spawn().map_err(MountError::io("cannot start the mount agent"))?;
    let answer = hand_over(&mut child, &options);
    // Whoever started an agent reaps it, or it would stay on as a zombie.
    let reap = move || drop(child.wait());
    let _ = std::thread::Builder::new().name("reaper".to_owned()).spawn(reap);
    match answer? {
        Announcement::Ready(info) => Ok(MountInfo { log: Some(log_path), ..info }),
        Announcement::Failed(MountError::Agent { reason }) => Err(MountError::agent(format!("{reason}; see {}", log_path.display()))),
        Announcement::Failed(error) => Err(error),
    }
}

/// The same with paths that do not depend on the working directory, which the child leaves.
pub(crate) fn absolute(options: MountOptions) -> Result<MountOptions, MountError> {
    let absolute = |path: &Path| std::path::absolute(path).map_err(|error| MountError::mount_point(path, error));
    let optional = |path: &Option<PathBuf>| path.as_deref().map(absolute).transpose();
    Ok(MountOptions {
        mountpoint: absolute(&options.mountpoint)?,
        state_dir: absolute(&options.state_dir)?,
        cache_dir: optional(&options.cache_dir)?,
        ca_cert: optional(&options.ca_cert)?,
        ..options
    })
}

/// The child leaves the caller's terminal and takes none of its files along.
#[allow(unsafe_code, reason = "code between fork and exec can only be given to an unsafe function")]
fn detach(command: &mut Command) {
    let leave = || {
        rustix::process::setsid()?;
        // SAFETY: the call only marks descriptors to be closed by exec; it touches no memory. The three standard
        // ones, which exec needs, are left out.
        unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed; `leave` makes two system calls and
    // nothing else: no allocation, no lock.
    unsafe { command.pre_exec(leave) };
}

/// Gives the child its options and waits for its word.
fn hand_over(child: &mut Child, options: &MountOptions) -> Result<Announcement, MountError> {
    let failed = |error: io::Error| MountError::agent(format!("could not be told what to do: {error}"));
    let text = serde_json::to_vec(options).map_err(|error| failed(error.into()))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(&text).map_err(failed)?;
    }
    let stdout = child.stdout.take().ok_or_else(|| MountError::agent("has no voice"))?;
    let (sent, seen) = mpsc::channel();
    let listen = move || {
        let mut line = String::new();
        let _ = BufReader::new(stdout).read_line(&mut line);
        let _ = sent.send(line);
    };
    std::thread::Builder::new().name("agent-start".to_owned()).spawn(listen).map_err(MountError::io("cannot start a thread"))?;
    let line = seen.recv_timeout(START);
    if let Ok(line) = &line
        && let Ok(announcement) = serde_json::from_str(line)
    {
        return Ok(announcement);
    }
    let _ = child.kill();
    Err(MountError::agent(if line.is_ok() { "ended before it served" } else { "did not serve in time" }))
}
