//! Events of named locks, watched through a node that does not own the workspace.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, now};
use artifacts_tests::{artifacts_binary, local};
use serde_json::{Value, json};

use crate::fixture::{Cluster, Home, LIMIT, PATIENCE};

/// `artifacts lock watch`, and what it prints.
struct Watch {
    child: Child,
    events: Receiver<Value>,
}

impl Watch {
    fn start(scratch: &artifacts_tests::Scratch, url: &str, home: &Home) -> Result<Self> {
        let mut command = Command::new(artifacts_binary()?);
        scratch.mark(&mut command).args(["lock", "watch", "-w", &home.workspace, "--format", "json"]);
        command.env("TONBO_API_URL", url).env("TONBO_API_KEY", &home.key);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("artifacts lock watch")?;
        let output = child.stdout.take().context("no output")?;
        let (told, events) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let Ok(event) = serde_json::from_str(&line) else { return };
                if told.send(event).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, events })
    }

    fn next(&self) -> Result<Value> {
        self.events.recv_timeout(PATIENCE).context("no more events")
    }

    /// Waits for this event, of this lock if one is named; what comes before is passed over.
    fn until(&self, event: &str, lock: Option<&str>) -> Result<Duration> {
        let start = now();
        loop {
            let told = self.next().with_context(|| format!("waiting for {event} {lock:?}"))?;
            if told["event"] == event && told["lock"].as_str() == lock {
                return Ok(start.elapsed());
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The owner is killed, comes back, hangs: whoever watches is told each time that events may be lost, and hears of all that
/// follow, without doing anything.
#[test]
fn lock_events_go_on_when_the_owner_is_lost() -> Result<()> {
    local("lock-events", LIMIT, |scratch| {
        Cluster::run(scratch, 3, |cluster| {
            // Watched through node 0; the account is at node 1.
            let home = cluster.home(1, 2)?;
            let api = cluster.api(1, &home.key)?;
            let take = |lock: &str| -> Result<()> {
                let (start, body) = (now(), json!({ "mode": "exclusive", "ttl_ms": 60_000 }));
                loop {
                    let reply = api.send("POST", &format!("/v1/workspaces/{}/locks/{lock}/acquire", home.workspace), Some(&body))?;
                    if reply.status != 503 || start.elapsed() > PATIENCE {
                        return reply.success().map(drop);
                    }
                }
            };
            let watch = Watch::start(scratch, &cluster.nodes[0].url(), &home)?;
            ensure!(watch.next()?["event"] == "ready");
            take("first")?;
            watch.until("acquired", Some("first"))?;

            // A new owner has no memory of the old one's events, and says so.
            cluster.nodes[2].kill()?;
            watch.until("gap", None)?;
            take("second")?;
            watch.until("acquired", Some("second"))?;
            cluster.nodes[2].start_again()?;
            watch.until("gap", None)?;
            take("third")?;
            watch.until("acquired", Some("third"))?;
            // One that hangs keeps its connections.
            cluster.nodes[2].freeze()?;
            println!("told {:?} after the owner was frozen that events are lost", watch.until("gap", None)?);
            take("fourth")?;
            watch.until("acquired", Some("fourth"))?;
            cluster.nodes[2].thaw()?;
            cluster.wait_settled(&[0, 1, 2])?;
            Ok(())
        })
    })
}
