//! What is left on a host of a workspace that it may not read any more.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, wait_until};
use artifacts_tests::{Credential, Lab, Mount, mounted};
use serde_json::json;

use crate::files::{FILE_BYTES, below, bytes_of, content, read_into_cache};

#[test]
fn a_revocation_removes_the_workspace_from_the_disk_and_no_other() -> Result<()> {
    mounted("cache-revocation", Duration::from_secs(5 * 60), |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let dir = scratch.join("cache");
        let options = ["--cache-dir", dir.to_str().context("a strange path")?];
        let begin = |name: &str, seed: u8| -> Result<Mount> {
            let address = lab.workspace(name)?;
            let writer = lab.mount(&format!("{name}-writer"), &address)?;
            fs::write(writer.join("file"), content(seed))?;
            writer.unmount()?;
            let ticket = lab.ticket(name, "r", &address, "ro")?;
            let mount = Mount::with_options(scratch, name, &Credential::Ticket(ticket), &options)?;
            read_into_cache(&mount, &dir, name, &content(seed))?;
            Ok(mount)
        };
        let (ended, other) = (begin("ended", 3)?, begin("other", 4)?);
        let of = |name: &str| bytes_of(&dir, name);
        ensure!(of("ended") >= FILE_BYTES && of("other") >= FILE_BYTES, "both are in {:?}", below(&dir));

        lab.api.post("/v1/grants/revoke", &json!({ "tenant_slug": "ended" }))?;
        let is_other = |path: &std::path::PathBuf| path.components().any(|part| part.as_os_str() == "other");
        wait_until("the revoked workspace is gone from the disk", Duration::from_secs(60), || Ok(below(&dir).iter().all(is_other)))?;
        ensure!(of("ended") == 0 && of("other") >= FILE_BYTES, "left on the disk: {:?}", below(&dir));
        ensure!(fs::read(ended.join("file")).is_err(), "the revoked mount can still be read");
        ensure!(fs::read(other.join("file"))? == content(4), "the other mount reads wrong");
        other.unmount()?;
        ended.tear_down()
    })
}
