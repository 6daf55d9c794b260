use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, now, sleep, wait_until};
use artifacts_tests::{Api, Credential, Lab, Mount, Network, NodeOptions, NodeProcess, Relay, S3Server, Scratch, mounted};
use serde_json::{Value, json};

use crate::place::with;

const LIMIT: Duration = Duration::from_secs(240);
/// How long the bucket is away.
const OUTAGE: Duration = Duration::from_secs(20);

/// A node whose way to its bucket leads through the relay.
struct Trouble {
    lab: Lab,
    relay: Relay,
    /// Of a node with a way of its own to the same bucket.
    straight: Value,
}

impl Trouble {
    /// `None` where there is no server.
    fn start(scratch: &Arc<Scratch>) -> Result<Option<Self>> {
        let Some(server) = S3Server::shared()? else { return Ok(None) };
        let relay = Relay::start(server.endpoint().trim_start_matches("http://"))?;
        let straight = with(&json!({ "blobs": server.bucket()? }), &json!({ "store": "slate", "data_path": "proxied" }));
        let mut config = straight.clone();
        config["blobs"]["s3"]["endpoint"] = json!(format!("http://{}", relay.address()));
        let lab = Lab::start_with(scratch, NodeOptions { config, ..NodeOptions::default() })?;
        Ok(Some(Self { lab, relay, straight }))
    }
}

fn write_through(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Starts the node anew and reads what a fresh start finds.
fn expect_after_restart(lab: &mut Lab, directory: &Path, names: &[String]) -> Result<()> {
    lab.node.kill()?;
    lab.node.start_again()?;
    for name in names {
        ensure!(fs::read(directory.join(name)).context(name.clone())? == name.as_bytes(), "{name}");
    }
    Ok(())
}

#[test]
fn a_slow_bucket_loses_nothing() -> Result<()> {
    mounted("bucket-slow", LIMIT, |scratch| {
        let Some(Trouble { mut lab, relay, .. }) = Trouble::start(scratch)? else { return Ok(()) };
        let workspace = lab.workspace("task")?;
        let mount = lab.mount("first", &workspace)?;
        relay.set(Network::Slow(Duration::from_millis(500)));
        let begin = now();
        let names: Vec<String> = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..8)
                .map(|writer| {
                    let mount = &mount;
                    scope.spawn(move || -> Result<Vec<String>> {
                        let names = (0..4).map(|number| format!("{writer}-{number}"));
                        names.map(|name| write_through(&mount.join(&name), name.as_bytes()).map(|()| name).map_err(Into::into)).collect()
                    })
                })
                .collect();
            let written = writers.into_iter().map(|writer| writer.join().map_err(|_| anyhow::anyhow!("a writer panicked"))?);
            written.collect::<Result<Vec<_>>>().map(|names| names.concat())
        })?;
        println!("32 fsyncs of 8 writers at 500 ms a request: {:?}", begin.elapsed());
        ensure!(begin.elapsed() >= Duration::from_secs(2), "each fsync waits for a put: {:?}", begin.elapsed());
        ensure!(names.len() == 32);
        relay.set(Network::Open);
        expect_after_restart(&mut lab, mount.path(), &names)?;
        mount.unmount()
    })
}

