use std::io::{IsTerminal as _, stdin};

use rustix::process::{Pid, Signal, getpgrp, kill_process_group};
use rustix::termios::{tcgetpgrp, tcsetpgrp};

/// The terminal in the hands of another process group: what is typed, Ctrl-C included, goes there. It comes back when this is
/// dropped.
pub(super) struct Foreground(());

impl Foreground {
    /// Hands the terminal over, if standard input is one and this process has it.
    pub(super) fn hand_to(group: Pid) -> Option<Self> {
        let stdin = stdin();
        if !stdin.is_terminal() || tcgetpgrp(&stdin) != Ok(getpgrp()) {
            return None;
        }
        tcsetpgrp(&stdin, group).ok()?;
        // It may have tried to read before, and been stopped for that.
        let _ = kill_process_group(group, Signal::CONT);
        Some(Self(()))
    }
}

impl Drop for Foreground {
    #[allow(unsafe_code, reason = "a signal is ignored; there is no safe wrapper")]
    fn drop(&mut self) {
        // Whoever takes a terminal from the background is stopped, unless it ignores that.
        // SAFETY: SIG_IGN is a valid disposition and no handler of ours is replaced.
        let before = unsafe { libc::signal(libc::SIGTTOU, libc::SIG_IGN) };
        let _ = tcsetpgrp(stdin(), getpgrp());
        // SAFETY: as above; this is what was there.
        unsafe { libc::signal(libc::SIGTTOU, before) };
    }
}
