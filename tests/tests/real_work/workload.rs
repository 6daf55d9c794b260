//! The whole of it on one mount, and again after every way in which mount, agent and node can end.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, now};
use artifacts_tests::{Credential, Lab, Mount, Scratch, SourceTree, Tree, mounted};
use rustix::fs::stat;
use rustix::io::Errno;
use serde_json::json;

use crate::{database, mapping, programs};

#[test]
fn real_work() -> Result<()> {
    mounted("real-work", Duration::from_secs(30 * 60), |scratch| {
        let sources = SourceTree::make(scratch, "sources")?;
        println!("{} files of {}", sources.files(), sources.path().display());
        let mut lab = Lab::start(scratch, &json!({ "session_lease_ms": 4000 }))?;
        let workspace = lab.workspace("work")?;
        let mount = lab.mount("first", &workspace)?;

        step("git", || programs::git(scratch, mount.path(), &sources))?;
        step("tar", || programs::tar(scratch, mount.path(), &sources))?;
        step("cargo", || programs::cargo(scratch, mount.path()))?;
        step("sqlite", || database::transactions(scratch, mount.path()))?;
        step("mmap", || mapping::read_and_write(mount.path()))?;
        step("rm -rf", || remove(scratch, mount.path()))?;

        sync(mount.path())?;
        let written = step("hashing", || Tree::of(mount.path()))?;
        step("unmount", || mount.unmount())?;

        let mount = step("a fresh agent", || fresh_mount(scratch, &lab, "second", &workspace))?;
        written.expect_same(&Tree::of(mount.path())?).context("on a fresh agent")?;
        database::expect_whole(scratch, mount.path())?;

        step("kill -9 of the node under the mount", || lab.node.kill().and_then(|()| lab.node.start_again()))?;
        written.expect_same(&Tree::of(mount.path())?).context("after the node was killed under the mount")?;
        fs::write(mount.join("clone/after-restart"), "still writable")?;
        sync(mount.path())?;
        let written = Tree::of(mount.path())?;

        let mount = step("kill -9 of the agent", || recover(scratch, &lab, mount, &workspace))?;
        written.expect_same(&Tree::of(mount.path())?).context("after the agent was killed")?;

        mount.unmount()?;
        step("kill -9 of the node", || lab.node.kill().and_then(|()| lab.node.start_again()))?;
        let mount = fresh_mount(scratch, &lab, "third", &workspace)?;
        written.expect_same(&Tree::of(mount.path())?).context("after the node was killed, on a new mount")?;
        database::expect_whole(scratch, mount.path())?;

        step("rm -rf of everything", || remove_all(scratch, mount.path()))?;
        mount.unmount()?;
        let status = step("SIGTERM of the node", || lab.node.terminate())?;
        ensure!(status.success(), "the node ended with {status}");
        Ok(())
    })
}

/// Does a part and prints how long it took; for people, nothing depends on it.
fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = now();
    let result = work().with_context(|| what.to_owned());
    println!("{what}: {:.1} s", start.elapsed().as_secs_f64());
    result
}

/// Waits until everything done on the mount so far survives: ops become durable in their order, so the last one
/// stands for all.
fn sync(mount: &Path) -> Result<()> {
    rustix::fs::sync();
    Ok(File::open(mount)?.sync_all()?)
}

fn remove(scratch: &Scratch, mount: &Path) -> Result<()> {
    artifacts_tests::Shell::new(scratch, mount).run("rm", &["-rf", "unpacked"])?;
    ensure!(!mount.join("unpacked").exists(), "rm -rf left something");
    Ok(())
}

fn remove_all(scratch: &Scratch, mount: &Path) -> Result<()> {
    artifacts_tests::Shell::new(scratch, mount).run("sh", &["-c", "rm -rf ./*"])?;
    ensure!(Tree::of(mount)?.is_empty(), "rm -rf left something");
    Ok(())
}

/// A mount by an agent that has nothing cached from before.
fn fresh_mount(scratch: &Arc<Scratch>, lab: &Lab, name: &str, workspace: &str) -> Result<Mount> {
    fs::remove_dir_all(scratch.join("cache"))?;
    fs::create_dir(scratch.join("cache"))?;
    lab.mount(name, workspace)
}

/// Kills the agent; the mount point must fail at once with ENOTCONN and be mountable again.
fn recover(scratch: &Arc<Scratch>, lab: &Lab, mount: Mount, workspace: &str) -> Result<Mount> {
    mount.agent_gone()?;
    ensure!(mount.is_mounted(), "the mount point went away with its agent");
    let error = stat(mount.path()).err();
    ensure!(error == Some(Errno::NOTCONN), "the dead mount point answers {error:?}");
    let ticket = lab.ticket("second", "runtime-2", workspace, "rw")?;
    let again = Mount::new(scratch, "second", &Credential::Ticket(ticket)).context("artifacts mount on a dead mount point")?;
    mount.abandon();
    Ok(again)
}
