//! Dashboard and alerts are about metrics that nodes and agents export, in PromQL.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::Duration;
use artifacts_tests::{
    Api, Credential, Lab, Mount, NodeOptions, NodeProcess, S3Server, free_port, free_udp_address, http_client, local, mounted,
};
use serde_json::{Value, json};

use crate::tools::{python, root, yaml};

/// Only a guard against hanging.
const LIMIT: Duration = Duration::from_secs(180);
/// These are there only where there are several regions, or cells of agents.
const ELSEWHERE: [&str; 3] = ["artifacts_region_nodes", "artifacts_cells", "artifacts_cell_members"];

/// The expressions of the dashboard and of the alerts.
fn expressions() -> Result<Vec<String>> {
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(root()?.join("deploy/observability/dashboard.json"))?)?;
    let mut found = Vec::new();
    for panel in dashboard["panels"].as_array().context("panels")? {
        for target in panel["targets"].as_array().into_iter().flatten() {
            found.push(target["expr"].as_str().context("expr")?.replace("$__rate_interval", "5m"));
        }
    }
    for rule in rules()? {
        found.push(rule["expr"].as_str().context("expr")?.to_owned());
    }
    Ok(found)
}

fn rules() -> Result<Vec<Value>> {
    let alerts = yaml(&root()?.join("deploy/observability/alerts.yaml"))?;
    Ok(alerts["groups"][0]["rules"].as_array().context("rules")?.clone())
}

#[test]
fn prometheus_can_read_every_expression() -> Result<()> {
    let all = expressions()?;
    ensure!(all.len() > 50, "{} expressions", all.len());
    python("import sys, promql_parser\nfor text in sys.argv[1:]: promql_parser.parse(text)", &all)?;
    let wrong = python("import sys, promql_parser\npromql_parser.parse(sys.argv[1])", ["sum(artifacts_sessions"]);
    ensure!(wrong.is_err(), "the parser takes anything");
    Ok(())
}

/// The names of our metrics in a text; those of a histogram's parts are the histogram's.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words
        .filter(|word| word.starts_with("artifacts_"))
        .map(|word| ["_bucket", "_count", "_sum"].iter().find_map(|part| word.strip_suffix(part)).unwrap_or(word).to_owned())
        .collect()
}

/// A node of a ring on a bucket, which has served something, exports whatever there is.
fn exported() -> Result<Option<BTreeSet<String>>> {
    let Some(server) = S3Server::shared()? else { return Ok(None) };
    let mut metrics = BTreeSet::new();
    local("metrics", LIMIT, |scratch| {
        let keys = scratch.join("ring-keys");
        fs::write(&keys, base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [7; 32]))?;
        let gossip = free_udp_address()?;
        let config = json!({
            "store": "slate", "blobs": server.bucket()?, "cluster": { "shards": 2 },
            "ring": { "node": "n1", "listen": gossip, "seeds": [gossip], "key_file": keys },
        });
        let node = NodeProcess::start_with(scratch, NodeOptions { config, ..NodeOptions::default() })?;
        let api = Api::new(&node.url())?;
        let made = api.with_token(&node.admin_token()?).post("/v1/accounts", &json!({ "handle": "acme" }))?;
        let api = api.with_token(made["api_key"]["key"].as_str().context("key")?);
        api.post("/v1/workspaces", &json!({ "name": "w" }))?;
        let text = api.send("GET", "/metrics", None)?.text;
        metrics = explained_in(&text)?;
        Ok(())
    })?;
    metrics.extend(exported_by_an_agent()?);
    Ok(Some(metrics))
}

/// The metrics of a page, each of which says what it is.
fn explained_in(page: &str) -> Result<BTreeSet<String>> {
    let metrics = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next().map(str::to_owned)).collect();
    for name in &metrics {
        ensure!(page.contains(&format!("# HELP {name} ")), "{name} does not say what it is");
    }
    Ok(metrics)
}

/// What a mount exports that programs work in.
fn exported_by_an_agent() -> Result<BTreeSet<String>> {
    let mut metrics = BTreeSet::new();
    mounted("metrics-of-agents", LIMIT, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let ticket = lab.ticket("one", "runtime-1", &lab.workspace("w")?, "rw")?;
        let address = format!("127.0.0.1:{}", free_port()?);
        let mount = Mount::with_options(scratch, "one", &Credential::Ticket(ticket), &["--metrics-listen", &address])?;
        fs::write(mount.join("file"), "twelve bytes")?;
        ensure!(fs::read_to_string(mount.join("file"))? == "twelve bytes");
        ensure!(fs::read(mount.join("missing")).is_err());
        let page = http_client(LIMIT)?.get(format!("http://{address}/metrics")).send()?.error_for_status()?.text()?;
        let value = |name: &str, label: &str| -> Result<f64> {
            let line = page.lines().find(|line| line.starts_with(name) && line.contains("workspace=\"acme/w\"") && line.contains(label));
            let value = line.and_then(|line| line.rsplit(' ').next());
            Ok(value.with_context(|| format!("no {name} {label} in {page}"))?.parse()?)
        };
        ensure!(value("artifacts_mount_health", "state=\"ok\"")? == 1.0);
        ensure!(value("artifacts_mount_bytes_total", "direction=\"written\"")? == 12.0, "{page}");
        ensure!(value("artifacts_mount_bytes_total", "direction=\"read\"")? >= 12.0, "{page}");
        ensure!(value("artifacts_mount_calls_total", "family=\"metadata\",result=\"refused\"")? >= 1.0, "{page}");
        ensure!(!page.contains("missing"), "a name shows");
        metrics = explained_in(&page)?;
        mount.unmount()
    })?;
    Ok(metrics)
}

#[test]
fn every_metric_that_is_watched_is_exported_and_every_one_that_is_exported_is_watched_and_explained() -> Result<()> {
    let Some(mut exported) = exported()? else { return Ok(()) };
    exported.extend(ELSEWHERE.map(str::to_owned));
    let watched: BTreeSet<String> = expressions()?.iter().flat_map(|text| names(text)).collect();
    let unknown: Vec<_> = watched.difference(&exported).collect();
    ensure!(unknown.is_empty(), "watched, and not exported: {unknown:?}");
    let unwatched: Vec<_> = exported.difference(&watched).collect();
    ensure!(unwatched.is_empty(), "exported, and on no dashboard: {unwatched:?}");
    let explained = names(&fs::read_to_string(root()?.join("docs/operations.md"))?);
    let missing: Vec<_> = exported.difference(&explained).collect();
    ensure!(missing.is_empty(), "not in docs/operations.md: {missing:?}");
    Ok(())
}

#[test]
fn every_alert_says_what_to_do() -> Result<()> {
    let page = fs::read_to_string(root()?.join("docs/monitoring.md"))?;
    for rule in rules()? {
        let name = rule["alert"].as_str().context("alert")?;
        ensure!(page.contains(&format!("| `{name}` |")), "docs/monitoring.md does not know {name}");
        ensure!(rule["annotations"]["description"].as_str().is_some_and(|text| text.ends_with('.')), "{name} does not say what to do");
        let severity = rule["labels"]["severity"].as_str().context("severity")?;
        ensure!(["warning", "critical"].contains(&severity), "{name}: {severity}");
    }
    Ok(())
}
