//! A trace leads from a system call through the stream to the store; and what happens to a mount whose collector is not there: nothing.

mod collector;

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, now, wait_until};
use artifacts_tests::{Credential, Lab, Mount, Scratch, free_port, mounted};
use collector::{Collector, Received};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(3 * 60);
/// A guard against hanging: what is promised is two seconds, on a machine that does nothing else.
const PROMPT: Duration = Duration::from_secs(20);
const AGENT: &str = "artifacts-agent";
const NODE: &str = "artifacts-node";
/// Neither may ever leave the machine in a trace.
const NAME: &str = "name-of-a-file";
const CONTENT: &str = "content-of-a-file";

fn traced_mount(scratch: &Arc<Scratch>, lab: &Lab, name: &str, workspace: &str, endpoint: &str) -> Result<Mount> {
    let ticket = lab.ticket(name, "runtime-1", workspace, "rw")?;
    Mount::with_options(scratch, name, &Credential::Ticket(ticket), &["--traces-endpoint", endpoint, "--traces-ratio", "1"])
}

/// A node that begins no trace by itself.
fn following(collector: &Collector) -> Value {
    json!({ "traces": { "endpoint": collector.url(), "ratio": 0 } })
}

/// Makes a file, writes to it and makes that durable, several times: a heartbeat may come first and take along what fsync waits for.
fn work(mount: &Mount) -> Result<()> {
    let file = File::create(mount.join(NAME))?;
    for _ in 0..10 {
        file.write_all_at(CONTENT.as_bytes(), 0)?;
        file.sync_all()?;
    }
    Ok(())
}

fn named<'a>(spans: &'a [Received], service: &str, name: &str) -> impl Iterator<Item = &'a Received> {
    let (service, name) = (service.to_owned(), name.to_owned());
    spans.iter().filter(move |span| span.service == service && span.span.name == name)
}

/// The whole way of the op `op` of the call `call`: call, batch, op at the node, commit, store.
fn way(spans: &[Received], call: &str, op: &str) -> Option<[Received; 5]> {
    let calls: Vec<_> = named(spans, AGENT, call).filter(|call| call.span.parent_span_id.is_empty()).collect();
    let ops = named(spans, NODE, "node.op").filter(|span| span.text("artifacts.op") == Some(op));
    ops.filter_map(|at_node| {
        let call = calls.iter().find(|call| call.span.trace_id == at_node.span.trace_id)?;
        let batch = named(spans, AGENT, "stream.batch").find(|batch| at_node.is_child_of(batch) || at_node.is_linked_to(batch))?;
        let belongs =
            if at_node.is_child_of(batch) { batch.is_child_of(call) } else { batch.is_linked_to(call) && at_node.is_child_of(call) };
        let commit = named(spans, NODE, "node.commit").find(|commit| commit.is_child_of(batch) || commit.is_linked_to(batch))?;
        let put = named(spans, NODE, "store.write").find(|put| put.is_child_of(commit))?;
        belongs.then(|| [(*call).clone(), batch.clone(), at_node.clone(), commit.clone(), put.clone()])
    })
    .next()
}

#[test]
fn a_trace_leads_from_the_system_call_through_the_stream_to_the_store() -> Result<()> {
    mounted("traces", LIMIT, |scratch| {
        let collector = Collector::start()?;
        let lab = Lab::start(scratch, &following(&collector))?;
        let workspace = lab.workspace("w")?;
        let mount = traced_mount(scratch, &lab, "one", &workspace, &collector.url())?;
        work(&mount)?;
        for (call, op) in [("fs.create", "create"), ("fs.write", "write")] {
            let [call, batch, at_node, commit, put] =
                collector.wait_for(&format!("the whole way of {op}"), |spans| way(spans, call, op))?;
            ensure!(call.text("artifacts.workspace") == Some("acme/w"), "{call:?}");
            ensure!(call.span.start_time_unix_nano <= batch.span.start_time_unix_nano, "the batch began before its call");
            for (part, whole) in [(&put, &commit), (&at_node, &batch)] {
                ensure!(part.span.start_time_unix_nano >= whole.span.start_time_unix_nano, "{part:?} began before {whole:?}");
            }
        }
        // The one who waits is found by what it waits for.
        collector.wait_for("the commit of an fsync", |spans| {
            let waits_for =
                |commit: &Received| named(spans, AGENT, "fs.fsync").any(|fsync| commit.is_linked_to(fsync) || commit.is_child_of(fsync));
            named(spans, NODE, "node.commit").find(|commit| waits_for(commit)).map(drop)
        })?;

        // A write too large for its op: its data goes by HTTP, under the same call.
        fs::write(mount.join("large"), vec![7; 1 << 20])?;
        File::open(mount.join("large"))?.sync_all()?;
        collector.wait_for("data that was put", |spans| {
            let put = named(spans, NODE, "PUT /v1/data/{segment}");
            put.filter_map(|put| {
                let sent = named(spans, AGENT, "data.put").find(|sent| put.is_child_of(sent))?;
                named(spans, AGENT, "fs.write").find(|call| sent.is_child_of(call)).map(drop)
            })
            .next()
        })?;

        // A call of the API that says to which trace it belongs.
        let context = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let http = artifacts_tests::http_client(PROMPT)?;
        http.get(format!("{}/healthz", lab.node.url())).header("traceparent", context).send()?.error_for_status()?;
        let served = collector.wait_for("a traced call", |spans| named(spans, NODE, "GET /healthz").next().cloned())?;
        ensure!(served.span.parent_span_id == 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes(), "{served:?}");

        mount.unmount()?;
        let sent = String::from_utf8_lossy(&collector.bodies()).into_owned();
        ensure!(!sent.contains(NAME) && !sent.contains(CONTENT) && !sent.contains("large"), "a trace tells what is in a workspace");
        Ok(())
    })
}

