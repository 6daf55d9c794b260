//! Who gets a lock.

use anyhow::{Result, ensure};
use artifacts_tests::time::Duration;

use crate::locker::Locker;
use crate::plain_pair;

const SOON: Duration = Duration::from_secs(10);

#[test]
fn flocks_of_two_mounts_exclude_each_other_as_their_modes_say() -> Result<()> {
    plain_pair("flock", |pair| {
        let (mut a, mut b) = pair.lockers("file")?;
        a.expect("flock(f, LOCK_SH)", "None")?;
        b.expect("flock(f, LOCK_SH | LOCK_NB)", "None")?;
        b.expect("flock(f, LOCK_EX | LOCK_NB)", "EAGAIN")?;
        a.expect("flock(f, LOCK_EX | LOCK_NB)", "None")?;
        b.expect("flock(f, LOCK_SH | LOCK_NB)", "EAGAIN")?;
        a.expect("flock(f, LOCK_SH)", "None")?;
        b.expect("flock(f, LOCK_SH | LOCK_NB)", "None")?;
        a.expect("flock(f, LOCK_UN)", "None")?;
        b.expect("flock(f, LOCK_EX | LOCK_NB)", "None")?;
        // Converting waits like any other.
        a.tell("flock(f, LOCK_EX)")?;
        a.expect_waiting(Duration::from_millis(300))?;
        b.expect("flock(f, LOCK_UN)", "None")?;
        a.expect_answer("None", SOON)
    })
}

#[test]
fn byte_ranges_of_two_mounts_exclude_each_other_where_they_meet() -> Result<()> {
    plain_pair("ranges", |pair| {
        let (mut a, mut b) = pair.lockers("file")?;
        a.expect("lock(f, F_WRLCK, 0, 10)", "None")?;
        b.expect("lock(f, F_WRLCK, 10, 10)", "None")?;
        b.expect("lock(f, F_RDLCK, 9, 1)", "EAGAIN")?;
        a.expect("lock(f, F_RDLCK, 5, 5)", "None")?;
        b.expect("lock(f, F_RDLCK, 5, 5)", "None")?;
        b.expect("lock(f, F_RDLCK, 4, 1)", "EAGAIN")?;
        a.expect("lock(f, F_UNLCK, 0, 3)", "None")?;
        b.expect("lock(f, F_WRLCK, 0, 3)", "None")?;
        b.expect("lock(f, F_WRLCK, 3, 1)", "EAGAIN")?;
        // To the end of the file and beyond, wherever that is.
        a.expect("lock(f, F_WRLCK, 100, 0)", "None")?;
        b.expect("lock(f, F_WRLCK, 1 << 40, 1)", "EAGAIN")?;
        // A wait for two ranges ends when both are free.
        b.tell("lock(f, F_WRLCK, 3, 100, wait=True)")?;
        a.expect("lock(f, F_UNLCK, 100, 0)", "None")?;
        b.expect_waiting(Duration::from_millis(300))?;
        a.expect("lock(f, F_UNLCK, 0, 0)", "None")?;
        b.expect_answer("None", SOON)
    })
}

#[test]
fn flock_and_fcntl_do_not_see_each_other() -> Result<()> {
    plain_pair("spaces", |pair| {
        let (mut a, mut b) = pair.lockers("file")?;
        a.expect("flock(f, LOCK_EX)", "None")?;
        b.expect("lock(f, F_WRLCK)", "None")?;
        a.expect("lock(f, F_WRLCK)", "EAGAIN")?;
        b.expect("flock(f, LOCK_EX | LOCK_NB)", "EAGAIN")?;
        // Both at once, and each ends by itself.
        b.expect("lock(f, F_UNLCK)", "None")?;
        a.expect("lock(f, F_WRLCK)", "None")?;
        a.expect("flock(f, LOCK_UN)", "None")?;
        b.expect("flock(f, LOCK_EX | LOCK_NB)", "None")?;
        b.expect("lock(f, F_WRLCK)", "EAGAIN")
    })
}

#[test]
fn getlk_names_the_holder_on_the_other_mount() -> Result<()> {
    plain_pair("getlk", |pair| {
        let (mut a, mut b) = pair.lockers("file")?;
        b.expect("test(f, F_WRLCK)", "None")?;
        a.expect("lock(f, F_RDLCK, 10, 20)", "None")?;
        b.expect("test(f, F_RDLCK)", "None")?;
        b.expect("test(f, F_WRLCK, 30, 1)", "None")?;
        b.expect("test(f, F_WRLCK, 0, 0)", &format!("(0, 10, 20, {})", a.pid()))?;
        a.expect("lock(f, F_WRLCK, 100, 0)", "None")?;
        b.expect("test(f, F_RDLCK, 50, 0)", &format!("(1, 100, 0, {})", a.pid()))?;
        a.expect("test(f, F_WRLCK)", "None")?;
        let listed = b.ask("os.lseek(f, 0, os.SEEK_CUR)")?;
        ensure!(listed == "0", "asking has moved the offset");
        Ok(())
    })
}

#[test]
fn locks_of_open_files_belong_to_the_open_file() -> Result<()> {
    plain_pair("ofd", |pair| {
        let (mut a, mut b) = pair.lockers("file")?;
        a.expect("ofd(f, F_WRLCK, 0, 10)", "None")?;
        b.expect("lock(f, F_WRLCK, 0, 1)", "EAGAIN")?;
        b.expect("ofd(f, F_WRLCK, 5, 1)", "EAGAIN")?;
        // Another open file of the same process is another owner, and closing it takes nothing away.
        a.expect("g = os.open('file', os.O_RDWR)", "None")?;
        a.expect("ofd(g, F_WRLCK, 0, 1)", "EAGAIN")?;
        a.expect("os.close(g)", "None")?;
        b.expect("ofd(f, F_WRLCK, 5, 1)", "EAGAIN")?;
        // A descriptor that shares it shares its locks, and the last close ends them.
        a.expect("h = os.dup(f)", "None")?;
        a.expect("os.close(f)", "None")?;
        b.expect("ofd(f, F_WRLCK, 5, 1)", "EAGAIN")?;
        b.tell("ofd(f, F_WRLCK, 5, 1, wait=True)")?;
        a.expect("os.close(h)", "None")?;
        b.expect_answer("None", SOON)
    })
}

#[test]
fn a_read_only_descriptor_takes_shared_locks_and_any_flock() -> Result<()> {
    plain_pair("read-only", |pair| {
        let (mut a, mut b) = pair.lockers("file")?;
        a.expect("r = os.open('file', os.O_RDONLY)", "None")?;
        a.expect("lock(r, F_RDLCK, 0, 5)", "None")?;
        a.expect("lock(r, F_WRLCK, 0, 5)", "EBADF")?;
        b.expect("lock(f, F_WRLCK, 0, 1)", "EAGAIN")?;
        a.expect("flock(r, LOCK_EX)", "None")?;
        b.expect("flock(f, LOCK_SH | LOCK_NB)", "EAGAIN")?;
        // Closing it takes the process's own locks away, whichever descriptor they were made with.
        a.expect("lock(f, F_WRLCK, 10, 5)", "None")?;
        a.expect("os.close(r)", "None")?;
        b.expect("lock(f, F_WRLCK, 0, 15)", "None")?;
        let mut c = Locker::with_file(pair.scratch, pair.one.path(), "file")?;
        c.expect("lock(f, F_RDLCK, 14, 1)", "EAGAIN")
    })
}
