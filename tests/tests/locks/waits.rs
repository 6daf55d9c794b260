//! Who waits for a lock: for how long, in which order, and what ends it before the lock comes.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, now, sleep};
use artifacts_tests::{EXIT_CONFLICT, artifacts_binary};
use rustix::process::Signal;

use crate::locker::Locker;
use crate::plain_pair;

const SOON: Duration = Duration::from_secs(10);
/// How long a wait is watched; far more than any request to the node may take.
const LONG_WAIT: Duration = Duration::from_secs(75);
const FLOCK: &str = "flock(f, LOCK_EX)";
const FCNTL: &str = "lock(f, F_WRLCK, wait=True)";
const RELEASES: [(&str, &str); 2] = [(FLOCK, "flock(f, LOCK_UN)"), (FCNTL, "lock(f, F_UNLCK)")];

#[test]
fn a_signal_interrupts_a_wait_and_the_lock_is_not_taken() -> Result<()> {
    plain_pair("alarm", |pair| {
        for (number, (take, give)) in RELEASES.into_iter().enumerate() {
            let (mut a, mut b) = pair.lockers(&format!("file-{number}"))?;
            a.expect(take, "None")?;
            b.expect("alarm(0.3)", "None")?;
            let start = now();
            b.expect(take, "EINTR")?;
            ensure!(start.elapsed() < Duration::from_secs(3), "the wait went on for {:?}", start.elapsed());
            // The one who was interrupted is in nobody's way.
            let mut c = Locker::with_file(pair.scratch, pair.one.path(), &format!("file-{number}"))?;
            c.tell(take)?;
            c.expect_waiting(Duration::from_millis(100))?;
            a.expect(give, "None")?;
            c.expect_answer("None", SOON)?;
            c.expect(give, "None")?;
            b.expect(take, "None")?;
        }
        Ok(())
    })
}

/// A handler that lets calls go on does not end a wait, nor does a signal that is ignored or held back.
#[test]
fn a_signal_that_interrupts_no_call_does_not_end_a_wait() -> Result<()> {
    plain_pair("restart", |pair| {
        let (mut a, mut b) = pair.lockers("file")?;
        a.expect(FLOCK, "None")?;
        b.expect("signal.signal(signal.SIGUSR1, lambda number, frame: None); signal.siginterrupt(signal.SIGUSR1, False)", "None")?;
        b.expect("x = signal.signal(signal.SIGUSR2, signal.SIG_IGN)", "None")?;
        b.expect("x = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])", "None")?;
        b.tell(FLOCK)?;
        b.expect_waiting(Duration::from_millis(100))?;
        for signal in [Signal::USR1, Signal::USR2, Signal::HUP, Signal::CHILD] {
            b.process()?.signal(signal)?;
            b.expect_waiting(Duration::from_millis(200)).with_context(|| format!("{signal:?}"))?;
        }
        a.expect("flock(f, LOCK_UN)", "None")?;
        b.expect_answer("None", SOON)
    })
}

#[test]
fn a_process_that_waits_can_be_ended() -> Result<()> {
    plain_pair("kill", |pair| {
        for (number, (take, give)) in RELEASES.into_iter().enumerate() {
            let name = format!("file-{number}");
            let (mut a, _b) = pair.lockers(&name)?;
            a.expect(take, "None")?;
            for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
                let mut waiter = Locker::with_file(pair.scratch, pair.other.path(), &name)?;
                // Python would turn SIGINT into an exception; the plain action of a signal is what is looked at.
                waiter.expect("x = signal.signal(signal.SIGINT, signal.SIG_DFL)", "None")?;
                waiter.tell(take)?;
                waiter.expect_waiting(Duration::from_millis(100))?;
                let process = waiter.process()?;
                process.signal(signal)?;
                process.wait_gone(Duration::from_secs(5)).with_context(|| format!("{take}, {signal:?}"))?;
            }
            // None of them is waited for, and none has got it.
            let mut c = Locker::with_file(pair.scratch, pair.other.path(), &name)?;
            c.tell(take)?;
            a.expect(give, "None")?;
            c.expect_answer("None", SOON)?;
        }
        Ok(())
    })
}

#[test]
fn a_wait_is_not_cut_however_long_it_takes() -> Result<()> {
    plain_pair("long-wait", |pair| {
        let (mut a, mut b) = pair.lockers("flock")?;
        let (mut c, mut d) = pair.lockers("fcntl")?;
        a.expect(FLOCK, "None")?;
        c.expect(FCNTL, "None")?;
        b.tell(FLOCK)?;
        d.tell(FCNTL)?;
        b.expect_waiting(LONG_WAIT)?;
        d.expect_waiting(Duration::ZERO)?;
        a.expect("flock(f, LOCK_UN)", "None")?;
        c.expect("lock(f, F_UNLCK)", "None")?;
        b.expect_answer("None", SOON)?;
        d.expect_answer("None", SOON)
    })
}

