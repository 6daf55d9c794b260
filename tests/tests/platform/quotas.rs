//! "Usage and hard quotas": eight mounts write against one quota.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::thread;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, wait_until};
use artifacts_tests::{Lab, Mount, mounted};
use rustix::fs::statvfs;
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(10 * 60);
/// Only a guard against hanging.
const PATIENCE: Duration = Duration::from_secs(60);
const MOUNTS: usize = 8;
/// No multiple of anything.
const QUOTA: u64 = 6 * 1024 * 1024 + 1_237;
const MORE: u64 = 70_001;

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::QuotaExceeded | io::ErrorKind::StorageFull)
}

/// Writes behind what the file has, in ever smaller pieces, until not even one byte fits.
fn fill(path: &Path) -> Result<()> {
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    let data = vec![7; 64 * 1024];
    let (mut offset, mut piece) = (file.metadata()?.len(), data.len());
    while piece > 0 {
        match file.write_at(&data[..piece], offset) {
            Ok(written) => offset += written as u64,
            Err(error) if is_full(&error) => piece /= 2,
            Err(error) => return Err(error).with_context(|| format!("at {offset} of {}", path.display())),
        }
    }
    file.sync_all()?;
    Ok(())
}

fn fill_all(mounts: &[Mount]) -> Result<()> {
    thread::scope(|scope| {
        let writers: Vec<_> =
            mounts.iter().enumerate().map(|(number, mount)| scope.spawn(move || fill(&mount.join(format!("file-{number}"))))).collect();
        writers.into_iter().try_for_each(|writer| writer.join().ok().context("a writer panicked")?)
    })
}

fn held(mount: &Mount) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(mount.path())? {
        sum += entry?.metadata()?.len();
    }
    Ok(sum)
}

#[test]
fn eight_mounts_end_at_exactly_the_quota_and_room_that_is_freed_is_room_again() -> Result<()> {
    mounted("quota-of-eight", LIMIT, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let made = lab.api.post("/v1/workspaces", &json!({ "name": "full", "quota_bytes": QUOTA }))?;
        let workspace = made["address"].as_str().context("no address")?;
        let mounts = (0..MOUNTS).map(|number| lab.mount(&format!("m{number}"), workspace)).collect::<Result<Vec<_>>>()?;
        let usage = || lab.api.get("/v1/workspaces/acme/full/usage");
        fill_all(&mounts)?;
        for mount in &mounts {
            ensure!(held(mount)? == QUOTA, "{} bytes are there by one mount", held(mount)?);
        }
        ensure!(usage()?["bytes"] == QUOTA, "{}", usage()?);
        ensure!(statvfs(mounts[0].path())?.f_bavail == 0);

        // Whoever deletes makes room, for the others as well.
        let freed = fs::metadata(mounts[3].join("file-3"))?.len();
        ensure!(freed > 0, "one of eight wrote nothing");
        fs::remove_file(mounts[3].join("file-3"))?;
        wait_until("what was deleted is not counted", PATIENCE, || Ok(usage()?["bytes"] == QUOTA - freed))?;
        fill_all(&mounts)?;
        ensure!(held(&mounts[5])? == QUOTA && usage()?["bytes"] == QUOTA, "{}", usage()?);

        // More, while all of them have it mounted.
        let reply = lab.api.send("PATCH", "/v1/workspaces/acme/full", Some(&json!({ "quota_bytes": QUOTA + MORE })))?;
        ensure!(reply.status == 200, "{}", reply.text);
        fill_all(&mounts)?;
        ensure!(held(&mounts[0])? == QUOTA + MORE, "{} after there was more", held(&mounts[0])?);
        mounts.into_iter().try_for_each(Mount::unmount)
    })
}

/// A mount that is alone decides by itself, and knows its quota, also a new one.
#[test]
fn a_mount_that_decides_by_itself_keeps_the_quota_to_the_byte() -> Result<()> {
    mounted("quota-of-one", LIMIT, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let workspace = lab.workspace("full")?;
        let mount = lab.mount("alone", &workspace)?;
        fs::write(mount.join("file-0"), "begun without a limit")?;
        for quota in [100_003, 250_007] {
            let reply = lab.api.send("PATCH", "/v1/workspaces/acme/full", Some(&json!({ "quota_bytes": quota })))?;
            ensure!(reply.status == 200, "{}", reply.text);
            fill(&mount.join("file-0"))?;
            ensure!(held(&mount)? == quota, "{} of {quota}", held(&mount)?);
            let usage = lab.api.get("/v1/workspaces/acme/full/usage")?;
            ensure!(usage["bytes"] == quota, "{usage}");
        }
        mount.unmount()
    })
}
