use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::signal;
use tokio::signal::unix::SignalKind;

use super::terminal::Foreground;
use crate::failure::Failure;

/// Tells the command which fencing token it works under.
const TOKEN_VARIABLE: &str = "ARTIFACTS_FENCING_TOKEN";

/// A command in a process group of its own.
pub(super) struct LockedCommand {
    child: Child,
    group: Pid,
    /// Those that ask this process to end.
    signals: [signal::unix::Signal; 4],
    _foreground: Option<Foreground>,
}

impl LockedCommand {
    /// Starts the command.
    ///
    /// # Errors
    /// It cannot be started.
    #[allow(unsafe_code, reason = "one system call is made between fork and exec")]
    pub(super) fn start(words: &[OsString], fencing_token: u64) -> Result<Self, Failure> {
        let (program, arguments) = words.split_first().ok_or_else(|| Failure::usage("there is no command to run"))?;
        let mut command = Command::new(program);
        command.args(arguments).env(TOKEN_VARIABLE, fencing_token.to_string()).process_group(0);
        // SAFETY: prctl(2) may be called there; nothing is allocated or locked.
        unsafe {
            // Nobody would renew the lock, or end the command when it is lost.
            command.pre_exec(|| Ok(rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?));
        }
        let signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()];
        let [interrupt, terminate, hang_up, quit] = signals.map(signal::unix::signal);
        let refused = |error| Failure::failed(format!("cannot listen to signals: {error}"));
        let signals = [interrupt.map_err(refused)?, terminate.map_err(refused)?, hang_up.map_err(refused)?, quit.map_err(refused)?];
        let child = command.spawn().map_err(|error| Failure::failed(format!("cannot run {}: {error}", program.display())))?;
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed())).ok_or_else(|| Failure::failed("the command is gone"))?;
        Ok(Self { child, group, signals, _foreground: Foreground::hand_to(group) })
    }

    /// Returns when the command has ended; signals that ask this process to end go to the command.
    ///
    /// # Errors
    /// The operating system's.
    pub(super) async fn ended(&mut self) -> std::io::Result<ExitStatus> {
        let [interrupt, terminate, hang_up, quit] = &mut self.signals;
        loop {
            let received = tokio::select! {
                status = self.child.wait() => return status,
                _ = interrupt.recv() => Signal::INT,
                _ = terminate.recv() => Signal::TERM,
                _ = hang_up.recv() => Signal::HUP,
                _ = quit.recv() => Signal::QUIT,
            };
            let _ = kill_process_group(self.group, received);
        }
    }

    /// Ends the command and whatever it has started: asks them, and kills those that are not gone after `grace`.
    pub(super) async fn end(&mut self, grace: Duration) {
        let _ = kill_process_group(self.group, Signal::TERM);
        // A stopped process hears nothing.
        let _ = kill_process_group(self.group, Signal::CONT);
        let _ = tokio::time::timeout(grace, self.child.wait()).await;
        let _ = kill_process_group(self.group, Signal::KILL);
        let _ = self.child.wait().await;
    }
}

/// The exit code of a command as a shell has it: its own, or 128 and the signal that ended it.
pub(super) fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| Some(128 + status.signal()?)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
