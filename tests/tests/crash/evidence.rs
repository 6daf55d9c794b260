//! What a round that failed leaves for whoever looks for the reason.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use artifacts_tests::{Lab, Scratch};

use crate::round::{Report, Round};

/// Copies it to a directory of its own that stays.
pub(crate) fn keep(scratch: &Scratch, lab: &Lab, round: &Round, report: &Report) -> Result<PathBuf> {
    let kept =
        tempfile::Builder::new().prefix(&format!("artifacts-crash-{}-{}-", round.seed, round.number)).disable_cleanup(true).tempdir()?;
    let directory = kept.path().to_owned();
    let mut text = format!("{round:?}\n{:?}\n", report.problem);
    for (number, mount) in report.history.mounts.iter().enumerate() {
        writeln!(text, "\nmount {number}, kept: {:?}, ended by {:?}", mount.kept, report.ended_by[number])?;
        for (index, record) in mount.records.iter().enumerate() {
            writeln!(text, "{index:>4} {:>16} {:?} {record:?}", record.start_ns, record.end_ns.map(|end_ns| end_ns - record.start_ns))?;
        }
    }
    fs::write(directory.join("history"), text)?;
    fs::write(directory.join("left"), report.image.describe())?;
    copy(&scratch.join("logs"), &directory.join("logs"))?;
    copy(lab.node.data(), &directory.join("data"))?;
    Ok(directory)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else if fs::copy(entry.path(), &target).is_err() {
            // The node lives and may have removed it.
            continue;
        }
    }
    Ok(())
}
