//! An owner that is alive, parted from the rest of the cluster, and has clients on its side.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, monotonic_ns, now, sleep, wait_until};
use artifacts_tests::{Api, Credential, Host, Mount, Scratch, artifacts_binary, mounted};
use rustix::fs::{FlockOperation, flock};
use serde_json::json;

use crate::fixture::{Cluster, Home, LIMIT, PATIENCE};
use crate::load::{Writer, expect_saved};
use crate::probe::Probe;
use crate::side::{Cut, Sides};

/// How long a named lock outlives a holder that is not heard.
const TTL: &str = "6s";
const MS: u64 = 1_000_000;
/// A command under a lock: says again and again that it runs, with the time.
const BEAT: &str =
    "import sys,time\nlog=open(sys.argv[1],'ab',0)\nwhile True:\n log.write(b'%d\\n'%time.monotonic_ns())\n time.sleep(0.01)";

/// "above all when the old owner is alive but cut off and still has clients on its side."
#[test]
fn an_owner_that_is_cut_off_stops_before_others_begin() -> Result<()> {
    parted("cut-off", Cut::Off)
}

/// Both sides reach the object store, so both can take the shards from each other.
#[test]
fn an_owner_that_is_cut_off_from_the_other_nodes_alone_shares_nothing_with_them() -> Result<()> {
    parted("cut-nodes", Cut::FromNodes)
}

#[test]
fn an_owner_that_hears_nobody_is_replaced() -> Result<()> {
    parted("deaf", Cut::Deaf)
}

#[test]
fn an_owner_that_nobody_hears_is_replaced() -> Result<()> {
    parted("mute", Cut::Mute)
}

/// `artifacts lock run` in a machine, with a command that notes when it was alive last.
struct Runner {
    child: Child,
    beat: std::path::PathBuf,
}

impl Runner {
    fn start(host: &Host, scratch: &Arc<Scratch>, url: &str, home: &Home) -> Result<Self> {
        let beat = scratch.join("beat");
        let mut command = host.command(artifacts_binary()?);
        scratch.mark(&mut command).env("TONBO_API_URL", url).env("TONBO_API_KEY", &home.key);
        command.args(["lock", "run", "deploy", "-w", &home.workspace, "--ttl", TTL, "--", "python3", "-c", BEAT]).arg(&beat);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().context("artifacts lock run")?;
        wait_until("the command runs", PATIENCE, || Ok(last_beat_ns(&beat).is_some()))?;
        Ok(Self { child, beat })
    }
}

fn last_beat_ns(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.lines().last()?.parse().ok()
}

