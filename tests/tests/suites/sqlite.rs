//! SQLite in both journal modes: a writer that commits one transaction after the other while another process reads,
//! and is killed in the middle, again and again.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::place::{Place, suite};

/// How often the writer of each mode is killed, in a bounded and in a full run.
const KILLS: (usize, usize) = (3, 40);
/// The fewest and the most transactions before a kill.
const TRANSACTIONS: (usize, usize) = (20, 220);

/// Says the number of each transaction once it is committed.
const WRITER: &str = "
import os, sqlite3, sys
path, mode = sys.argv[1:]
db = sqlite3.connect(path, timeout=120, isolation_level=None)
found, = db.execute(f'PRAGMA journal_mode={mode}').fetchone()
assert found == mode, found
db.execute('PRAGMA synchronous=FULL')
db.execute('CREATE TABLE IF NOT EXISTS entries (id INTEGER PRIMARY KEY, note BLOB)')
db.execute('CREATE INDEX IF NOT EXISTS notes ON entries (note)')
db.execute('CREATE TABLE IF NOT EXISTS totals (one INTEGER PRIMARY KEY, count INTEGER, sum INTEGER)')
db.execute('INSERT OR IGNORE INTO totals VALUES (1, 0, 0)')
while True:
    db.execute('BEGIN IMMEDIATE')
    number = db.execute('SELECT count FROM totals').fetchone()[0] + 1
    db.execute('INSERT INTO entries VALUES (?, ?)', (number, os.urandom(20 + number * 37 % 3000)))
    db.execute('UPDATE totals SET count = count + 1, sum = sum + ?', (number,))
    db.execute('COMMIT')
    print(number, flush=True)
";

/// Looks at one state of the database after the other; says how many it has seen, and ends if one is not whole.
const READER: &str = "
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=120, isolation_level=None)
seen = 0
while True:
    row = db.execute('SELECT (SELECT count(*) FROM entries) - count, (SELECT sum(id) FROM entries) - sum FROM totals').fetchone()
    assert row == (0, 0), row
    seen += 1
    print(seen, flush=True)
";

#[test]
fn sqlite() -> Result<()> {
    suite("sqlite", |place, scale| {
        place.dir("sqlite")?;
        let kills = scale.pick(KILLS.0, KILLS.1);
        for mode in ["delete", "wal"] {
            let mut committed = 0;
            for kill in 0..kills {
                // Spread evenly, in an order that looks like none.
                let more = TRANSACTIONS.0 + (kill * 7919 + 97) % (TRANSACTIONS.1 - TRANSACTIONS.0);
                committed = round(place, mode, committed, more).with_context(|| format!("journal mode {mode}, kill {kill}"))?;
                if kill == kills / 2 {
                    place.remount()?;
                    expect_whole(place, mode, committed, committed).context("in another mount")?;
                }
            }
            println!("sqlite, journal mode {mode}: {committed} transactions, {kills} kills");
        }
        place.remount()
    })
}

/// Runs writer and reader for some transactions, kills the writer, and gives how many are committed then.
fn round(place: &Place<'_>, mode: &str, before: usize, more: usize) -> Result<usize> {
    let mut writer = Script::start(place, WRITER, &[&database(mode), mode])?;
    // The first transaction makes the tables.
    ensure!(writer.next_number()? == before + 1, "the writer does not go on after {before} transactions");
    let mut reader = Script::start(place, READER, &[&database(mode)])?;
    let mut said = before + 1;
    while said < before + more {
        said = writer.next_number()?;
    }
    reader.next_number().context("the reader")?;
    writer.child.kill()?;
    writer.child.wait()?;
    // What was committed between the last look and the kill.
    let mut line = String::new();
    while writer.lines.read_line(&mut line)? > 0 {
        said = line.trim().parse().unwrap_or(said);
        line.clear();
    }
    reader.expect_running().context("the reader")?;
    // While somebody has the database open, a transaction that is in the log and not yet in its index stays unseen; the
    // next who opens it first finds it.
    drop(reader);
    expect_whole(place, mode, said, said + 1)
}

fn database(mode: &str) -> String {
    format!("sqlite/{mode}.db")
}

/// Checks the database with another program, and that it holds all transactions up to one of `least` to `most`.
fn expect_whole(place: &Place<'_>, mode: &str, least: usize, most: usize) -> Result<usize> {
    let questions = "PRAGMA busy_timeout = 120000; PRAGMA integrity_check; SELECT count(*), max(id), sum(id) FROM entries; SELECT count, sum FROM totals;";
    let said = place.shell(place.path()).run("sqlite3", &["-bail", "-batch", &database(mode), questions])?;
    let lines: Vec<&str> = said.lines().skip(1).collect();
    let count: usize = lines.last().and_then(|line| line.split('|').next()).and_then(|count| count.parse().ok()).context("no count")?;
    let sum = count * (count + 1) / 2;
    ensure!(lines == ["ok", &format!("{count}|{count}|{sum}"), &format!("{count}|{sum}")], "not whole: {said}");
    ensure!((least..=most).contains(&count), "{count} transactions are there, and {least} to {most} were committed");
    Ok(count)
}

/// A Python program in the mount that prints a number a line.
struct Script {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Script {
    fn start(place: &Place<'_>, text: &str, arguments: &[&str]) -> Result<Self> {
        let mut command: Command = place.shell(place.path()).command("python3");
        command.args(["-c", text]).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().context("python3 is needed (make deps installs it)")?;
        let lines = BufReader::new(child.stdout.take().context("no standard output")?);
        Ok(Self { child, lines })
    }

    fn next_number(&mut self) -> Result<usize> {
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        line.trim().parse().with_context(|| format!("it ended: {:?}", self.child.wait()))
    }

    fn expect_running(&mut self) -> Result<()> {
        ensure!(self.child.try_wait()?.is_none(), "it ended by itself");
        Ok(())
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
