//! `deploy/local-cluster`: what it starts can be played with, and nothing of it is left.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, wait_until};
use artifacts_tests::{Lan, Process, S3Server, Scratch, artifacts_binary, mounted, target_dir};

/// Only a guard against hanging.
const LIMIT: Duration = Duration::from_secs(400);
const PATIENCE: Duration = Duration::from_secs(60);

/// The command, on a directory of the test's.
struct Cluster<'a> {
    scratch: &'a Scratch,
    dir: PathBuf,
}

impl Cluster<'_> {
    fn run(&self, arguments: &[&str]) -> Result<Output> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/local-cluster");
        let mut command = Command::new(script);
        self.scratch.mark(&mut command).args(arguments);
        command.env("LOCAL_CLUSTER_DIR", &self.dir).env("ARTIFACTS", artifacts_binary()?);
        command.env("WEED", target_dir()?.join("tools/seaweedfs/bin/weed"));
        command.output().context("deploy/local-cluster")
    }

    /// What it prints when it succeeds.
    fn say(&self, arguments: &[&str]) -> Result<String> {
        let output = self.run(arguments)?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "{arguments:?}: {}{text}{}", output.status, String::from_utf8_lossy(&output.stderr));
        Ok(text)
    }

    fn mount(&self, name: &str) -> PathBuf {
        self.dir.join("mnt").join(name)
    }

    /// The line of a place in the status.
    fn line(&self, place: &str) -> Result<String> {
        let status = self.say(&["status"])?;
        let line = status.lines().find(|line| line.starts_with(place)).with_context(|| format!("{place} in {status}"))?;
        Ok(line.to_owned())
    }

    /// Whether all shards are served, by nodes of these only.
    fn is_served_by(&self, nodes: &[&str]) -> Result<bool> {
        let status = self.say(&["status"])?;
        let served: Vec<_> = status.lines().filter(|line| line.contains(" serving ")).filter(|line| line.starts_with("local ")).collect();
        Ok(served.len() == 16 && served.iter().all(|line| nodes.iter().any(|node| line.split_whitespace().nth(3) == Some(node))))
    }
}

impl Drop for Cluster<'_> {
    fn drop(&mut self) {
        // A test that failed half way leaves namespaces, which the scratch directory does not know.
        let _ = self.run(&["down"]);
    }
}

fn names_of(directory: &str, beginning: &str) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| name.starts_with(beginning)).collect()
}

fn what_is_left(scratch: &Scratch) -> Result<(Vec<Process>, usize)> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let below = scratch.path().to_string_lossy().into_owned();
    Ok((Process::marked(&scratch.mark_entry()), mounts.lines().filter(|line| line.contains(&below)).count()))
}

fn played_with(scratch: &Arc<Scratch>) -> Result<()> {
    let cluster = Cluster { scratch, dir: scratch.join("cluster") };
    ensure!(cluster.say(&["--help"])?.contains("deploy/local-cluster up"));
    ensure!(!cluster.run(&["status"])?.status.success(), "there is no cluster yet");
    ensure!(!cluster.run(&["dance"])?.status.success());
    let before = (names_of("/run/netns", "artifacts-local"), names_of("/sys/class/net", "acluster"));

    let said = cluster.say(&["up"])?;
    let key = cluster.dir.join("api-key");
    ensure!(said.contains(&key.display().to_string()) && said.contains("http://198.19."), "{said}");
    ensure!(!said.contains("tbo_"), "the key itself is shown: {said}");
    ensure!(fs::metadata(&key)?.permissions().mode() & 0o777 == 0o600);
    let again = cluster.run(&["up"])?;
    ensure!(!again.status.success() && String::from_utf8_lossy(&again.stderr).contains("already"));

    fs::write(cluster.mount("m1").join("greeting"), "hello")?;
    ensure!(fs::read_to_string(cluster.mount("m2").join("greeting"))? == "hello");
    wait_until("each node has its shards", PATIENCE, || cluster.is_served_by(&["n1", "n2", "n3"]))?;
    ensure!(cluster.line("n2")?.contains("running") && cluster.line("m1")?.contains("whole"));

    cluster.say(&["kill", "n1"])?;
    ensure!(cluster.line("n1")?.contains("ended"));
    wait_until("others have the shards", PATIENCE, || cluster.is_served_by(&["n2", "n3"]))?;
    fs::write(cluster.mount("m2").join("greeting"), "without n1")?;
    ensure!(fs::read_to_string(cluster.mount("m1").join("greeting"))? == "without n1");
    cluster.say(&["start", "n1"])?;
    ensure!(!cluster.run(&["start", "n1"])?.status.success(), "it runs");

    cluster.say(&["cut", "n2"])?;
    ensure!(cluster.line("n2")?.contains("cut off"));
    wait_until("others have the shards", PATIENCE, || cluster.is_served_by(&["n1", "n3"]))?;
    cluster.say(&["cut", "n1", "m1"])?;
    ensure!(cluster.line("n1")?.contains("does not reach m1") && cluster.line("m1")?.contains("does not reach n1"));
    cluster.say(&["restore"])?;
    cluster.say(&["lose", "n3", "s3"])?;
    ensure!(cluster.line("n3")?.contains("does not reach s3") && cluster.line("s3")?.contains("whole"));
    cluster.say(&["restore", "n3"])?;
    for place in ["n1", "n2", "n3", "s3", "m1", "m2"] {
        ensure!(cluster.line(place)?.contains("whole"), "{place}");
    }
    wait_until("all nodes are back", PATIENCE, || cluster.is_served_by(&["n1", "n2", "n3"]))?;

    cluster.say(&["freeze", "m2"])?;
    ensure!(cluster.line("m2")?.contains("frozen"));
    cluster.say(&["thaw", "m2"])?;
    cluster.say(&["kill", "m2"])?;
    cluster.say(&["start", "m2"])?;
    ensure!(fs::read_to_string(cluster.mount("m2").join("greeting"))? == "without n1");
    cluster.say(&["stop", "n3"])?;
    wait_until("others have the shards", PATIENCE, || cluster.is_served_by(&["n1", "n2"]))?;
    ensure!(cluster.say(&["logs", "n3"])?.contains("the node has stopped"));

    cluster.say(&["down"])?;
    ensure!(!cluster.dir.exists());
    cluster.say(&["down"])?;
    wait_until("nothing is left", PATIENCE, || {
        let after = (names_of("/run/netns", "artifacts-local"), names_of("/sys/class/net", "acluster"));
        let more = |now: &[String], then: &[String]| now.iter().any(|name| !then.contains(name));
        Ok(!more(&after.0, &before.0) && !more(&after.1, &before.1))
    })?;
    let (processes, mounts) = what_is_left(scratch)?;
    ensure!(processes.is_empty() && mounts == 0, "{processes:?}, {mounts} mounts");
    Ok(())
}

/// "One command starts a cluster on this machine": up, through every kind of trouble, and down.
#[test]
fn a_cluster_is_started_troubled_and_taken_down() -> Result<()> {
    mounted("local-cluster", LIMIT, |scratch| {
        // Only to find out whether this machine has what it takes.
        if Lan::new()?.is_none() || S3Server::shared()?.is_none() {
            return Ok(());
        }
        played_with(scratch)
    })
}
