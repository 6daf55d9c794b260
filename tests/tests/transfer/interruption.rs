//! Ended in the middle, and gone on with.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, wait_until};
use artifacts_tests::{Lab, Mount, Process, mounted};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::command::Cli;

const FILES: usize = 2_000;
/// So many are there when the signal comes.
const BEFORE: usize = 20;

fn content(file: usize) -> Vec<u8> {
    vec![file as u8; 1_000 + file]
}

/// Everything under its own name is whole. Answers how many there are.
fn expect_whole(dir: &Path) -> Result<usize> {
    let mut count = 0;
    for file in 0..FILES {
        match fs::read(dir.join(file.to_string())) {
            Ok(found) => {
                ensure!(found == content(file), "{file} is torn: {} bytes", found.len());
                count += 1;
            }
            Err(error) => ensure!(error.kind() == std::io::ErrorKind::NotFound, "{file}: {error}"),
        }
    }
    Ok(count)
}

fn begin_and_signal(cli: &Cli<'_>, arguments: &[&OsStr], watched: &Mount, from: usize, signal: Signal) -> Result<std::process::Output> {
    let child = cli.start(arguments)?;
    let process = Process::with_pid(i32::try_from(child.id())?).context("the command has no process")?;
    wait_until("some files are there", Duration::from_secs(120), || Ok(fs::read_dir(watched.path())?.count() >= from + BEFORE))?;
    process.signal(signal)?;
    Ok(child.wait_with_output()?)
}

#[test]
fn an_import_that_is_interrupted_or_killed_leaves_no_torn_file_and_goes_on() -> Result<()> {
    mounted("transfer-interrupted", Duration::from_secs(10 * 60), |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let address = lab.workspace("project")?;
        let cli = Cli { lab: &lab, scratch };
        let origin = scratch.join("origin");
        fs::create_dir(&origin)?;
        for file in 0..FILES {
            fs::write(origin.join(file.to_string()), content(file))?;
        }
        let watched = lab.mount("watcher", &address)?;
        let arguments: [&OsStr; 5] = ["import".as_ref(), origin.as_ref(), address.as_ref(), "--jobs".as_ref(), "1".as_ref()];

        let interrupted = begin_and_signal(&cli, &arguments, &watched, 0, Signal::INT)?;
        ensure!(interrupted.status.code() == Some(1), "interrupted: {}", interrupted.status);
        let said: Value = serde_json::from_slice(&interrupted.stdout)?;
        let there = expect_whole(watched.path())?;
        ensure!(said["interrupted"] == true && said["files"] == there && there < FILES, "{there} files, and it said {said}");
        cli.expect_no_mounts()?;

        let killed = begin_and_signal(&cli, &arguments, &watched, there, Signal::KILL)?;
        ensure!(!killed.status.success(), "killed: {}", killed.status);
        expect_whole(watched.path())?;

        let finished = cli.succeed(&arguments)?;
        ensure!(finished["unchanged"].as_u64() >= Some((there + BEFORE) as u64 / 2), "it began anew: {finished}");
        ensure!(expect_whole(watched.path())? == FILES, "not all has come: {finished}");
        ensure!(fs::read_dir(watched.path())?.count() == FILES, "something else has come: {finished}");
        cli.expect_no_mounts()?;
        watched.unmount()
    })
}
