//! "With encryption on, no plaintext of a known file is found in bucket, node data or disk cache."

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, wait_until};
use artifacts_tests::{Credential, Lab, Mount, NodeOptions, mounted};
use rustix::fs::{XattrFlags, setxattr};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(10 * 60);
/// Nothing else has it in it.
const KNOWN: &str = "the-known-plaintext-of-this-test-4711";
const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
const OTHER_KEY: &str = "CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=";
const LARGE_BYTES: usize = 3 << 20;

fn large() -> Vec<u8> {
    KNOWN.bytes().cycle().take(LARGE_BYTES).collect()
}

/// The files below a directory in which the known text is.
fn with_plaintext(dir: &Path) -> Result<Vec<String>> {
    let (mut found, mut dirs) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                dirs.push(entry.path());
            } else if entry.file_type()?.is_file() {
                // It may have been a temporary one.
                let Ok(content) = fs::read(entry.path()) else { continue };
                if content.windows(KNOWN.len()).any(|window| window == KNOWN.as_bytes()) {
                    found.push(entry.path().display().to_string());
                }
            }
        }
    }
    Ok(found)
}

/// Writes what is known in every way, reads it elsewhere, and leaves the node stopped.
fn use_workspace(lab: &mut Lab, scratch: &std::sync::Arc<artifacts_tests::Scratch>, cache: &Path) -> Result<()> {
    let workspace = lab.workspace("secret")?;
    let options = ["--cache-dir", cache.to_str().context("a strange path")?];
    let mount = |name: &str| -> Result<Mount> {
        let ticket = lab.ticket(name, "r", &workspace, "rw")?;
        Mount::with_options(scratch, name, &Credential::Ticket(ticket), &options)
    };
    let writer = mount("writer")?;
    fs::write(writer.join("small"), KNOWN)?;
    fs::write(writer.join("large"), large())?;
    let mut appended = fs::File::options().create(true).append(true).open(writer.join("appended"))?;
    for _ in 0..50 {
        appended.write_all(KNOWN.as_bytes())?;
    }
    appended.sync_all()?;
    drop(appended);
    setxattr(writer.join("small"), "user.known", KNOWN.as_bytes(), XattrFlags::empty())?;
    fs::copy(writer.join("large"), writer.join("copied"))?;
    fs::File::open(writer.join("copied"))?.sync_all()?;
    writer.unmount()?;
    let reader = mount("reader")?;
    ensure!(fs::read(reader.join("large"))? == large() && fs::read(reader.join("copied"))? == large(), "the large file reads otherwise");
    ensure!(fs::read_to_string(reader.join("small"))? == KNOWN, "the small file reads otherwise");
    ensure!(fs::read_to_string(reader.join("appended"))? == KNOWN.repeat(50), "the log reads otherwise");
    let mut part = vec![0; 100];
    fs::File::open(reader.join("large"))?.read_exact_at(&mut part, 2_000_001)?;
    ensure!(part == large()[2_000_001..2_000_101], "a part reads otherwise");
    reader.unmount()?;
    let checked = lab.api.post("/v1/workspaces/acme/secret/fsck", &json!({ "data": true }))?;
    ensure!(checked["clean"] == true && checked["verified_bytes"].as_u64() >= Some(2 * LARGE_BYTES as u64), "{checked}");
    lab.node.terminate()?;
    Ok(())
}

fn at_rest(name: &str, extra: fn(&Path) -> Value) -> Result<()> {
    mounted(name, LIMIT, |scratch| {
        let key_file = scratch.join("key");
        fs::write(&key_file, KEY)?;
        for is_encrypted in [false, true] {
            let place = scratch.join(if is_encrypted { "sealed" } else { "plain" });
            let mut config = extra(&place.join("bucket"));
            if is_encrypted {
                config["encryption"] = json!({ "key_file": key_file });
            }
            let cache = place.join("cache");
            fs::create_dir_all(&cache)?;
            let options = NodeOptions { config, ..NodeOptions::default() };
            let mut lab = Lab::start_with(scratch, options)?;
            use_workspace(&mut lab, scratch, &cache)?;
            let mut found = with_plaintext(lab.node.data())?;
            found.extend(with_plaintext(&place)?);
            if is_encrypted {
                ensure!(found.is_empty(), "the known text lies in {found:?}");
                refuses_without_its_key(&mut lab, scratch, &key_file)?;
            } else {
                ensure!(found.len() > 1, "the search finds nothing where all is plain: {found:?}");
            }
            drop(lab);
            fs::remove_dir_all(scratch.join("data"))?;
        }
        Ok(())
    })
}

