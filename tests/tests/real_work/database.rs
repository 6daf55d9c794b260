//! A database in a mount.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Result, ensure};
use artifacts_tests::{Scratch, Shell};

/// How many transactions.
const TRANSACTIONS: usize = 500;

/// 500 transactions, each committed by itself, in `mount/orders.db`, then an integrity check.
pub(crate) fn transactions(scratch: &Scratch, mount: &Path) -> Result<()> {
    let shell = Shell::new(scratch, mount);
    let mut script = String::from("CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT);\nCREATE INDEX notes ON orders (note);\n");
    for id in 0..TRANSACTIONS {
        writeln!(script, "BEGIN; INSERT INTO orders VALUES ({id}, hex(randomblob(200))); COMMIT;")?;
    }
    shell.run_with_input("sqlite3", &["-bail", "orders.db"], &script)?;
    expect_whole(scratch, mount)
}

/// Checks that the database holds everything that was committed.
pub(crate) fn expect_whole(scratch: &Scratch, mount: &Path) -> Result<()> {
    let shell = Shell::new(scratch, mount);
    let told = shell.run("sqlite3", &["-bail", "orders.db", "PRAGMA integrity_check; SELECT count(*), min(length(note)) FROM orders;"])?;
    ensure!(told == format!("ok\n{TRANSACTIONS}|400\n"), "the database says {told}");
    Ok(())
}
