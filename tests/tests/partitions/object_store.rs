//! An object store that is slow, fails, or is away: nothing fsynced is lost, memory is bounded, answers are clear, and it goes on by
//! itself.

use std::fs;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, now, sleep, wait_until};
use artifacts_tests::{Credential, Mount, PeakMemory, S3Server, Scratch, mounted};
use serde_json::json;

use crate::fault_clients::{Called, Caller};
use crate::faults::{Fault, FaultProxy};
use crate::fixture::{Cluster, Home, LIMIT, PATIENCE};
use crate::load::{Writer, Written, expect_saved};

const DELAY: Duration = Duration::from_millis(500);
const MIB: u64 = 1 << 20;
/// What a node may hold, in bytes, however long the object store is away.
const NODE_MAX_BYTES: u64 = 400 * MIB;
/// The same of an agent.
const AGENT_MAX_BYTES: u64 = 300 * MIB;
/// The longest that a call may take before it is answered, whatever happens behind it.
const ANSWER_WITHIN: Duration = Duration::from_secs(25);

/// What came of a fault.
struct Outcome {
    written: Written,
    called: Called,
}

/// Lets a mount write and a client call while `fault` is done to the object store, checks what must always hold, and gives the rest.
fn under(name: &str, fault: impl FnOnce(&FaultProxy) -> Result<()>, judge: impl FnOnce(&Outcome) -> Result<()>) -> Result<()> {
    mounted(name, LIMIT, |scratch| {
        let Some(server) = S3Server::shared()? else { return Ok(()) };
        let proxy = FaultProxy::start(server.endpoint().strip_prefix("http://").context("an address")?)?;
        let mut blobs = server.bucket()?;
        blobs["s3"]["endpoint"] = json!(proxy.url());
        Cluster::boot(scratch, 3, None, &json!({ "blobs": blobs }))?.check(|cluster| {
            let home = cluster.home(1, 2)?;
            let outcome = endure(name, scratch, cluster, &home, &proxy, fault)?;
            judge(&outcome)
        })
    })
}

fn endure(
    name: &str,
    scratch: &Arc<Scratch>,
    cluster: &Cluster,
    home: &Home,
    proxy: &FaultProxy,
    fault: impl FnOnce(&FaultProxy) -> Result<()>,
) -> Result<Outcome> {
    let mount = Mount::new(scratch, "m", &Credential::Ticket(cluster.ticket(0, home, "t")?))?;
    // More than may be in memory, written by somebody who does not ask when it is safe.
    let (large, chunk) = (mount.join("large"), vec![7; MIB as usize]);
    let heap = std::thread::spawn(move || -> std::io::Result<()> {
        let mut file = fs::File::create(large)?;
        (0..128).try_for_each(|_| std::io::Write::write_all(&mut file, &chunk))
    });
    let writer = Writer::start(mount.path().to_owned());
    let callers = (0..3).map(|node| Ok(Caller::start(cluster.api(node, &home.key)?, home))).collect::<Result<Vec<_>>>()?;
    sleep(Duration::from_secs(1));
    let before = proxy.requests();
    fault(proxy)?;
    let requests = proxy.requests() - before;
    proxy.set(Fault::None);
    let start = now();
    let after = mount.join("after");
    wait_until("the mount goes on", PATIENCE, || Ok(fs::File::create(&after).and_then(|file| file.sync_all()).is_ok()))?;
    let back = start.elapsed();
    cluster.wait_settled(&[0, 1, 2])?;
    let called = callers.into_iter().try_fold(Called::default(), |sum, caller| Ok::<_, anyhow::Error>(sum.and(caller.stop()?)))?;
    let written = writer.stop()?;
    println!(
        "{name}: {requests} requests; fsync again {back:?} after it; {} files saved, the longest took {:?}",
        written.saved.len(),
        written.longest
    );
    println!("{name}: {called}");
    expect_saved(mount.path(), &written)?;
    // Without fsync it may have failed; it may not hang.
    let wrote = heap.join().map_err(|_| anyhow::anyhow!("the heap's writer panicked"))?;
    println!("{name}: the large file: {wrote:?}");
    cluster.api(0, &home.key)?.get(&format!("/v1/workspaces/{}", home.workspace))?;
    cluster.nodes.iter().for_each(artifacts_tests::NodeProcess::note_memory);
    let node = cluster.memory().map(PeakMemory::bytes).map(|(_, node)| node).max().unwrap_or(0);
    mount.note_memory();
    let (agent, _) = scratch.memory().bytes();
    println!("{name}: peak RSS: agent {} MiB, node {} MiB", agent / MIB, node / MIB);
    ensure!(node > 0 && node < NODE_MAX_BYTES, "a node held {} MiB", node / MIB);
    ensure!(agent > 0 && agent < AGENT_MAX_BYTES, "the agent held {} MiB", agent / MIB);
    ensure!(called.longest < ANSWER_WITHIN, "a call was answered after {:?}", called.longest);
    ensure!(called.unclear.is_empty(), "{:#?}", called.unclear);
    mount.unmount()?;
    let report = cluster.api(0, &home.key)?.post(&format!("/v1/workspaces/{}/fsck", home.workspace), &json!({ "data": true }))?;
    ensure!(report["clean"] == true, "{report:#}");
    Ok(Outcome { written, called })
}

#[test]
fn a_slow_object_store_makes_everything_slow_and_nothing_fail() -> Result<()> {
    let fault = |proxy: &FaultProxy| {
        proxy.set(Fault::Slow(DELAY));
        sleep(Duration::from_secs(15));
        Ok(())
    };
    under("slow", fault, |outcome| {
        ensure!(outcome.written.errors.is_empty(), "{:?}", outcome.written.errors);
        ensure!(outcome.called.unavailable == 0, "{}", outcome.called);
        Ok(())
    })
}

#[test]
fn an_object_store_that_fails_three_times_in_ten_loses_nothing() -> Result<()> {
    let fault = |proxy: &FaultProxy| {
        proxy.set(Fault::Failing);
        sleep(Duration::from_secs(15));
        Ok(())
    };
    under("failing", fault, |outcome| {
        ensure!(outcome.called.answered > 0, "{}", outcome.called);
        ensure!(!outcome.written.saved.is_empty());
        Ok(())
    })
}

/// At first the network to it is silent, then it refuses connections. `PARTITIONS=full` lets that take a minute.
#[test]
fn an_object_store_that_is_away_makes_calls_unavailable_until_it_is_back() -> Result<()> {
    let half = Duration::from_secs(if std::env::var("PARTITIONS").as_deref() == Ok("full") { 30 } else { 10 });
    let fault = |proxy: &FaultProxy| {
        for fault in [Fault::Silent, Fault::Away] {
            proxy.set(fault);
            sleep(half);
        }
        Ok(())
    };
    under("away", fault, |outcome| {
        ensure!(outcome.called.unavailable > 0, "{}", outcome.called);
        ensure!(!outcome.written.saved.is_empty());
        Ok(())
    })
}
