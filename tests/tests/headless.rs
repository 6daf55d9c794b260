//! Mounts without a kernel do what mounts do: the load generator says something about real agents only if that is so.

use anyhow::{Context as _, Result, ensure};
use artifacts_core::namespace::{Errno, Name};
use artifacts_core::protocol::FenceReason;
use artifacts_mount::Credential;
use artifacts_mount::headless::{Headless, HeadlessMount};
use artifacts_tests::time::{Duration, now};
use artifacts_tests::{Lab, local};
use bytes::Bytes;
use serde_json::json;
use tokio::runtime::Runtime;

/// Only a guard against hanging.
const LIMIT: Duration = Duration::from_secs(120);

async fn mount(lab: &Lab, headless: &Headless, tenant: &str, workspace: &str) -> Result<HeadlessMount> {
    let ticket = tokio::task::block_in_place(|| lab.ticket(tenant, "runtime", workspace, "rw"))?;
    Ok(headless.mount(&Credential::Ticket(serde_json::from_value(ticket)?)).await?)
}

fn name(text: &str) -> Result<Name> {
    Name::new(Bytes::copy_from_slice(text.as_bytes())).map_err(|errno| anyhow::anyhow!("{text}: {errno:?}"))
}

#[test]
fn two_see_what_the_other_does_and_what_was_saved_is_there_for_the_next() -> Result<()> {
    local("headless-sharing", LIMIT, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let workspace = lab.workspace("shared")?;
        Runtime::new()?.block_on(async {
            let headless = Headless::new(None, 1 << 20)?;
            let (one, other) = (mount(&lab, &headless, "one", &workspace).await?, mount(&lab, &headless, "other", &workspace).await?);
            let dir = one.make_directory(one.root(), name("dir")?).await.context("mkdir")?;
            // Whoever does not look a name up cannot know the inode: until somebody asks, it may be known to its maker alone.
            let seen = other.lookup(other.root(), name("dir")?).await.context("lookup of the directory")?;
            ensure!(seen.ino == dir, "{seen:?}");
            // More than travels inside a commit.
            for (file, len) in [("small", 100), ("large", 700_000)] {
                let content = Bytes::from(vec![file.len() as u8; len]);
                let ino = one.create(dir, name(file)?).await.context("create")?;
                one.write(ino, 0, content.clone()).await.context("write")?;
                let found = other.lookup(dir, name(file)?).await.context("lookup on the other mount")?;
                ensure!(found.ino == ino && found.size == len as u64, "{found:?}");
                ensure!(
                    other.read(ino, 0, 1 << 20).await.context("read on the other mount")? == content,
                    "{file} reads otherwise on the other mount"
                );
                one.fsync(ino).await.context("fsync")?;
                one.close(ino);
            }
            ensure!(other.create(dir, name("small")?).await == Err(Errno::EEXIST), "a name was given twice");
            other.unlink(dir, name("small")?).await.context("unlink")?;
            ensure!(one.lookup(dir, name("small")?).await.err() == Some(Errno::ENOENT), "a file was removed and is there");
            one.unmount().await?;
            other.unmount().await?;
            let next = mount(&lab, &headless, "next", &workspace).await?;
            let large = next.lookup(dir, name("large")?).await.context("lookup on a new mount")?;
            ensure!(next.read(large.ino, 699_990, 100).await? == vec![5; 10], "what was saved reads otherwise");
            Ok(next.unmount().await?)
        })
    })
}

#[test]
fn after_a_revocation_every_call_fails() -> Result<()> {
    local("headless-revocation", LIMIT, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let workspace = lab.workspace("revoked")?;
        Runtime::new()?.block_on(async {
            let headless = Headless::new(None, 1 << 20)?;
            let mount = mount(&lab, &headless, "tenant", &workspace).await?;
            let ino = mount.create(mount.root(), name("file")?).await?;
            mount.write(ino, 0, Bytes::from_static(b"content")).await?;
            let body = json!({ "tenant_slug": "tenant", "wait_ms": 5_000 });
            let revoked = tokio::task::block_in_place(|| lab.api.post("/v1/grants/revoke", &body))?;
            ensure!(revoked["sessions"]["confirmed"] == 1, "{revoked}");
            ensure!(mount.fenced() == Some(FenceReason::Revoked), "{:?}", mount.fenced());
            let start = now();
            ensure!(mount.read(ino, 0, 7).await == Err(Errno::EACCES), "a read succeeds");
            ensure!(mount.write(ino, 0, Bytes::from_static(b"late")).await == Err(Errno::EACCES), "a write succeeds");
            ensure!(start.elapsed() < Duration::from_secs(10), "calls wait after a fence");
            Ok(())
        })
    })
}
