//! The chart: Helm renders it, and Kubernetes' schemas take what it renders, as they take the pods of the documentation.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::Duration;
use artifacts_tests::{NodeProcess, Scratch, local};
use serde_json::{Value, json};

use crate::tools::{python, root, said, tool};

/// Only a guard against hanging.
const LIMIT: Duration = Duration::from_secs(120);
/// The newest one that the schemas know may be too new for a cluster, the oldest one too old.
const VERSIONS: [&str; 2] = ["1.29", "1.34"];
const NAMESPACE: &str = "storage";

/// What `helm template` renders with these values.
fn rendered(values: &Value) -> Result<String> {
    python(include_str!("render.py"), [root()?.join("deploy/helm/artifacts").to_string_lossy().as_ref(), NAMESPACE, &values.to_string()])
}

fn documents(text: &str) -> Result<Vec<Value>> {
    let program = "import sys, json, yaml; print(json.dumps([d for d in yaml.safe_load_all(sys.argv[1]) if d]))";
    Ok(serde_json::from_str(&python(program, [text])?)?)
}

/// Checks documents against the schemas of Kubernetes, unknown fields included.
fn validate(scratch: &Scratch, name: &str, text: &str) -> Result<()> {
    let file = scratch.join(format!("{name}.yaml"));
    fs::write(&file, text)?;
    for version in VERSIONS {
        said(tool("kubernetes-validate")?.args(["--strict", "--quiet", "--kubernetes-version", version]).arg(&file))?;
    }
    Ok(())
}

fn all_values() -> Value {
    json!({
        "s3": { "bucket": "acme", "endpoint": "http://s3:8333", "pathStyle": true, "region": "eu", "credentialsSecret": "s3" },
        "publicUrl": "https://@POD@.artifacts.example.com",
        "config": { "session_lease_ms": 20000, "ring": { "gossip_interval_ms": 100 } },
        "hostAgent": { "enabled": true, "metricsPort": 7702 },
        "telemetry": { "endpoint": "http://collector.monitoring:4318", "ratio": 0.1 },
        "networkPolicy": { "clients": [{ "podSelector": { "matchLabels": { "mounts": "artifacts" } } }] },
        "nodeSelector": { "disk": "ssd" },
        "imagePullSecrets": [{ "name": "registry" }],
        "serviceAccount": { "annotations": { "role": "storage" } },
    })
}

fn of_kind<'a>(documents: &'a [Value], kind: &str) -> Result<&'a Value> {
    documents.iter().find(|document| document["kind"] == kind).with_context(|| format!("no {kind}"))
}

#[test]
fn kubernetes_takes_what_it_renders() -> Result<()> {
    local("chart", LIMIT, |scratch| {
        for (name, values) in [("least", json!({ "s3": { "bucket": "acme" } })), ("most", all_values())] {
            let text = rendered(&values)?;
            validate(scratch, name, &text)?;
            let documents = documents(&text)?;
            for kind in ["StatefulSet", "Service", "ConfigMap", "ServiceAccount", "PodDisruptionBudget", "NetworkPolicy"] {
                of_kind(&documents, kind)?;
            }
            ensure!(of_kind(&documents, "DaemonSet").is_ok() == (name == "most"), "the host agent is there unasked, or not at all");
            ensure!(text.contains("collector.monitoring:4318") == (name == "most"), "traces go somewhere unasked, or nowhere");
        }
        let wrong = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {prots: []}\n";
        ensure!(validate(scratch, "wrong", wrong).is_err(), "the schemas take anything");
        Ok(())
    })
}

#[test]
fn values_that_cannot_be_are_refused() -> Result<()> {
    for values in [json!({}), json!({ "s3": { "bucket": "acme" }, "replicas": 0 }), json!({ "s3": { "bucket": "acme" }, "unknown": 1 })] {
        ensure!(rendered(&values).is_err(), "it renders {values}");
    }
    Ok(())
}

