//! When a lock ends: with its process, with a descriptor, with its open file.

use anyhow::Result;
use artifacts_tests::time::Duration;

use crate::plain_pair;

const SOON: Duration = Duration::from_secs(10);
const FLOCK: &str = "flock(f, LOCK_EX)";
const FCNTL: &str = "lock(f, F_WRLCK, wait=True)";

#[test]
fn the_locks_of_a_process_end_with_it() -> Result<()> {
    plain_pair("exit", |pair| {
        for (name, take) in [("flock", FLOCK), ("fcntl", FCNTL)] {
            for killed in [false, true] {
                let (mut a, mut b) = pair.lockers(name)?;
                a.expect(take, "None")?;
                b.tell(take)?;
                b.expect_waiting(Duration::from_millis(200))?;
                if killed {
                    a.kill()?
                } else {
                    a.end()?
                }
                b.expect_answer("None", SOON)?;
            }
        }
        Ok(())
    })
}

/// fcntl(2): "If a process closes any file descriptor referring to a file, then all of the process's locks on that file
/// are released."
#[test]
fn closing_any_descriptor_ends_the_fcntl_locks_of_the_process() -> Result<()> {
    plain_pair("close-fcntl", |pair| {
        let (mut a, mut b) = pair.lockers("file")?;
        a.expect("lock(f, F_WRLCK, 0, 10)", "None")?;
        a.expect("g = os.open('file', os.O_RDONLY)", "None")?;
        b.expect("lock(f, F_WRLCK, 0, 1)", "EAGAIN")?;
        a.expect("os.close(g)", "None")?;
        // It had returned, so the lock is gone.
        b.expect("lock(f, F_WRLCK, 0, 1)", "None")?;
        b.expect("lock(f, F_UNLCK)", "None")?;
        // A descriptor that was duplicated counts as well, and so does one of another file by its name only.
        a.expect("lock(f, F_WRLCK, 0, 10)", "None")?;
        a.expect("g = os.dup(f)", "None")?;
        a.expect("os.close(g)", "None")?;
        b.expect("lock(f, F_WRLCK, 0, 1)", "None")
    })
}

#[test]
fn a_flock_ends_with_the_last_descriptor_of_its_open_file() -> Result<()> {
    plain_pair("close-flock", |pair| {
        let (mut a, mut b) = pair.lockers("file")?;
        a.expect("flock(f, LOCK_EX)", "None")?;
        a.expect("g = os.dup(f)", "None")?;
        a.expect("os.close(f)", "None")?;
        b.expect("flock(f, LOCK_EX | LOCK_NB)", "EAGAIN")?;
        // Another open file of the same process is another owner.
        a.expect("h = os.open('file', os.O_RDWR)", "None")?;
        a.expect("flock(h, LOCK_EX | LOCK_NB)", "EAGAIN")?;
        a.expect("os.close(h)", "None")?;
        b.expect("flock(f, LOCK_EX | LOCK_NB)", "EAGAIN")?;
        // The kernel tells of the last close after it has returned, so this waits.
        b.tell("flock(f, LOCK_EX)")?;
        a.expect("os.close(g)", "None")?;
        b.expect_answer("None", SOON)
    })
}

#[test]
fn a_forked_child_shares_flocks_and_not_fcntl_locks() -> Result<()> {
    plain_pair("fork", |pair| {
        let (mut a, mut b) = pair.lockers("file")?;
        a.expect("flock(f, LOCK_EX)", "None")?;
        a.expect("lock(f, F_WRLCK)", "None")?;
        // The child lives until the other end of its pipe is closed.
        a.expect("r, w = os.pipe()", "None")?;
        a.tell("child = os.fork(); child or (os.close(w), os.read(r, 1), os._exit(0)); os.close(f)")?;
        a.expect_answer("None", SOON)?;
        b.expect("lock(f, F_WRLCK)", "None")?;
        b.expect("flock(f, LOCK_EX | LOCK_NB)", "EAGAIN")?;
        b.tell("flock(f, LOCK_EX)")?;
        b.expect_waiting(Duration::from_millis(200))?;
        a.expect("os.close(w)", "None")?;
        b.expect_answer("None", SOON)
    })
}

/// fcntl locks survive execve(2), whose new program has the same table of files.
#[test]
fn a_lock_survives_exec() -> Result<()> {
    plain_pair("exec", |pair| {
        let (mut a, mut b) = pair.lockers("file")?;
        a.expect("os.set_inheritable(f, True)", "None")?;
        a.expect("lock(f, F_WRLCK)", "None")?;
        a.expect("flock(f, LOCK_EX)", "None")?;
        a.tell("os.execvp('sh', ['sh', '-c', 'echo there; read line; exit 0'])")?;
        a.expect_answer("there", SOON)?;
        b.expect("lock(f, F_WRLCK)", "EAGAIN")?;
        b.expect("flock(f, LOCK_EX | LOCK_NB)", "EAGAIN")?;
        a.end()?;
        b.expect("lock(f, F_WRLCK, wait=True)", "None")?;
        b.expect("flock(f, LOCK_EX)", "None")
    })
}
