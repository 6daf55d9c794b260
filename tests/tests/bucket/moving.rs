use std::fs;
use std::process::{Command, Output};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::Duration;
use artifacts_tests::{Credential, Lab, Mount, NodeOptions, NodeProcess, Scratch, artifacts_binary, mounted};
use serde_json::{Value, json};

use crate::place::Place;

const LIMIT: Duration = Duration::from_secs(180);

fn node(scratch: &Scratch, config: &Value, data: &str, arguments: &[&str]) -> Result<Output> {
    let file = scratch.join(format!("{data}.json"));
    fs::write(&file, config.to_string())?;
    let mut command = Command::new(artifacts_binary()?);
    scratch.mark(&mut command).arg("--format").arg("json").arg("node").arg("--config").arg(file);
    Ok(command.arg("--data").arg(scratch.join(data)).args(arguments).output()?)
}

fn answer(output: &Output) -> Result<Value> {
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn a_node_moves(scratch: &Arc<Scratch>, place: Place) -> Result<()> {
    let Some(config) = place.configuration(scratch)? else { return Ok(()) };
    let mut lab = Lab::start_with(scratch, NodeOptions { config: json!({}), ..NodeOptions::default() })?;
    let workspace = lab.workspace("task")?;
    let ticket = lab.ticket("t", "later", &workspace, "rw")?;
    let mount = lab.mount("before", &workspace)?;
    let large: Vec<u8> = (0..2_000_000).map(|at| (at / 3) as u8).collect();
    fs::write(mount.join("large"), &large)?;
    for number in 0..50 {
        fs::write(mount.join(format!("{number}")), number.to_string())?;
    }
    mount.unmount()?;
    let file = scratch.join("node.export");
    let path = file.to_str().context("a path")?;

    let running = node(scratch, &json!({}), "data", &["export", path])?;
    ensure!(!running.status.success() && !file.exists(), "a node that runs was exported");
    lab.node.terminate()?;
    let exported = answer(&node(scratch, &json!({}), "data", &["export", path])?)?;
    ensure!(exported["rows"].as_u64() > Some(60) && exported["segments"].as_u64() > Some(0), "{exported}");

    let imported = answer(&node(scratch, &config, "moved", &["import", path])?)?;
    ensure!(imported == exported, "{imported} was imported of {exported}");
    let again = node(scratch, &config, "moved", &["import", path])?;
    ensure!(!again.status.success(), "an import into a cluster with data");

    let tokens = (lab.api.token().to_owned(), ticket);
    drop(lab);
    fs::rename(scratch.join("data"), scratch.join("old"))?;
    let moved = NodeProcess::start(scratch, &config)?;
    let api = artifacts_tests::Api::new(&moved.url())?.with_token(&tokens.0);
    ensure!(api.get(&format!("/v1/workspaces/{workspace}"))?["status"] == "active");
    let mut ticket = tokens.1;
    // The node has another address now, which is all that a ticket of before does not know.
    ticket["endpoints"] = json!([moved.url()]);
    let mount = Mount::new(scratch, "after", &Credential::Ticket(ticket))?;
    ensure!(fs::read(mount.join("large"))? == large);
    for number in 0..50 {
        ensure!(fs::read_to_string(mount.join(format!("{number}")))? == number.to_string());
    }
    fs::write(mount.join("new"), "written after")?;
    let report = api.post(&format!("/v1/workspaces/{workspace}/fsck"), &json!({ "data": true }))?;
    ensure!(report["findings"].as_array().is_some_and(Vec::is_empty), "{report:#}");
    mount.unmount()
}

#[test]
fn a_node_moves_into_a_bucket() -> Result<()> {
    mounted("bucket-move", LIMIT, |scratch| a_node_moves(scratch, Place::Bucket))
}

#[test]
fn a_node_moves_into_a_directory() -> Result<()> {
    mounted("directory-move", LIMIT, |scratch| a_node_moves(scratch, Place::Directory))
}