impl Drop for Runner {
    fn drop(&mut self) {
        // It may have ended by itself; what it has started ends with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks for the lock until it is granted, and says when that was.
fn acquire(api: &Api, workspace: &str) -> Result<u64> {
    let start = now();
    let body = json!({ "mode": "exclusive", "ttl_ms": 60_000, "wait_ms": 20_000 });
    loop {
        match api.send("POST", &format!("/v1/workspaces/{workspace}/locks/deploy/acquire"), Some(&body)) {
            Ok(reply) if reply.status == 201 || reply.status == 200 => return Ok(monotonic_ns()),
            Ok(reply) if matches!(reply.status, 409 | 503) => {}
            other => anyhow::bail!("{other:?}"),
        }
        ensure!(start.elapsed() < PATIENCE, "the lock is not granted");
        sleep(Duration::from_millis(20));
    }
}

fn parted(name: &str, cut: Cut) -> Result<()> {
    mounted(name, LIMIT, |scratch| {
        Cluster::run_apart(scratch, 3, |cluster| {
            let sides = Sides::around(cluster, 2)?;
            // Account and workspace are at the node that is cut off, so nothing but the store tells it that it is none any more.
            let (home, calm) = (cluster.home(2, 2)?, cluster.home(2, 2)?);
            let mount = |host: &Host, name: &str, home: &Home| {
                Mount::new_in(host, scratch, name, &Credential::Ticket(cluster.ticket(0, home, name)?))
            };
            let (near, far, quiet) =
                (mount(&sides.near, "near", &home)?, mount(&sides.far, "far", &home)?, mount(&sides.near, "quiet", &calm)?);

            let (path, far_path) = (near.join("locked"), far.join("locked"));
            fs::write(&path, [0; 8])?;
            let held = File::options().read(true).write(true).open(&path)?;
            flock(&held, FlockOperation::LockExclusive)?;
            let (probe, writer) = (Probe::start(&held, &path)?, Writer::start(quiet.path().to_owned()));
            fs::create_dir(near.join("saved"))?;
            let saver = Writer::start(near.join("saved"));
            let runner = Runner::start(&sides.near, scratch, &cluster.nodes[2].url(), &home)?;
            let (wanted, api) = (File::options().read(true).write(true).open(&far_path)?, cluster.api(0, &home.key)?);
            let on_file = std::thread::spawn(move || flock(&wanted, FlockOperation::LockExclusive).map(|()| (wanted, monotonic_ns())));
            let workspace = home.workspace.clone();
            let of_name = std::thread::spawn(move || acquire(&api, &workspace));
            sleep(Duration::from_secs(1));
            ensure!(!on_file.is_finished() && !of_name.is_finished(), "a lock that is held was granted");

            // On a busy machine the cut takes some seconds itself.
            sides.part(cluster, cut)?;
            let cut_ns = monotonic_ns();
            wait_until("both locks are granted on the other side", 2 * PATIENCE, || Ok(on_file.is_finished() && of_name.is_finished()))?;
            let (wanted, file_ns) = on_file.join().map_err(|_| anyhow::anyhow!("the waiter panicked"))??;
            let name_ns = of_name.join().map_err(|_| anyhow::anyhow!("the waiter panicked"))??;
            let (last_ns, beat_ns) = (probe.last_success_ns(), last_beat_ns(&runner.beat).context("beat")?);
            let since = |ns: u64| ns.saturating_sub(cut_ns) / MS;
            println!("{name}: the holder on the cut side went on for {} ms, flock granted after {} ms", since(last_ns), since(file_ns));
            println!("{name}: the command went on for {} ms, its lock granted after {} ms", since(beat_ns), since(name_ns));
            ensure!(last_ns < file_ns, "two hold the file's lock: one worked {} ms after the cut", since(last_ns));
            ensure!(beat_ns < name_ns, "two hold the named lock: the command ran {} ms after the cut", since(beat_ns));

            // What the far side writes under its lock stands, whatever the other has not sent.
            wanted.write_all_at(b"far side", 0)?;
            wanted.sync_all()?;
            sleep(Duration::from_secs(1));
            ensure!(probe.last_success_ns() == last_ns, "the holder that lost its lock goes on");
            sides.join(cluster, cut)?;
            let start = now();
            cluster.wait_settled(&[0, 1, 2])?;
            println!("{name}: all is settled {:?} after the cut ended", start.elapsed());
            wait_until("the holder's mount fails for good", PATIENCE, || Ok(probe.last_failure_ns() > file_ns))?;
            ensure!(probe.last_success_ns() == last_ns, "the holder that lost its lock came back");
            ensure!(probe.errno() == rustix::io::Errno::IO.raw_os_error(), "it says {}", probe.errno());
            ensure!(fs::read(&far_path)? == b"far side", "a late write of the cut side counts");
            drop((wanted, runner));

            // Nobody was given what the other mount held, so it goes on by itself.
            let after = quiet.join("after");
            wait_until("the mount of another workspace goes on", PATIENCE, || Ok(fs::write(&after, "x").is_ok()))?;
            let (written, saved) = (writer.stop()?, saver.stop()?);
            println!("{name}: {} and {} files saved, the longest took {:?}", written.saved.len(), saved.saved.len(), written.longest);
            ensure!(!written.saved.is_empty() && !saved.saved.is_empty());
            expect_saved(quiet.path(), &written)?;
            expect_saved(&far.join("saved"), &saved)?;
            let again = mount(&sides.near, "again", &home)?;
            let content = fs::read(again.join("locked"))?;
            ensure!(content == b"far side", "a late write of the cut side counts: {content:?}");
            drop(held);
            near.tear_down()?;
            for mount in [again, far, quiet] {
                mount.unmount()?;
            }
            for home in [&home, &calm] {
                let path = format!("/v1/workspaces/{}/fsck", home.workspace);
                let report = cluster.api(2, &home.key)?.post(&path, &json!({ "data": true }))?;
                ensure!(report["clean"] == true, "{report:#}");
            }
            Ok(())
        })
    })
}