#[test]
fn among_several_mounts_a_wait_for_a_lease_is_a_part_of_the_call_that_waits() -> Result<()> {
    mounted("traces-leases", LIMIT, |scratch| {
        let collector = Collector::start()?;
        let lab = Lab::start(scratch, &following(&collector))?;
        let workspace = lab.workspace("w")?;
        let one = traced_mount(scratch, &lab, "one", &workspace, &collector.url())?;
        let two = traced_mount(scratch, &lab, "two", &workspace, &collector.url())?;
        work(&one)?;
        ensure!(fs::read_to_string(two.join(NAME))? == CONTENT);
        let file = File::options().write(true).open(two.join(NAME))?;
        file.write_all_at(b"C", 0)?;
        file.sync_all()?;
        drop(file);
        collector.wait_for("a wait for a lease, and the question at the node", |spans| {
            let waits = named(spans, AGENT, "lease.wait");
            let by_call = waits.filter(|wait| spans.iter().any(|call| call.span.name.starts_with("fs.") && wait.is_child_of(call)));
            by_call.filter_map(|wait| named(spans, NODE, "node.question").find(|asked| asked.is_child_of(wait)).map(drop)).next()
        })?;
        ensure!(fs::read_to_string(one.join(NAME))? == CONTENT.replacen('c', "C", 1));
        one.unmount()?;
        two.unmount()
    })
}

/// The lines of a mount's log in which it complains about the collector.
fn complaints(scratch: &Scratch) -> Result<usize> {
    fn texts(dir: &Path, found: &mut Vec<String>) -> Result<()> {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.is_dir() {
                texts(&path, found)?;
            } else if path.extension().is_some_and(|extension| extension == "log") {
                found.push(fs::read_to_string(path)?);
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    for dir in ["state", "logs", "home"].map(|dir| scratch.join(dir)) {
        if dir.is_dir() {
            texts(&dir, &mut found)?;
        }
    }
    Ok(found.iter().flat_map(|text| text.lines()).filter(|line| line.contains("takes no traces")).count())
}

#[test]
fn a_collector_that_is_absent_or_hangs_costs_a_mount_nothing() -> Result<()> {
    mounted("traces-dead", LIMIT, |scratch| {
        let hanging = Collector::hanging()?;
        let lab = Lab::start(scratch, &json!({}))?;
        let absent = format!("http://127.0.0.1:{}", free_port()?);
        for (name, endpoint) in [("absent", absent), ("hanging", hanging.url())] {
            let workspace = lab.workspace(name)?;
            let mount = traced_mount(scratch, &lab, name, &workspace, &endpoint)?;
            for round in 0..200 {
                fs::write(mount.join(format!("{round}")), "x")?;
            }
            work(&mount)?;
            ensure!(fs::read_to_string(mount.join(NAME))? == CONTENT, "{name}");
            if name == "absent" {
                wait_until("the log to tell of the collector", PROMPT, || Ok(complaints(scratch)? > 0))?;
            }
            let (agent, begun) = (mount.agent(), now());
            mount.unmount().context("unmount")?;
            wait_until("the agent to end", PROMPT, || Ok(!agent.is_alive())).with_context(|| format!("{name}: {:?}", begun.elapsed()))?;
        }
        ensure!(hanging.connections() > 0, "nobody has tried");
        ensure!(complaints(scratch)? <= 2, "it is told more than once a minute");
        Ok(())
    })
}

#[test]
fn nothing_is_sent_by_who_does_not_trace() -> Result<()> {
    mounted("traces-off", LIMIT, |scratch| {
        let (of_node, of_agent) = (Collector::start()?, Collector::start()?);
        let config = json!({ "traces": { "endpoint": of_node.url(), "ratio": 1 } });
        let lab = Lab::start(scratch, &config)?;
        let workspace = lab.workspace("w")?;
        let mount = lab.mount("one", &workspace)?;
        work(&mount)?;
        fs::write(mount.join("large"), vec![7; 1 << 20])?;
        File::open(mount.join("large"))?.sync_all()?;
        of_node.wait_for("data that was put", |spans| named(spans, NODE, "PUT /v1/data/{segment}").next().map(drop))?;
        mount.unmount()?;
        for received in of_node.spans() {
            ensure!(received.service == NODE && received.span.name != "node.op", "an agent that does not trace: {received:?}");
            let is_call = received.span.name.contains(" /");
            ensure!(!is_call || received.span.parent_span_id.is_empty(), "it was told a trace: {received:?}");
        }

        // And the other way round: a node that does not trace is told nothing, and goes on as ever.
        let second = Arc::new(Scratch::new("traces-off-node", LIMIT)?);
        let lab = Lab::start(&second, &json!({}))?;
        let workspace = lab.workspace("w")?;
        let mount = traced_mount(&second, &lab, "one", &workspace, &of_agent.url())?;
        work(&mount)?;
        of_agent.wait_for("a batch", |spans| named(spans, AGENT, "stream.batch").next().map(drop))?;
        mount.unmount()?;
        ensure!(of_agent.spans().iter().all(|span| span.service == AGENT));
        ensure!(of_agent.connections() > 0 && of_node.spans().iter().all(|span| span.service == NODE));
        Ok(())
    })
}
