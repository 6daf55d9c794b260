use std::io::{BufRead as _, BufReader};

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::Duration;
use artifacts_tests::{Process, local};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::shop::{Shop, expect_code};

#[test]
fn what_happens_is_shown_also_after_the_node_was_away() -> Result<()> {
    local("lock-watch", Duration::from_secs(2 * 60), |scratch| {
        let mut shop = Shop::open(scratch)?;
        let mut child = shop.start(&["watch", "-w", "project", "--format", "json"])?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let mut next = move || -> Result<Value> { Ok(serde_json::from_str(&lines.next().context("no more events")??)?) };
        ensure!(next()?["event"] == "ready", "it begins");
        let held = shop.acquire("deploy", &json!({ "owner": "anna" }))?.success()?;
        let told = next()?;
        ensure!(told["event"] == "acquired" && told["lock"] == "deploy" && told["owner"] == "anna", "{told}");
        ensure!(told["fencing_token"] == held["fencing_token"], "{told}");
        shop.lab.node.kill()?;
        shop.lab.node.start_again()?;
        let told = next()?;
        ensure!(told["event"] == "gap", "a node that was away has forgotten: {told}");
        shop.release("deploy", &held)?;
        let told = next()?;
        ensure!(told["event"] == "released", "{told}");
        Process::with_pid(i32::try_from(child.id())?).context("it has ended by itself")?.signal(Signal::INT)?;
        expect_code(&child.wait_with_output()?, 0)
    })
}

#[test]
fn acquire_renew_release_and_list_print_what_programs_need() -> Result<()> {
    local("lock-commands", Duration::from_secs(2 * 60), |scratch| {
        let shop = Shop::open(scratch)?;
        let json = |arguments: &[&str]| -> Result<Value> {
            let mut words = arguments.to_vec();
            words.extend(["-w", "project", "--format", "json"]);
            let output = shop.output(&words)?;
            expect_code(&output, 0)?;
            Ok(serde_json::from_slice(&output.stdout)?)
        };
        let held = json(&["acquire", "deploy", "--ttl", "30s", "--note", "release 42"])?;
        let id = held["lock_id"].as_str().context("no id")?;
        let listed = json(&["list"])?;
        ensure!(listed["items"][0]["holders"][0]["lock_id"] == id, "{listed}");
        let text = shop.output(&["list", "-w", "project"])?;
        let text = String::from_utf8_lossy(&text.stdout).into_owned();
        ensure!(text.contains("deploy") && text.contains("release 42") && text.contains("exclusive"), "{text}");
        let renewed = json(&["renew", "deploy", id, "--ttl", "1h"])?;
        ensure!(renewed["fencing_token"] == held["fencing_token"] && renewed["expires_at"] != held["expires_at"], "{renewed}");
        expect_code(&shop.output(&["acquire", "deploy", "-w", "project"])?, 5)?;
        json(&["release", "deploy", id])?;
        expect_code(&shop.output(&["release", "deploy", id, "-w", "project"])?, 5)?;
        expect_code(&shop.output(&["acquire", "deploy", "-w", "nothing"])?, 4)?;
        expect_code(&shop.output(&["acquire", "-w", "project", "not/a/name"])?, 2)
    })
}
