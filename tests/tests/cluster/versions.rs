use std::fs;

use anyhow::{Context as _, Result, anyhow, ensure};
use artifacts_core::ErrorCode;
use artifacts_core::namespace::Ino;
use artifacts_core::protocol::{ClientFrame, Opening, PROTOCOL_VERSION, Refusal, Request, VersionRange, Welcome};
use artifacts_tests::time::{Duration, sleep, wait_until};
use artifacts_tests::{Credential, Mount, RawStream, S3Server, mounted};
use serde_json::{Value, json};

use crate::fixture::{Cluster, Home, LIMIT, PATIENCE};

const OLD: VersionRange = VersionRange::OURS;
/// Of the release after this one, which speaks what this one does as well.
const NEW: VersionRange = VersionRange { min: PROTOCOL_VERSION, max: PROTOCOL_VERSION + 1 };
/// Of one that is too far ahead.
const NEWER: VersionRange = VersionRange { min: PROTOCOL_VERSION + 1, max: PROTOCOL_VERSION + 1 };

fn settings(range: VersionRange) -> Value {
    json!({ "min": range.min, "max": range.max })
}

/// An agent that speaks these versions comes to a node, and again while it is told that this is no good moment.
fn come(cluster: &Cluster, node: usize, speaks: VersionRange, opening: &Opening) -> Result<(RawStream, Result<Welcome, Refusal>)> {
    let mut come = None;
    wait_until("the node answers", PATIENCE, || {
        let (stream, answer) = come_once(cluster, node, speaks, opening.clone())?;
        let is_answered = !matches!(&answer, Err(refusal) if refusal.code == ErrorCode::Unavailable);
        come = Some((stream, answer));
        Ok(is_answered)
    })?;
    come.context("no answer")
}

fn come_once(cluster: &Cluster, node: usize, speaks: VersionRange, opening: Opening) -> Result<(RawStream, Result<Welcome, Refusal>)> {
    let mut stream = RawStream::connect(cluster.nodes[node].port())?;
    let answer = stream.hello_in(speaks, opening)?;
    Ok((stream, answer))
}

fn ticket(cluster: &Cluster, home: &Home, tenant: &str) -> Result<Opening> {
    let ticket = cluster.ticket(0, home, tenant)?;
    Ok(Opening::Ticket { token: ticket["token"].as_str().context("token")?.to_owned() })
}

/// The agent works through the node, and the version is what it is to be.
fn works(cluster: &Cluster, node: usize, speaks: VersionRange, opening: Opening, version: u16) -> Result<(RawStream, Welcome)> {
    let (mut stream, welcome) = come(cluster, node, speaks, &opening)?;
    let welcome = welcome.map_err(|refusal| anyhow!("refused: {refusal}"))?;
    ensure!(welcome.version == version, "{} instead of {version} at n{node}", welcome.version);
    stream.request(Request::Attr { ino: Ino::ROOT })?.map_err(|errno| anyhow!("{errno}"))?;
    stream.expect_standing()?;
    Ok((stream, welcome))
}

/// A session goes on over a new stream, before long in this version.
fn goes_on(cluster: &Cluster, node: usize, welcome: &Welcome, version: u16) -> Result<RawStream> {
    let resume = Opening::Resume { session: welcome.session, secret: welcome.secret.clone() };
    let mut on = None;
    wait_until("the session goes on in the version that is to be", PATIENCE, || {
        let (stream, answer) = come(cluster, node, NEW, &resume)?;
        let answer = answer.map_err(|refusal| anyhow!("refused: {refusal}"))?;
        on = Some(stream);
        Ok(answer.session == welcome.session && answer.version == version)
    })?;
    let mut stream = on.context("no stream")?;
    stream.send(&ClientFrame::ResendDone { open: vec![] })?;
    stream.request(Request::Attr { ino: Ino::ROOT })?.map_err(|errno| anyhow!("{errno}"))?;
    Ok(stream)
}

/// Keeps the session from lapsing until its node ends the stream.
fn keep(mut stream: RawStream) {
    while stream.expect_standing().is_ok() {
        sleep(Duration::from_millis(200));
    }
}