fn refuses_without_its_key(lab: &mut Lab, scratch: &std::sync::Arc<artifacts_tests::Scratch>, key_file: &Path) -> Result<()> {
    let log = || fs::read_to_string(scratch.join("logs/node.log"));
    fs::write(key_file, OTHER_KEY)?;
    ensure!(lab.node.start_again().is_err(), "the node starts with another key");
    ensure!(log()?.contains("is not the one that this cluster was encrypted with"), "it does not say why");
    fs::write(key_file, "")?;
    ensure!(lab.node.start_again().is_err(), "the node starts without a key");
    ensure!(log()?.contains("there is no key"), "it does not say what to do");
    fs::write(key_file, format!("{OTHER_KEY}\n{KEY}\n"))?;
    lab.node.start_again()?;
    let mount = lab.mount("again", "acme/secret")?;
    ensure!(fs::read(mount.join("large"))? == large(), "with the key below a new one it reads otherwise");
    mount.unmount()?;
    lab.node.terminate()?;
    Ok(())
}

/// What a fork has of its origin, also when that is gone and the node has forgotten all it knew.
#[test]
fn a_fork_of_an_encrypted_workspace_outlives_its_origin() -> Result<()> {
    mounted("encrypted-forks", LIMIT, |scratch| {
        let key_file = scratch.join("key");
        fs::write(&key_file, KEY)?;
        let options = NodeOptions { config: json!({ "encryption": { "key_file": key_file } }), ..NodeOptions::default() };
        let mut lab = Lab::start_with(scratch, options)?;
        let workspace = lab.workspace("origin")?;
        let origin = lab.mount("origin", &workspace)?;
        fs::write(origin.join("large"), large())?;
        fs::write(origin.join("small"), KNOWN)?;
        fs::File::open(origin.join("small"))?.sync_all()?;
        let path = "/v1/workspaces/acme/origin";
        lab.api.post(&format!("{path}/snapshots"), &json!({ "name": "s" }))?;
        lab.api.post(&format!("{path}/fork"), &json!({ "name": "fork", "snapshot": "s" }))?;
        origin.unmount()?;
        lab.api.delete(path)?;
        wait_until("the origin is gone", Duration::from_secs(60), || Ok(lab.api.send("GET", path, None)?.status == 404))?;
        lab.node.kill()?;
        lab.node.start_again()?;

        let fork = lab.mount("fork", "acme/fork")?;
        ensure!(fs::read(fork.join("large"))? == large(), "the large file reads otherwise");
        ensure!(fs::read_to_string(fork.join("small"))? == KNOWN, "the small file reads otherwise");
        fs::write(fork.join("own"), KNOWN)?;
        fork.unmount()?;
        let checked = lab.api.post("/v1/workspaces/acme/fork/fsck", &json!({ "data": true }))?;
        ensure!(checked["clean"] == true && checked["verified_bytes"].as_u64() >= Some(LARGE_BYTES as u64), "{checked}");
        lab.node.terminate()?;
        let found = with_plaintext(lab.node.data())?;
        ensure!(found.is_empty(), "the known text lies in {found:?}");
        Ok(())
    })
}

#[test]
fn nothing_that_was_written_is_found_in_the_node_or_the_cache() -> Result<()> {
    at_rest("encrypted-data", |_| json!({}))
}

#[test]
fn nothing_that_was_written_is_found_where_all_is_in_a_bucket() -> Result<()> {
    at_rest("encrypted-bucket", |bucket| json!({ "store": "slate", "cluster": { "directory": bucket, "ownership_ttl_ms": 800 } }))
}
