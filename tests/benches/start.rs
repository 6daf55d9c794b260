//! How soon the program for sandboxes serves: from the start of `artifacts mount` with a ticket to the end of a first listing. `docs/benchmarks.md`
//! says what is wanted.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, now};
use artifacts_tests::{Lab, Scratch, local, millis, percentile, require_fuse, target_dir};
use serde_json::json;

const ROUNDS: usize = 40;
const WANTED_MS: f64 = 150.0;
const WANTED_BYTES: u64 = 15_000_000;

fn main() -> Result<()> {
    require_fuse()?;
    let program = program()?;
    let bytes = fs::metadata(&program)?.len();
    local("bench-start", Duration::from_secs(600), |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        lab.workspace("start")?;
        let mut served = Vec::new();
        for round in 0..ROUNDS {
            let ticket = scratch.join("ticket.json");
            fs::write(&ticket, lab.ticket("acme", &format!("run-{round}"), "acme/start", "rw")?.to_string())?;
            let mountpoint = scratch.join("mnt/start");
            let started = now();
            run(scratch, &program, &["mount", "--ticket-file"], &[&ticket, &mountpoint])?;
            ensure!(fs::read_dir(&mountpoint)?.next().is_none(), "it is not empty");
            served.push(millis(started.elapsed()));
            run(scratch, &program, &["unmount"], &[&mountpoint])?;
        }
        let (median, late) = (percentile(&mut served, 50.0), percentile(&mut served, 90.0));
        let mark = |kept: bool| if kept { "" } else { "  BROKEN" };
        println!("program for sandboxes: {bytes} bytes, wanted below {WANTED_BYTES}{}", mark(bytes < WANTED_BYTES));
        println!(
            "mount until listed, {ROUNDS} times: p50 {median:.1} ms, p90 {late:.1} ms, wanted {WANTED_MS} ms{}",
            mark(median <= WANTED_MS)
        );
        Ok(())
    })
}

fn program() -> Result<PathBuf> {
    let program = target_dir()?.join("static/artifacts-sandbox");
    ensure!(program.is_file(), "{} is missing: make static-sandbox", program.display());
    Ok(program)
}

fn run(scratch: &Scratch, program: &PathBuf, words: &[&str], paths: &[&PathBuf]) -> Result<()> {
    let mut command = Command::new(program);
    scratch.mark(&mut command).args(words).args(paths).stdin(Stdio::null());
    let output = command.output().context("artifacts")?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