/// "A cluster upgrade with mixed versions of the session protocol": node by node, with agents of both kinds at both kinds of
/// nodes, and back again.
#[test]
fn a_ring_is_upgraded_node_by_node_and_agents_of_both_versions_work() -> Result<()> {
    mounted("cluster-versions", LIMIT, |scratch| {
        let Some(server) = S3Server::shared()? else { return Ok(()) };
        let blobs = server.bucket()?;
        let each = |node: usize| match node {
            0 => json!({ "blobs": blobs, "protocol": settings(NEW) }),
            _ => json!({ "blobs": blobs }),
        };
        let mut cluster = Cluster::boot_each(scratch, 2, None, None, each)?;
        let status = cluster.status(1)?;
        ensure!(status["members"][0]["protocol"] == settings(NEW) && status["members"][1]["protocol"] == settings(OLD), "{status:#}");
        let homes = [cluster.home(1, 0)?, cluster.home(0, 1)?];
        let mut mounts = Vec::new();
        for (node, home) in homes.iter().enumerate() {
            let mount = Mount::new(scratch, &format!("m{node}"), &Credential::Ticket(cluster.ticket(node, home, "mount")?))?;
            fs::write(mount.join("file"), "before")?;
            mounts.push(mount);
        }
        // While one of them cannot go on with the new version, none begins with it.
        for (node, home) in homes.iter().enumerate() {
            works(&cluster, node, OLD, ticket(&cluster, home, "old")?, OLD.max)?.0.goodbye()?;
            works(&cluster, node, NEW, ticket(&cluster, home, "new")?, OLD.max)?.0.goodbye()?;
            let (_, answer) = come(&cluster, node, NEWER, &ticket(&cluster, home, "newer")?)?;
            let refusal = answer.err().context("it was welcomed")?;
            ensure!(refusal.code == ErrorCode::UnsupportedVersion && refusal.message.contains(&format!("{} to {}", OLD.min, OLD.max)));
        }
        let (stream, welcome) = works(&cluster, 1, NEW, ticket(&cluster, &homes[1], "stays")?, OLD.max)?;

        cluster.restart_with(1, "protocol", Some(settings(NEW)))?;
        drop(stream);
        // The session from before goes on, in the version that both sides speak by now.
        let stream = goes_on(&cluster, 1, &welcome, NEW.max)?;
        let kept = std::thread::spawn(move || keep(stream));
        cluster.wait_settled(&[0, 1])?;
        for (node, home) in homes.iter().enumerate() {
            wait_until("the new version is offered", PATIENCE, || {
                let (stream, answer) = come(&cluster, node, NEW, &ticket(&cluster, home, "later")?)?;
                let version = answer.map_err(|refusal| anyhow!("refused: {refusal}"))?.version;
                stream.goodbye()?;
                Ok(version == NEW.max)
            })?;
            works(&cluster, node, OLD, ticket(&cluster, home, "old-2")?, OLD.max)?.0.goodbye()?;
            works(&cluster, node, NEWER, ticket(&cluster, home, "newer-2")?, NEW.max)?.0.goodbye()?;
            ensure!(fs::read_to_string(mounts[node].join("file"))? == "before");
            fs::write(mounts[node].join("file"), "after")?;
        }

        // The way back: the session goes on with what the older release speaks.
        cluster.restart_with(1, "protocol", None)?;
        kept.join().map_err(|_| anyhow!("a panic"))?;
        goes_on(&cluster, 1, &welcome, OLD.max)?.goodbye()?;
        cluster.wait_settled(&[0, 1])?;
        for (node, home) in homes.iter().enumerate() {
            wait_until("the new version is not offered any more", PATIENCE, || {
                let (stream, answer) = come(&cluster, node, NEW, &ticket(&cluster, home, "back")?)?;
                let version = answer.map_err(|refusal| anyhow!("refused: {refusal}"))?.version;
                stream.goodbye()?;
                Ok(version == OLD.max)
            })?;
        }
        for mount in mounts {
            ensure!(fs::read_to_string(mount.join("file"))? == "after");
            mount.unmount()?;
        }
        Ok(())
    })
}

/// A message of a kind that is not known ends the stream with a word about it, and the session goes on over another.
#[test]
fn an_unknown_kind_of_message_is_refused() -> Result<()> {
    mounted("cluster-unknown", LIMIT, |scratch| {
        Cluster::run(scratch, 1, |cluster| {
            let home = cluster.home(0, 0)?;
            let (mut stream, welcome) = works(cluster, 0, NEW, ticket(cluster, &home, "t")?, OLD.max)?;
            // In postcard an enum begins with the number of its variant.
            stream.send_bytes(&[120, 1])?;
            let closed = stream.wait_closed()?;
            ensure!(closed.code == Some(1002) && closed.reason.contains("version"), "{closed:?}");
            let resume = Opening::Resume { session: welcome.session, secret: welcome.secret };
            works(cluster, 0, NEW, resume, OLD.max)?.0.goodbye()
        })
    })
}
