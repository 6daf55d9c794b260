use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use artifacts_tests::time::{Duration, wait_until};
use artifacts_tests::{Api, Lab, mounted};
use serde_json::{Value, json};

const HANG_GUARD: Duration = Duration::from_secs(5 * 60);
/// Large enough to lie in segments of its own.
const LARGE: usize = 3 << 20;

/// Everything that `fsck` can find out, data included.
pub(crate) fn fsck(api: &Api, address: &str) -> Result<Value> {
    let report = api.post(&format!("/v1/workspaces/{address}/fsck"), &json!({ "data": true }))?;
    ensure!(report["clean"] == true, "{address}: {report}");
    Ok(report)
}

fn expect(dir: &Path, files: &[(&str, &str, usize)]) -> Result<()> {
    for (path, of, len) in files {
        let read = fs::read_to_string(dir.join(path))?;
        ensure!(read == of.repeat(*len), "{} holds {} bytes that begin with {:.8}", dir.join(path).display(), read.len(), read);
    }
    let listed = fs::read_dir(dir)?.count();
    ensure!(listed == files.len(), "{} holds {listed} entries instead of {}", dir.display(), files.len());
    Ok(())
}

fn delete(api: &Api, address: &str) -> Result<()> {
    api.delete(&format!("/v1/workspaces/{address}"))?;
    wait_until("the workspace is gone", Duration::from_secs(60), || {
        Ok(api.send("GET", &format!("/v1/workspaces/{address}"), None)?.status == 404)
    })
}

/// What is done in the one is not seen in the other, both ways, and either outlives the other.
fn fork_and_delete(first: &str) -> Result<()> {
    mounted(&format!("forks-{first}-first"), HANG_GUARD, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let (api, address) = (&lab.api, lab.workspace("origin")?);
        let origin = lab.mount("origin", &address)?;
        fs::write(origin.join("large"), "a".repeat(LARGE))?;
        fs::write(origin.join("small"), "b")?;
        fs::write(origin.join("gone"), "c".repeat(LARGE))?;
        // Nothing was fsynced, and the mount decides by itself: it is in the fork all the same.
        let made = api.post(&format!("/v1/workspaces/{address}/fork"), &json!({ "name": "fork" }))?;
        ensure!(made["forked_from"] == address && made["status"] == "active", "{made}");
        ensure!(made["usage"]["bytes"] == 2 * LARGE + 1 && made["usage"]["inodes"] == 4, "{made}");
        let fork = lab.mount("fork", "acme/fork")?;
        expect(fork.path(), &[("large", "a", LARGE), ("small", "b", 1), ("gone", "c", LARGE)])?;

        fs::write(origin.join("small"), "origin's")?;
        fs::remove_file(origin.join("gone"))?;
        fs::write(fork.join("large"), "f".repeat(LARGE))?;
        fs::write(fork.join("new"), "n")?;
        expect(origin.path(), &[("large", "a", LARGE), ("small", "origin's", 1)])?;
        let of_fork = [("large", "f", LARGE), ("small", "b", 1), ("gone", "c", LARGE), ("new", "n", 1)];
        expect(fork.path(), &of_fork)?;
        fsck(api, &address)?;
        fsck(api, "acme/fork")?;

        if first == "origin" {
            drop(origin);
            delete(api, &address)?;
            fsck(api, "acme/fork")?;
            expect(fork.path(), &of_fork)?;
            let again = api.post("/v1/workspaces/acme/fork/fork", &json!({ "name": "again" }))?;
            ensure!(again["usage"]["inodes"] == 5, "{again}");
            drop(fork);
            delete(api, "acme/fork")?;
            let again = lab.mount("again", "acme/again")?;
            expect(again.path(), &of_fork)?;
            fsck(api, "acme/again").map(drop)
        } else {
            drop(fork);
            delete(api, "acme/fork")?;
            expect(origin.path(), &[("large", "a", LARGE), ("small", "origin's", 1)])?;
            let report = fsck(api, &address)?;
            ensure!(report["lent_objects"] == 0, "{report}");
            Ok(())
        }
    })
}

#[test]
fn a_fork_and_its_origin_do_not_see_each_other_and_the_fork_outlives_it() -> Result<()> {
    fork_and_delete("origin")
}

#[test]
fn a_fork_and_its_origin_do_not_see_each_other_and_the_origin_outlives_it() -> Result<()> {
    fork_and_delete("fork")
}
