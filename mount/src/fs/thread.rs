use std::fs;

/// How often a thread that is about to sleep is looked at again before it counts as unreadable.
const LOOKS: u32 = 1000;

/// A thread that waits in a system call until this mount has answered it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Thread(
    /// 0 when it is in a process namespace that this process cannot see.
    pub(crate) u32,
);

/// The call by which a program locks or unlocks. FUSE says it, the library does not hand it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LockCall {
    /// flock(2).
    Flock,
    /// fcntl(2) with a lock of the process.
    Process,
    /// fcntl(2) with a lock of the open file description.
    OpenFile,
    /// Not to be seen: the thread is in another process namespace, or this process may not look at it (proc(5), ptrace(2)).
    Unknown,
}

/// What proc_pid_syscall(5) says.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// It has not gone to sleep yet.
    Running,
    In(LockCall),
}

impl Thread {
    /// By which call it locks.
    pub(super) fn lock_call(self) -> LockCall {
        for _ in 0..LOOKS {
            let Ok(text) = fs::read_to_string(format!("/proc/{}/syscall", self.0)) else { return LockCall::Unknown };
            match seen(&text) {
                Seen::In(call) => return call,
                Seen::Running => std::thread::yield_now(),
            }
        }
        LockCall::Unknown
    }

    /// Whether a signal waits for it that it does not hold back, or it is gone.
    pub(crate) fn is_interrupted(self) -> bool {
        // Nobody can be seen there, so nobody can be seen to be interrupted.
        self.0 != 0 && fs::read_to_string(format!("/proc/{}/status", self.0)).map_or(true, |status| has_signal(&status))
    }
}

/// Reads proc_pid_syscall(5): the number of the call and its arguments.
fn seen(text: &str) -> Seen {
    // The last three are those of 32-bit programs. In this place no other call has these numbers.
    const FLOCK: [i64; 2] = [libc::SYS_flock, 143];
    const FCNTL: [i64; 3] = [libc::SYS_fcntl, 55, 221];
    const OPEN_FILE: [i64; 3] = [libc::F_OFD_GETLK as i64, libc::F_OFD_SETLK as i64, libc::F_OFD_SETLKW as i64];
    let mut words = text.split_whitespace();
    let number = words.next().unwrap_or_default();
    if number == "running" {
        return Seen::Running;
    }
    let command = words.nth(1).and_then(|word| i64::from_str_radix(word.trim_start_matches("0x"), 16).ok());
    Seen::In(match (number.parse::<i64>(), command) {
        (Ok(number), _) if FLOCK.contains(&number) => LockCall::Flock,
        (Ok(number), Some(command)) if FCNTL.contains(&number) && OPEN_FILE.contains(&command) => LockCall::OpenFile,
        (Ok(number), Some(_)) if FCNTL.contains(&number) => LockCall::Process,
        _ => LockCall::Unknown,
    })
}

/// Signals that do nothing unless they are caught (signal(7)). One of the process may be pending for a moment all the same, while
/// another thread holds it back, as each does that starts a program.
const IDLE: [i32; 4] = [libc::SIGCHLD, libc::SIGCONT, libc::SIGURG, libc::SIGWINCH];

/// Reads proc_pid_status(5): whether a signal is pending, of the thread or of its process, that is neither held back nor ignored.
fn has_signal(status: &str) -> bool {
    let set = |name: &str| {
        let field = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        u64::from_str_radix(field.trim(), 16).unwrap_or_default()
    };
    let idle = IDLE.iter().fold(0, |set, signal| set | 1 << (signal - 1)) & !set("SigCgt:");
    (set("SigPnd:") | set("ShdPnd:")) & !set("SigBlk:") & !set("SigIgn:") & !idle != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_is_told_from_its_number_and_command() {
        let (flock, fcntl) = (libc::SYS_flock, libc::SYS_fcntl);
        for (text, expected) in [
            ("running\n".to_owned(), Seen::Running),
            (format!("{flock} 0x3 0x2 0x0 0x0 0x0 0x0 0x7ffd 0x7f01\n"), Seen::In(LockCall::Flock)),
            (format!("{fcntl} 0x3 0x7 0x7ffd 0x0 0x0 0x0 0x7ffd 0x7f01\n"), Seen::In(LockCall::Process)),
            (format!("{fcntl} 0x3 0x25 0x7ffd 0x0 0x0 0x0 0x7ffd 0x7f01\n"), Seen::In(LockCall::OpenFile)),
            ("221 0x3 0xd 0xff 0x0 0x0 0x0 0xff 0xf7\n".to_owned(), Seen::In(LockCall::Process)),
            ("-1 0x7ffd 0x7f01\n".to_owned(), Seen::In(LockCall::Unknown)),
            (String::new(), Seen::In(LockCall::Unknown)),
        ] {
            assert_eq!(seen(&text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_signal_counts_unless_it_is_held_back_or_ignored() {
        let status = |pending: u64, shared: u64, blocked: u64, ignored: u64| {
            format!("Name:\tx\nSigPnd:\t{pending:016x}\nShdPnd:\t{shared:016x}\nSigBlk:\t{blocked:016x}\nSigIgn:\t{ignored:016x}\n")
        };
        let (alarm, kill) = (1 << (libc::SIGALRM - 1), 1 << (libc::SIGKILL - 1));
        assert!(!has_signal(&status(0, 0, 0, 0)));
        assert!(has_signal(&status(kill, 0, 0, 0)) && has_signal(&status(0, alarm, 0, 0)));
        assert!(!has_signal(&status(0, alarm, alarm, 0)) && !has_signal(&status(alarm, 0, 0, alarm)));
        assert!(has_signal(&status(0, alarm | kill, alarm, 0)));
        let child = 1 << (libc::SIGCHLD - 1);
        assert!(!has_signal(&status(0, child, 0, 0)) && has_signal(&status(0, child | alarm, 0, 0)));
        assert!(has_signal(&format!("{}SigCgt:\t{child:016x}\n", status(0, child, 0, 0))));
    }

    #[test]
    fn a_thread_that_is_gone_is_interrupted_and_one_out_of_sight_is_not() {
        assert!(Thread(u32::MAX).is_interrupted());
        assert!(!Thread(0).is_interrupted());
        assert!(!Thread(std::process::id()).is_interrupted());
        assert_eq!(Thread(0).lock_call(), LockCall::Unknown);
    }
}
