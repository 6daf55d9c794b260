use std::fs;
use std::sync::Arc;

use anyhow::{Result, ensure};
use artifacts_tests::time::{Duration, now, sleep};
use artifacts_tests::{Api, Lab, NodeOptions, NodeProcess, Scratch, mounted};
use serde_json::json;

use crate::place::Place;

const LIMIT: Duration = Duration::from_secs(120);

/// Two nodes on one bucket: the second takes over, the first stops, and what the first has confirmed is there.
#[test]
fn a_second_node_takes_over_and_the_first_stops() -> Result<()> {
    mounted("bucket-supersession", LIMIT, |scratch| {
        let Some(config) = Place::Bucket.configuration(scratch)? else { return Ok(()) };
        let lab = Lab::start_with(scratch, NodeOptions { config: config.clone(), ..NodeOptions::default() })?;
        let workspace = lab.workspace("task")?;
        let mount = lab.mount("first", &workspace)?;
        fs::write(mount.join("before"), "1")?;
        fs::File::open(mount.join("before"))?.sync_all()?;
        let first = lab.node.process()?;

        let other: Arc<Scratch> = Arc::new(Scratch::new("bucket-supersession-2", LIMIT)?);
        let start = now();
        let second = NodeProcess::start(&other, &config)?;
        ensure!(start.elapsed() >= Duration::from_secs(2), "it did not wait until the first could not act: {:?}", start.elapsed());
        let api = Api::new(&second.url())?.with_token(lab.api.token());
        ensure!(api.get(&format!("/v1/workspaces/{workspace}"))?["status"] == "active");
        api.post("/v1/workspaces", &json!({ "name": "of-the-second" }))?;
        // Whatever the first still answers, it does not answer from what it remembers.
        if let Ok(reply) = lab.api.send("GET", &format!("/v1/workspaces/{workspace}"), None) {
            ensure!(reply.status == 503, "the first node answered {}", reply.status);
        }
        first.wait_gone(Duration::from_secs(30))?;
        let sessions = api.list("/v1/sessions")?;
        ensure!(sessions.len() == 1, "the session is on record: {sessions:?}");
        drop(second);
        other.show_logs();
        mount.tear_down()
    })
}

/// A node that is stopped in good order hands over: nobody waits.
#[test]
fn a_node_that_stops_in_good_order_is_followed_at_once() -> Result<()> {
    mounted("bucket-handover", LIMIT, |scratch| {
        let Some(config) = Place::Directory.configuration(scratch)? else { return Ok(()) };
        let mut lab = Lab::start_with(scratch, NodeOptions { config, ..NodeOptions::default() })?;
        let workspace = lab.workspace("task")?;
        lab.node.terminate()?;
        let start = now();
        lab.node.start_again()?;
        ensure!(start.elapsed() < Duration::from_secs(2), "a start after a good end took {:?}", start.elapsed());
        lab.node.kill()?;
        let start = now();
        lab.node.start_again()?;
        ensure!(start.elapsed() >= Duration::from_secs(2), "a start after a crash took only {:?}", start.elapsed());
        ensure!(lab.api.get(&format!("/v1/workspaces/{workspace}"))?["status"] == "active");

        Ok(())
    })
}

/// A node that hung while another took over tells nothing of what it remembers when it goes on.
#[test]
fn a_frozen_node_that_thaws_tells_nothing_old() -> Result<()> {
    mounted("bucket-thaw", LIMIT, |scratch| {
        let Some(config) = Place::Bucket.configuration(scratch)? else { return Ok(()) };
        let lab = Lab::start_with(scratch, NodeOptions { config: config.clone(), ..NodeOptions::default() })?;
        let workspace = lab.workspace("task")?;
        let mount = lab.mount("first", &workspace)?;
        fs::write(mount.join("file"), "1")?;
        fs::File::open(mount.join("file"))?.sync_all()?;
        lab.node.freeze()?;
        let other: Arc<Scratch> = Arc::new(Scratch::new("bucket-thaw-2", LIMIT)?);
        let second = NodeProcess::start(&other, &config)?;
        let api = Api::new(&second.url())?.with_token(lab.api.token());
        api.post("/v1/workspaces", &json!({ "name": "of-the-second" }))?;
        let first = lab.node.process()?;
        // They wait at the frozen node and are the first that it sees.
        let answers: Vec<_> = std::thread::scope(|scope| {
            let calls: Vec<_> = (0..8)
                .map(|number| {
                    let api = &lab.api;
                    let make = json!({ "name": format!("late-{number}") });
                    scope.spawn(move || match number % 2 {
                        0 => api.send("GET", "/v1/workspaces", None),
                        _ => api.send("POST", "/v1/workspaces", Some(&make)),
                    })
                })
                .collect();
            sleep(Duration::from_millis(500));
            let thawed = lab.node.thaw();
            let answers = calls.into_iter().filter_map(|call| call.join().ok()?.ok()).collect();
            thawed.map(|()| answers)
        })?;
        for reply in &answers {
            ensure!(reply.status == 503 || reply.text.contains("of-the-second"), "it tells {}: {}", reply.status, reply.text);
        }
        println!("{} of 8 calls were answered by the node after it thawed", answers.len());
        first.wait_gone(Duration::from_secs(30))?;
        ensure!(!api.get("/v1/workspaces")?.to_string().contains("late-"), "something that was refused was done");
        mount.tear_down()
    })
}