#[test]
fn a_bucket_that_is_away_is_told_and_survived() -> Result<()> {
    mounted("bucket-away", LIMIT, |scratch| {
        let Some(Trouble { mut lab, relay, .. }) = Trouble::start(scratch)? else { return Ok(()) };
        let workspace = lab.workspace("task")?;
        let mount = lab.mount("first", &workspace)?;
        write_through(&mount.join("before"), b"before")?;
        let done = AtomicBool::new(false);
        let saved: Vec<String> = std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut saved = vec!["before".to_owned()];
                for number in 0.. {
                    let name = format!("{number}");
                    if write_through(&mount.join(&name), name.as_bytes()).is_ok() {
                        saved.push(name);
                    }
                    sleep(Duration::from_millis(50));
                    if done.load(Ordering::SeqCst) {
                        break;
                    }
                }
                saved
            });
            sleep(Duration::from_secs(1));
            let outcome =
                || -> Result<()> {
                    relay.set(Network::Cut);
                    let (begin, body) = (now(), json!({ "name": "another" }));
                    let refused = lab.api.send("POST", "/v1/workspaces", Some(&body))?;
                    refused.expect_error(503, "unavailable")?;
                    ensure!(begin.elapsed() < Duration::from_secs(60), "it was said after {:?}", begin.elapsed());
                    sleep(OUTAGE.saturating_sub(begin.elapsed()));
                    relay.set(Network::Open);
                    let begin = now();
                    wait_until("the node answers again", Duration::from_secs(60), || {
                        Ok(lab.api.send("GET", "/v1/workspaces", None).is_ok_and(|reply| reply.status == 200))
                    })?;
                    wait_until("the mount writes again", Duration::from_secs(60), || {
                        Ok(write_through(&mount.join("after"), b"after").is_ok())
                    })?;
                    println!("written again {:?} after the bucket was back", begin.elapsed());
                    Ok(())
                }();
            done.store(true, Ordering::SeqCst);
            relay.set(Network::Open);
            let saved = writer.join().map_err(|_| anyhow::anyhow!("the writer panicked"))?;
            outcome.map(|()| saved)
        })?;
        ensure!(saved.len() > 5, "{saved:?}");
        let mut names = saved;
        names.push("after".to_owned());
        expect_after_restart(&mut lab, mount.path(), &names)?;
        mount.unmount()
    })
}

/// The owner before is alive, has a mount on its side, and does not know.
#[test]
fn a_node_that_is_cut_off_confirms_nothing_that_its_follower_does_not_have() -> Result<()> {
    mounted("bucket-cut-off", LIMIT, |scratch| {
        let Some(Trouble { lab, relay, straight }) = Trouble::start(scratch)? else { return Ok(()) };
        let workspace = lab.workspace("task")?;
        let mount = lab.mount("first", &workspace)?;
        let ticket = lab.ticket("other", "runtime-1", &workspace, "rw")?;
        let done = AtomicBool::new(false);
        let other: Arc<Scratch> = Arc::new(Scratch::new("bucket-cut-off-2", LIMIT)?);
        let (saved, second) = std::thread::scope(|scope| -> Result<_> {
            let writer = scope.spawn(|| {
                let mut saved = Vec::new();
                for number in 0.. {
                    let name = format!("{number}");
                    if write_through(&mount.join(&name), name.as_bytes()).is_ok() {
                        saved.push(name);
                    }
                    if done.load(Ordering::SeqCst) {
                        break;
                    }
                    sleep(Duration::from_millis(10));
                }
                saved
            });
            sleep(Duration::from_millis(500));
            relay.set(Network::Cut);
            let second = NodeProcess::start(&other, &straight);
            // It is cut off still, and says nothing about what is the second's now.
            let told = lab.api.send("GET", "/v1/workspaces", None);
            done.store(true, Ordering::SeqCst);
            let saved = writer.join().map_err(|_| anyhow::anyhow!("the writer panicked"))?;
            ensure!(told?.status == 503, "the node that is cut off answers");
            Ok((saved, second?))
        })?;
        ensure!(!saved.is_empty(), "nothing was saved before");
        let first = lab.node.process()?;
        relay.set(Network::Open);
        first.wait_gone(Duration::from_secs(60)).context("it hears that it is superseded")?;
        mount.tear_down()?;

        let api = Api::new(&second.url())?.with_token(lab.api.token());
        let mut ticket = ticket;
        ticket["endpoints"] = json!([second.url()]);
        let (mut found, mut attempts) = (None, 0);
        wait_until("the second node serves the workspace", Duration::from_secs(60), || {
            attempts += 1;
            let name = format!("second-{attempts}");
            found = Mount::new(&other, &name, &Credential::Ticket(ticket.clone())).ok();
            Ok(found.is_some())
        })?;
        let mount = found.context("no mount")?;
        for name in &saved {
            ensure!(fs::read(mount.join(name)).context(name.clone())? == name.as_bytes(), "{name} was saved");
        }
        println!("{} files were saved, and all are there", saved.len());
        let report = api.post(&format!("/v1/workspaces/{workspace}/fsck"), &json!({ "data": true }))?;
        ensure!(report["findings"].as_array().is_some_and(Vec::is_empty), "{report:#}");
        mount.unmount()
    })
}