#[test]
fn a_circle_of_waits_across_mounts_is_refused_and_nothing_else() -> Result<()> {
    plain_pair("deadlock", |pair| {
        let (mut a, mut b) = pair.lockers("file")?;
        a.expect("lock(f, F_WRLCK, 0, 1)", "None")?;
        b.expect("lock(f, F_WRLCK, 1, 1)", "None")?;
        a.tell("lock(f, F_WRLCK, 1, 1, wait=True)")?;
        a.expect_waiting(Duration::from_millis(200))?;
        b.expect("lock(f, F_WRLCK, 0, 1, wait=True)", "EDEADLK")?;
        // Without waiting there is no circle.
        b.expect("lock(f, F_WRLCK, 0, 1)", "EAGAIN")?;
        b.expect("lock(f, F_UNLCK, 1, 1)", "None")?;
        a.expect_answer("None", SOON)?;
        // Over two files.
        let (mut c, mut d) = pair.lockers("second")?;
        c.expect("g = os.open('third', os.O_RDWR | os.O_CREAT)", "None")?;
        d.expect("g = os.open('third', os.O_RDWR)", "None")?;
        c.expect("lock(f, F_WRLCK)", "None")?;
        d.expect("lock(g, F_WRLCK)", "None")?;
        d.tell("lock(f, F_WRLCK, wait=True)")?;
        d.expect_waiting(Duration::from_millis(200))?;
        c.expect("lock(g, F_WRLCK, wait=True)", "EDEADLK")?;
        c.expect("lock(f, F_UNLCK)", "None")?;
        d.expect_answer("None", SOON)
    })
}

/// Whoever waits is served in the order in which it came, and a writer is not starved by readers.
#[test]
fn waiters_are_served_in_their_order() -> Result<()> {
    plain_pair("order", |pair| {
        let (mut holder, mut writer) = pair.lockers("file")?;
        let (mut early, mut late) = pair.lockers("file")?;
        holder.expect("flock(f, LOCK_SH)", "None")?;
        writer.tell(FLOCK)?;
        writer.expect_waiting(Duration::from_millis(200))?;
        early.tell("flock(f, LOCK_SH)")?;
        early.expect_waiting(Duration::from_millis(200))?;
        late.tell("flock(f, LOCK_SH)")?;
        late.expect_waiting(Duration::from_millis(200))?;
        holder.expect("flock(f, LOCK_UN)", "None")?;
        writer.expect_answer("None", SOON)?;
        early.expect_waiting(Duration::from_millis(100))?;
        writer.expect("flock(f, LOCK_UN)", "None")?;
        early.expect_answer("None", SOON)?;
        late.expect_answer("None", SOON)
    })
}

/// Taking a mount away by force does not wait for who waits for a lock.
#[test]
fn a_forced_unmount_ends_a_wait() -> Result<()> {
    plain_pair("forced", |pair| {
        let (mut a, mut b) = pair.lockers("file")?;
        a.expect(FLOCK, "None")?;
        b.tell(FLOCK)?;
        b.expect_waiting(Duration::from_millis(200))?;
        ensure!(pair.other.try_unmount()?.status.code() == Some(EXIT_CONFLICT), "it was unmounted while in use");
        let mut command = Command::new(artifacts_binary()?);
        let output = pair.scratch.mark(&mut command).args(["unmount", "--force"]).arg(pair.other.path()).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said = b.answer_within(Duration::from_secs(30))?;
        ensure!(["EIO", "ENOTCONN", "ECONNABORTED", "EACCES"].contains(&said.as_str()), "it says {said}");
        a.expect("flock(f, LOCK_UN)", "None")
    })
}

/// A revocation ends every wait at once, like every other call.
#[test]
fn a_revocation_ends_a_wait() -> Result<()> {
    plain_pair("revoked", |pair| {
        let (mut a, mut b) = pair.lockers("file")?;
        a.expect(FLOCK, "None")?;
        b.tell(FLOCK)?;
        b.expect_waiting(Duration::from_millis(200))?;
        pair.lab.api.post("/v1/grants/revoke", &serde_json::json!({ "tenant_slug": "other" }))?;
        b.expect_answer("EACCES", Duration::from_secs(2))?;
        // The rest is not touched.
        a.expect("flock(f, LOCK_UN)", "None")?;
        sleep(Duration::from_millis(50));
        a.expect("flock(f, LOCK_EX | LOCK_NB)", "None")
    })
}
