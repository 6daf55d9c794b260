//! What becomes of locks when those who hold them are stopped, killed or cut off, and when the node is.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, now, sleep, wait_until};
use artifacts_tests::{Lab, mounted};
use rustix::process::Signal;
use serde_json::json;

use crate::locker::Locker;
use crate::{pair, plain_pair};

const LEASE_MS: u64 = 3_000;
const LEASE: Duration = Duration::from_millis(LEASE_MS);
const SOON: Duration = Duration::from_secs(10);
/// The lease, and what may be added to it.
const PASSES_WITHIN: Duration = Duration::from_millis(LEASE_MS + 1_000);
const FLOCK: &str = "flock(f, LOCK_EX)";
const FCNTL: &str = "lock(f, F_WRLCK, wait=True)";

/// A frozen holder thaws and writes after its lock was given away: it sees EIO, and no byte has changed.
#[test]
fn a_frozen_holder_that_thaws_changes_nothing_after_its_lock_was_given_away() -> Result<()> {
    for (name, take) in [("frozen-flock", FLOCK), ("frozen-fcntl", FCNTL)] {
        pair(name, &json!({ "session_lease_ms": LEASE_MS }), |pair| {
            let (mut a, mut b) = pair.lockers("file")?;
            a.expect(take, "None")?;
            a.expect("os.pwrite(f, b'first', 0)", "5")?;
            // What a mount has decided under a lease and not sent goes with it.
            a.expect("os.fsync(f)", "None")?;
            pair.one.agent().signal(Signal::STOP)?;
            let start = now();
            // On its way when the mount is stopped, it comes when the mount is not.
            a.tell("os.pwrite(f, b'LATE!', 0)")?;
            b.tell(take)?;
            b.expect_answer("None", PASSES_WITHIN + SOON)?;
            let passed = start.elapsed();
            ensure!(passed >= LEASE - Duration::from_millis(500), "the lock passed on after {passed:?}, before the lease was over");
            ensure!(passed <= PASSES_WITHIN, "the lock passed on after {passed:?}");
            println!("{name}: the lock passed on after {passed:?}");
            b.expect("os.pread(f, 100, 0)", "b'first'")?;
            b.expect("os.pwrite(f, b'second', 0)", "6")?;
            pair.one.agent().signal(Signal::CONT)?;
            a.expect_answer("EIO", SOON)?;
            a.expect("os.pwrite(f, b'LATE!', 0)", "EIO")?;
            a.expect("os.pread(f, 5, 0)", "EIO")?;
            sleep(Duration::from_millis(500));
            b.expect("os.pread(f, 100, 0)", "b'second'")?;
            ensure!(fs::read(pair.other.join("file"))? == b"second", "the late write has changed the file");
            Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn a_frozen_holder_whose_lock_nobody_wants_goes_on_with_it() -> Result<()> {
    pair("unwanted", &json!({ "session_lease_ms": LEASE_MS }), |pair| {
        let (mut a, mut b) = pair.lockers("file")?;
        a.expect(FLOCK, "None")?;
        a.expect("lock(f, F_WRLCK, 0, 10)", "None")?;
        pair.one.agent().signal(Signal::STOP)?;
        sleep(LEASE + Duration::from_secs(2));
        // What nobody holds others may have.
        b.expect("lock(f, F_WRLCK, 10, 10)", "None")?;
        pair.one.agent().signal(Signal::CONT)?;
        // Until the node has confirmed that the session stands, calls fail.
        wait_until("the mount is back", SOON, || Ok(a.ask("os.pwrite(f, b'still here', 0)")? == "10"))?;
        b.expect("flock(f, LOCK_EX | LOCK_NB)", "EAGAIN")?;
        b.expect("lock(f, F_WRLCK, 9, 1)", "EAGAIN")?;
        a.expect("flock(f, LOCK_UN)", "None")?;
        b.expect("flock(f, LOCK_EX | LOCK_NB)", "None")
    })
}

/// The locks of a mount whose agent was killed end with its lease, shared ones too.
#[test]
fn the_locks_of_a_killed_agent_pass_on_with_its_lease() -> Result<()> {
    for (name, held, wanted) in
        [("killed-exclusive", FLOCK, FLOCK), ("killed-shared", "flock(f, LOCK_SH)", FLOCK), ("killed-fcntl", FCNTL, FCNTL)]
    {
        pair(name, &json!({ "session_lease_ms": LEASE_MS }), |pair| {
            let (mut a, mut b) = pair.lockers("file")?;
            a.expect(held, "None")?;
            pair.one.agent_gone()?;
            let start = now();
            b.tell(wanted)?;
            b.expect_answer("None", PASSES_WITHIN + SOON)?;
            println!("{name}: the lock passed on after {:?}", start.elapsed());
            ensure!(start.elapsed() <= PASSES_WITHIN, "the lock passed on after {:?}", start.elapsed());
            b.expect("os.pwrite(f, b'mine', 0)", "4")
        })?;
    }
    Ok(())
}

/// After the node has been killed holders hold and waiters wait on, in their order.
#[test]
fn a_killed_node_takes_no_lock_away_and_gives_none_twice() -> Result<()> {
    plain_pair("node-kill", |pair| {
        let (mut a, mut b) = pair.lockers("flock")?;
        let (mut c, mut d) = pair.lockers("fcntl")?;
        let (mut late, mut later) = pair.lockers("flock")?;
        a.expect(FLOCK, "None")?;
        c.expect("lock(f, F_WRLCK, 0, 10)", "None")?;
        c.expect("lock(f, F_RDLCK, 20, 10)", "None")?;
        b.tell(FLOCK)?;
        d.tell("lock(f, F_WRLCK, 5, 20, wait=True)")?;
        b.expect_waiting(Duration::from_millis(200))?;
        for _ in 0..2 {
            pair.lab.node.kill()?;
            sleep(Duration::from_millis(300));
            pair.lab.node.start_again()?;
            b.expect_waiting(Duration::from_millis(500))?;
            d.expect_waiting(Duration::ZERO)?;
            late.expect("flock(f, LOCK_SH | LOCK_NB)", "EAGAIN")?;
        }
        later.tell(FLOCK)?;
        later.expect_waiting(Duration::from_millis(200))?;
        a.expect("flock(f, LOCK_UN)", "None")?;
        b.expect_answer("None", SOON).context("who has waited since before the kills")?;
        later.expect_waiting(Duration::from_millis(200))?;
        b.expect("flock(f, LOCK_UN)", "None")?;
        later.expect_answer("None", SOON)?;
        c.expect("lock(f, F_UNLCK, 0, 10)", "None")?;
        d.expect_waiting(Duration::from_millis(200))?;
        c.expect("lock(f, F_UNLCK, 20, 10)", "None")?;
        d.expect_answer("None", SOON)
    })
}

/// A lock that was let go, or asked for, while the node was away is so when it is back.
#[test]
fn what_is_done_with_locks_while_the_node_is_away_happens_once_it_is_back() -> Result<()> {
    plain_pair("node-away", |pair| {
        let (mut a, mut b) = pair.lockers("file")?;
        let (mut c, _d) = pair.lockers("file")?;
        a.expect(FLOCK, "None")?;
        pair.lab.node.kill()?;
        a.tell("flock(f, LOCK_UN)")?;
        b.tell(FLOCK)?;
        // A wait that nobody has answered can be interrupted all the same, once there is somebody to cancel it.
        c.expect("alarm(0.2)", "None")?;
        c.tell("lock(f, F_WRLCK, wait=True) or 'held'")?;
        sleep(Duration::from_millis(500));
        pair.lab.node.start_again()?;
        a.expect_answer("None", SOON)?;
        b.expect_answer("None", SOON)?;
        let said = c.answer_within(SOON)?;
        ensure!(said == "held" || said == "EINTR", "it says {said}");
        a.expect("flock(f, LOCK_SH | LOCK_NB)", "EAGAIN")
    })
}

/// A page that was mapped before somebody else wrote is not shown under a lock, though the writer has gone and the mount is
/// alone by then.
#[test]
fn what_was_mapped_before_the_writer_went_is_not_shown_under_a_lock() -> Result<()> {
    mounted("mapped", Duration::from_secs(5 * 60), |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let workspace = lab.workspace("shared")?;
        let one = lab.mount("one", &workspace)?;
        let mut a = Locker::with_file(scratch, one.path(), "file")?;
        a.expect("os.pwrite(f, b'0' * 4096, 0)", "4096")?;
        a.expect("import mmap; m = mmap.mmap(f, 4096)", "None")?;
        for round in 1..6 {
            let other = lab.mount(&format!("other-{round}"), &workspace)?;
            let mut b = Locker::with_file(scratch, other.path(), "file")?;
            b.expect(FLOCK, "None")?;
            a.expect("m[:1]", &format!("b'{}'", round - 1))?;
            b.expect(&format!("os.pwrite(f, b'{round}', 0)"), "1")?;
            b.end()?;
            other.unmount()?;
            a.expect(FLOCK, "None")?;
            a.expect("m[:1]", &format!("b'{round}'"))?;
            a.expect("flock(f, LOCK_UN)", "None")?;
        }
        a.end()?;
        one.unmount()
    })
}

/// Nothing that is read after a lock was granted is older than what its holder before has written, through mappings and
/// open descriptors too.
#[test]
fn nothing_read_under_a_lock_is_older_than_the_holder_before_has_written() -> Result<()> {
    plain_pair("fresh", |pair| {
        let (mut a, mut b) = pair.lockers("file")?;
        let map = "import mmap; m = mmap.mmap(f, 4096)";
        a.expect("os.pwrite(f, b'%04096d' % 0, 0)", "4096")?;
        for locker in [&mut a, &mut b] {
            locker.expect(map, "None")?;
            locker.expect("r = os.open('file', os.O_RDONLY)", "None")?;
        }
        let cases =
            [("flock(f, LOCK_EX)", "flock(f, LOCK_SH)", "flock(f, LOCK_UN)"), (FCNTL, "lock(f, F_RDLCK, wait=True)", "lock(f, F_UNLCK)")];
        for round in 1..200 {
            let (take, share, give) = cases[round % 2];
            let (writer, reader) = if round % 4 < 2 { (&mut a, &mut b) } else { (&mut b, &mut a) };
            let expected = format!("b'{round:04096}'");
            writer.expect(take, "None")?;
            reader.tell(share)?;
            writer.expect(&format!("os.pwrite(f, b'%04096d' % {round}, 0)"), "4096")?;
            writer.expect(give, "None")?;
            reader.expect_answer("None", SOON)?;
            for how in ["m[:]", "os.pread(r, 4096, 0)", "os.pread(f, 4096, 0)"] {
                let said = reader.ask(how)?;
                ensure!(said == expected, "round {round}: {how} shows {} instead of {round}", said.trim_start_matches("b'0"));
            }
            reader.expect(give, "None")?;
        }
        Ok(())
    })
}
