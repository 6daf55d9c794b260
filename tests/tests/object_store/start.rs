//! Nodes that do not start, and say why.

use std::fs;

use anyhow::{Result, ensure};
use artifacts_tests::time::Duration;
use artifacts_tests::{Lab, NodeProcess, S3Server, local};
use serde_json::{Value, json};

#[test]
fn a_node_without_its_bucket_says_what_to_do_and_no_secret() -> Result<()> {
    local("no-bucket", Duration::from_secs(5 * 60), |scratch| {
        let Some(server) = S3Server::shared()? else { return Ok(()) };
        let with = |field: &str, value: &str| -> Result<Value> {
            let mut blobs = server.bucket()?;
            blobs["s3"][field] = json!(value);
            Ok(json!({ "blobs": blobs }))
        };
        for (config, said) in [
            (with("bucket", "no-such-bucket")?, "has no bucket `no-such-bucket`; create it"),
            (with("secret_access_key", "wrong-secret")?, "refuses the credentials"),
            (json!({ "data_path": "direct" }), "data_path `direct` needs segments in S3"),
        ] {
            ensure!(NodeProcess::start(scratch, &config).is_err(), "a node starts with {config}");
            let log = fs::read_to_string(scratch.join("logs/node.log"))?;
            ensure!(log.contains(said), "it does not say `{said}`:\n{log}");
            ensure!(!log.contains("wrong-secret") && !log.contains("test-secret"), "the log shows a secret");
        }
        Ok(())
    })
}

#[test]
fn a_node_is_not_started_on_another_place_than_it_has_its_segments_in() -> Result<()> {
    local("moved", Duration::from_secs(5 * 60), |scratch| {
        let Some(server) = S3Server::shared()? else { return Ok(()) };
        let mut lab = Lab::start(scratch, &json!({ "blobs": server.bucket()? }))?;
        lab.node.terminate()?;
        fs::write(scratch.join("node.json"), "{}")?;
        ensure!(lab.node.start_again().is_err(), "the node starts without its bucket");
        let log = fs::read_to_string(scratch.join("logs/node.log"))?;
        ensure!(log.contains("the configuration says `directory`; set it back"), "it does not say why:\n{log}");
        Ok(())
    })
}
