//! What a cache on disk saves, and what becomes of a damaged one.

use std::fs;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::Duration;
use artifacts_tests::{Credential, Lab, Mount, mounted};
use serde_json::json;

use crate::files::{FILE_BYTES, below, content, figure, read_into_cache};

#[test]
fn a_file_that_was_read_once_is_read_from_disk_after_a_remount_and_a_damaged_one_from_the_node() -> Result<()> {
    mounted("cache-disk", Duration::from_secs(5 * 60), |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let address = lab.workspace("project")?;
        let writer = lab.mount("writer", &address)?;
        let expected = content(1);
        fs::write(writer.join("file"), &expected)?;
        writer.unmount()?;

        let dir = scratch.join("cache");
        let options = ["--cache-dir", dir.to_str().context("a strange path")?, "--cache-size", "1GiB"];
        let reader = |name: &str| {
            let ticket = lab.ticket(name, "r", &address, "ro")?;
            Mount::with_options(scratch, name, &Credential::Ticket(ticket), &options)
        };
        let cold = reader("cold")?;
        read_into_cache(&cold, &dir, "project", &expected)?;
        let fetched = figure(&cold, "/cache/misses")? << 20;
        ensure!(fetched + figure(&cold, "/cache/prefetched_bytes")? >= FILE_BYTES as u64, "read from nowhere: {}", cold.status()?);
        cold.unmount()?;
        let files = below(&dir);
        ensure!(files.len() >= 2, "the cache holds {files:?}");
        for file in &files {
            ensure!(fs::metadata(file)?.permissions().mode() & 0o777 == 0o600, "{} is not private", file.display());
        }

        let warm = reader("warm")?;
        read_into_cache(&warm, &dir, "project", &expected)?;
        for figure_of in ["/cache/misses", "/cache/prefetched_bytes", "/cache/disk/rotten"] {
            ensure!(figure(&warm, figure_of)? == 0, "{figure_of} of a warm cache: {}", warm.status()?);
        }
        ensure!(figure(&warm, "/cache/disk_hits")? > 0, "nothing came from disk: {}", warm.status()?);
        warm.unmount()?;

        for (number, file) in files.iter().enumerate() {
            let file = fs::OpenOptions::new().write(true).open(file)?;
            if number % 2 == 0 { file.write_all_at(b"rotten", 1000)? } else { file.set_len(5)? }
        }
        let damaged = reader("damaged")?;
        ensure!(fs::read(damaged.join("file"))? == expected, "the file reads wrong from damaged files");
        ensure!(figure(&damaged, "/cache/disk/rotten")? >= 2, "the damage was not seen: {}", damaged.status()?);
        damaged.unmount()
    })
}

#[test]
fn a_disk_that_is_full_or_no_directory_at_all_costs_the_cache_and_nothing_else() -> Result<()> {
    mounted("cache-full", Duration::from_secs(5 * 60), |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let address = lab.workspace("project")?;
        let writer = lab.mount("writer", &address)?;
        let expected = content(2);
        fs::write(writer.join("file"), &expected)?;
        writer.unmount()?;

        let full = scratch.join("mnt/full");
        fs::create_dir(&full)?;
        let made = Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(&full).status()?;
        ensure!(made.success(), "no tmpfs: {made}");
        let file = scratch.join("no-directory");
        fs::write(&file, "a file")?;
        for (name, dir) in [("full", &full), ("file", &file), ("below-a-file", &file.join("cache"))] {
            let ticket = lab.ticket(name, "r", &address, "ro")?;
            let options = ["--cache-dir", dir.to_str().context("a strange path")?];
            let mount = Mount::with_options(scratch, &format!("on-{name}"), &Credential::Ticket(ticket), &options)?;
            ensure!(fs::read(mount.join("file"))? == expected, "{name}: the file reads wrong");
            artifacts_tests::time::wait_until("the disk is left alone", Duration::from_secs(60), || {
                Ok(mount.status()?["cache"]["disk"]["working"] == false)
            })?;
            ensure!(mount.status()?["health"] == "ok", "{name}: {}", mount.status()?);
            mount.unmount()?;
        }
        let unmounted = Command::new("umount").arg(&full).status()?;
        ensure!(unmounted.success(), "the tmpfs is still in use: {unmounted}");
        Ok(())
    })
}