/// The nodes are of no privilege, each finds all others, and a disruption leaves a larger part.
#[test]
fn the_nodes_are_a_cluster_without_privilege() -> Result<()> {
    let documents = documents(&rendered(&all_values())?)?;
    let set = of_kind(&documents, "StatefulSet")?;
    let pod = &set["spec"]["template"]["spec"];
    ensure!(pod["securityContext"]["runAsNonRoot"] == true, "root");
    for container in pod["containers"].as_array().into_iter().chain(pod["initContainers"].as_array()).flatten() {
        let context = &container["securityContext"];
        ensure!(context["readOnlyRootFilesystem"] == true && context["capabilities"]["drop"][0] == "ALL", "{container}");
        ensure!(context["privileged"].is_null(), "{container}");
    }
    let selector = &set["spec"]["selector"]["matchLabels"];
    for kind in ["PodDisruptionBudget", "NetworkPolicy"] {
        let document = of_kind(&documents, kind)?;
        let chosen = if kind == "NetworkPolicy" { &document["spec"]["podSelector"] } else { &document["spec"]["selector"] };
        ensure!(&chosen["matchLabels"] == selector, "{kind} is about other pods");
    }
    let config = configuration(&documents, "artifacts-1", "10.1.2.3")?;
    let seeds = config["ring"]["seeds"].as_array().context("seeds")?;
    ensure!(seeds.len() == 3 && seeds[2] == "artifacts-2.artifacts-nodes.storage.svc:7701", "{seeds:?}");
    ensure!(
        config["session_lease_ms"] == 20000 && config["ring"]["gossip_interval_ms"] == 100,
        "what the values say is not there: {config}"
    );
    ensure!(config["ring"]["advertise"] == "10.1.2.3:7701" && config["ring"]["node"] == "artifacts-1", "{config}");
    ensure!(config["public_urls"][0] == "https://artifacts-1.artifacts.example.com", "{config}");
    Ok(())
}

/// What the init container makes of the template.
fn configuration(documents: &[Value], pod: &str, address: &str) -> Result<Value> {
    let map = of_kind(documents, "ConfigMap")?["data"]["node.json"].as_str().context("node.json")?.to_owned();
    Ok(serde_json::from_str(&map.replace("@POD@", pod).replace("@ADDRESS@", address))?)
}

/// A node starts with what the chart writes, but for its addresses and paths.
#[test]
fn a_node_takes_the_configuration() -> Result<()> {
    local("chart-node", LIMIT, |scratch| {
        let documents = documents(&rendered(&json!({ "s3": { "bucket": "acme" } }))?)?;
        let mut config = configuration(&documents, "artifacts-0", "127.0.0.1")?;
        let settings = config.as_object_mut().context("settings")?;
        let ring = settings.get_mut("ring").and_then(Value::as_object_mut).context("ring")?;
        let gossip = artifacts_tests::free_udp_address()?.to_string();
        ring.insert("listen".to_owned(), json!(gossip));
        ring.insert("advertise".to_owned(), json!(gossip));
        ring.insert("seeds".to_owned(), json!([gossip]));
        let keys = scratch.join("ring-keys");
        fs::write(&keys, "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n")?;
        ring.insert("key_file".to_owned(), json!(keys));
        settings.insert("blobs".to_owned(), json!("directory"));
        settings.insert("cluster".to_owned(), json!({ "directory": scratch.join("bucket"), "shards": 2 }));
        NodeProcess::start(scratch, &config).map(drop)
    })
}

/// The pods that readers copy.
#[test]
fn kubernetes_takes_the_pods_of_the_documentation() -> Result<()> {
    local("pods", LIMIT, |scratch| {
        let page = fs::read_to_string(root()?.join("docs/mount-kubernetes.md"))?;
        let blocks: Vec<&str> = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        ensure!(blocks.len() == 2, "{} pods", blocks.len());
        for (number, block) in blocks.iter().enumerate() {
            validate(scratch, &format!("pod-{number}"), block)?;
            ensure!(block.contains("mountPath: /run/tonbo/artifacts") && block.contains("key: mount-ticket.json"), "no ticket:\n{block}");
        }
        Ok(())
    })
}

/// Both say which release this is.
#[test]
fn the_chart_is_of_this_version() -> Result<()> {
    let chart = crate::tools::yaml(&root()?.join("deploy/helm/artifacts/Chart.yaml"))?;
    ensure!(chart["appVersion"] == env!("CARGO_PKG_VERSION") && chart["version"] == env!("CARGO_PKG_VERSION"), "{chart}");
    ensure!(Path::new(&root()?.join("deploy/helm/artifacts/values.schema.json")).is_file(), "no schema of the values");
    Ok(())
}
