//! How long it takes until one mount sees what another has done: from the return of the call to the return of the first
//! one elsewhere that shows it.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;

use anyhow::{Result, ensure};
use artifacts_tests::time::{Duration, now};
use artifacts_tests::{Mount, Table, millis};
use serde_json::{Value, json};

use crate::spread::Spread;

const PATIENCE: Duration = Duration::from_secs(10);

/// Measures a create, an overwrite and an append, from either mount to the other in turn.
pub(crate) fn measure(mounts: &[Mount], rounds: usize) -> Result<Value> {
    let (mut created, mut overwritten, mut appended, mut late) = (Vec::new(), Vec::new(), Vec::new(), 0);
    fs::write(mounts[0].join("overwritten"), [0; 8])?;
    File::create(mounts[0].join("appended"))?;
    for round in 0..rounds {
        let (here, there) = (&mounts[round % 2], &mounts[1 - round % 2]);
        let name = format!("created-{round}");
        File::create_new(here.join(&name))?;
        created.push(until(&mut late, || Ok(fs::exists(there.join(&name))?))?);

        let (writer, reader) = (OpenOptions::new().write(true).open(here.join("overwritten"))?, File::open(there.join("overwritten"))?);
        let (new, mut read) = ((round as u64 + 1).to_le_bytes(), [0; 8]);
        writer.write_all_at(&new, 0)?;
        overwritten.push(until(&mut late, || {
            reader.read_exact_at(&mut read, 0)?;
            Ok(read == new)
        })?);

        let mut writer = OpenOptions::new().append(true).open(here.join("appended"))?;
        let reader = File::open(there.join("appended"))?;
        writer.write_all(&new)?;
        appended.push(until(&mut late, || Ok(reader.read_at(&mut read, round as u64 * 8)? == 8 && read == new))?);
    }
    ensure!(late == 0, "{late} calls that began after a change had returned did not show it");
    let spreads = [("create", created), ("overwrite", overwritten), ("append", appended)].map(|(what, took)| Spread::of(what, took));
    println!("\nvisibility from mount to mount, {rounds} rounds, milliseconds ({})", Spread::wanted());
    let mut table = Table::new(&["", "p50", "p99", "max", ""]);
    spreads.iter().for_each(|spread| table.row(spread.row()));
    table.print();
    Ok(json!(spreads.map(|spread| spread.to_json())))
}

/// Milliseconds until it is seen; counts who looked in vain.
fn until(late: &mut usize, mut is_seen: impl FnMut() -> Result<bool>) -> Result<f64> {
    let start = now();
    while !is_seen()? {
        *late += 1;
        ensure!(start.elapsed() < PATIENCE, "it is never seen");
    }
    Ok(millis(start.elapsed()))
}
