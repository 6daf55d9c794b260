//! Programs that rely on locks, in two mounts at once.

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::Shell;
use artifacts_tests::time::Duration;

use crate::locker::Locker;
use crate::plain_pair;

/// How many commits git makes in each mount.
const COMMITS: usize = 15;
/// Inserts rows with numbers of its own until the time is over; says how many.
const INSERTS: &str = "
import sqlite3
def inserts(path, first, seconds):
    db = sqlite3.connect(path, timeout=120, isolation_level=None)
    db.execute('PRAGMA journal_mode=DELETE')
    done, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        db.execute('BEGIN IMMEDIATE')
        db.execute('INSERT INTO entries VALUES (?, ?)', (first + done, os.urandom(300)))
        db.execute('UPDATE totals SET count = count + 1')
        db.execute('COMMIT')
        done += 1
    return done
";

/// SQLite from two mounts at once, in DELETE mode: whole, and no row lost. `ARTIFACTS_SUITES=full` does it for 60 seconds
/// instead of 8.
#[test]
fn sqlite_from_two_mounts_at_once() -> Result<()> {
    let seconds = if std::env::var_os("ARTIFACTS_SUITES").is_some_and(|value| value == "full") { 60 } else { 8 };
    plain_pair("two-sqlite", |pair| {
        let shell = Shell::new(pair.scratch, pair.one.path());
        let schema = "CREATE TABLE entries (id INTEGER PRIMARY KEY, note BLOB); CREATE INDEX notes ON entries (note);
            CREATE TABLE totals (count INTEGER); INSERT INTO totals VALUES (0);";
        shell.run("sqlite3", &["-bail", "shared.db", schema])?;
        let mut lockers = [&pair.one, &pair.other].map(|mount| Locker::start(pair.scratch, mount.path()));
        for (first, locker) in lockers.iter_mut().enumerate() {
            let Ok(locker) = locker else { continue };
            locker.expect(&format!("exec({INSERTS:?})"), "None")?;
            locker.tell(&format!("inserts('shared.db', {}, {seconds})", first * 1_000_000))?;
        }
        let mut rows = Vec::new();
        for locker in lockers {
            let said = locker?.answer_within(Duration::from_secs(seconds + 180))?;
            rows.push(said.parse::<usize>().with_context(|| format!("it says {said}"))?);
        }
        println!("sqlite: {rows:?} transactions in {seconds} s");
        ensure!(rows.iter().all(|&rows| rows > 0), "one of the two came never to its turn: {rows:?}");
        for mount in [&pair.one, &pair.other] {
            let questions = "PRAGMA integrity_check; SELECT count(*) FROM entries WHERE id < 1000000; SELECT count(*) FROM entries WHERE id >= 1000000; SELECT count FROM totals;";
            let said = Shell::new(pair.scratch, mount.path()).run("sqlite3", &["-bail", "shared.db", questions])?;
            let expected = format!("ok\n{}\n{}\n{}\n", rows[0], rows[1], rows[0] + rows[1]);
            ensure!(said == expected, "{said} instead of {expected}");
        }
        Ok(())
    })
}

/// Git in two mounts on one repository: each commits on a branch of its own, and both pack while the other works.
#[test]
fn git_from_two_mounts_at_once() -> Result<()> {
    plain_pair("two-gits", |pair| {
        let run = |shell: &Shell<'_>, arguments: &[&str]| shell.run("git", arguments);
        let origin = Shell::new(pair.scratch, pair.one.path());
        run(&origin, &["init", "--quiet", "--initial-branch=main", "shared"])?;
        let first = Shell::new(pair.scratch, pair.one.join("shared"));
        run(&first, &["commit", "--quiet", "--allow-empty", "-m", "begin"])?;
        for side in ["one", "other"] {
            run(&first, &["worktree", "add", "--quiet", "-b", side, &format!("../{side}")])?;
        }
        std::thread::scope(|scope| -> Result<()> {
            let work = |side: &'static str, dir: std::path::PathBuf| -> Result<()> {
                let shell = Shell::new(pair.scratch, &dir);
                for number in 0..COMMITS {
                    std::fs::write(dir.join(format!("{side}-{number}")), format!("{side} {number}\n").repeat(number * 50 + 1))?;
                    run(&shell, &["add", "."])?;
                    run(&shell, &["commit", "--quiet", "-m", &format!("{side} {number}")])?;
                    if number % 5 == 4 {
                        // Somebody else may be packing; then it says so and does nothing.
                        let _ = run(&shell, &["gc", "--quiet"]);
                    }
                }
                Ok(())
            };
            // A worktree is found by its path, which is that of the first mount; the second has it at its own.
            let (one, other) = (pair.one.join("one"), pair.other.join("other"));
            std::fs::write(
                pair.other.join("other/.git"),
                format!("gitdir: {}\n", pair.other.join("shared/.git/worktrees/other").display()),
            )?;
            let threads = [scope.spawn(move || work("one", one)), scope.spawn(move || work("other", other))];
            threads.into_iter().try_for_each(|thread| thread.join().ok().context("a worker panicked")?)
        })?;
        for mount in [&pair.one, &pair.other] {
            let shell = Shell::new(pair.scratch, mount.join("shared"));
            run(&shell, &["fsck", "--full", "--strict"])?;
            for side in ["one", "other"] {
                let count = run(&shell, &["rev-list", "--count", side])?;
                ensure!(count.trim() == (COMMITS + 1).to_string(), "{count} commits on {side}");
                let log = run(&shell, &["ls-tree", "--name-only", side])?;
                ensure!(log.lines().count() == COMMITS, "{} files on {side}", log.lines().count());
            }
        }
        Ok(())
    })
}
