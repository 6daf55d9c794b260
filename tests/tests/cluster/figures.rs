use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{sleep, wait_until};
use artifacts_tests::{Credential, Mount, Network, Relay, S3Server, mounted};
use serde_json::{Value, json};

use crate::fixture::{Cluster, LIMIT, PATIENCE, SHARDS};

/// What a node's `/metrics` says: each line's name with its labels, and its value.
struct Figures(BTreeMap<String, f64>);

impl Figures {
    fn of(cluster: &Cluster, node: usize) -> Result<Self> {
        let text = cluster.api(node, "")?.without_token().send("GET", "/metrics", None)?.text;
        let lines = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
        Ok(Self(lines.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect()))
    }

    /// The sum of all lines of a metric that have this label, as it is written there.
    fn sum(&self, name: &str, label: &str) -> f64 {
        let is_of = |line: &str| line.split('{').next() == Some(name) && line.contains(label);
        self.0.iter().filter(|(line, _)| is_of(line)).map(|(_, value)| value).sum()
    }

    /// How many calls of the object store there were, however they ended.
    fn calls(&self, of: &str, call: &str) -> f64 {
        let counts = self.0.iter().filter(|(line, _)| line.starts_with("artifacts_object_store_seconds_count"));
        let of_these = |line: &str| line.contains(&format!("of=\"{of}\"")) && line.contains(&format!("call=\"{call}\""));
        counts.filter(|(line, _)| of_these(line)).map(|(_, count)| count).sum()
    }
}

/// "metrics for all of it", and the lag of each in the cluster's status.
#[test]
fn metrics_and_status_say_how_the_cluster_is() -> Result<()> {
    mounted("cluster-figures", LIMIT, |scratch| {
        Cluster::run(scratch, 3, |cluster| {
            let home = cluster.home(0, 2)?;
            let mut ticket = cluster.ticket(1, &home, "t")?;
            ticket["endpoints"] = json!([cluster.nodes[1].url()]);
            let mount = Mount::new(scratch, "m", &Credential::Ticket(ticket))?;
            fs::write(mount.join("file"), "x".repeat(200_000))?;
            fs::File::open(mount.join("file"))?.sync_all()?;
            cluster.api(1, &home.key)?.get("/v1/whoami")?;
            let report = cluster.api(1, &home.key)?.post(&format!("/v1/workspaces/{}/fsck", home.workspace), &json!({ "data": true }))?;
            ensure!(report["clean"] == true, "{report}");

            let mut served = 0.0;
            for node in 0..3 {
                let figures = Figures::of(cluster, node)?;
                ensure!(figures.sum("artifacts_ring_members", "serving") == 3.0 && figures.sum("artifacts_ring_members", "silent") == 0.0);
                served += figures.sum("artifacts_shards", "serving");
                ensure!(figures.sum("artifacts_shard_epoch", "") >= figures.sum("artifacts_shards", "serving"));
                ensure!(figures.sum("artifacts_shards_opened_total", "handed_over") >= figures.sum("artifacts_shards", "serving"));
                ensure!(figures.sum("artifacts_shards_opened_total", "taken") == 0.0, "a shard was taken though all is well");
                ensure!(figures.sum("artifacts_shard_proof_age_seconds", "") < 60.0);
                for call in ["put", "get", "head", "list"] {
                    ensure!(figures.calls("metadata", call) > 0.0, "no {call} of metadata at n{node}");
                }
            }
            ensure!(served == f64::from(SHARDS), "{served} shards are served");
            let at_1 = Figures::of(cluster, 1)?;
            ensure!(at_1.sum("artifacts_requests_passed_on_total", "answered") > 0.0, "n1 passed the call on");
            ensure!(at_1.sum("artifacts_streams_redirected_total", "") > 0.0, "n1 sent the mount away");
            let at_2 = Figures::of(cluster, 2)?;
            ensure!(at_2.calls("segments", "get") > 0.0, "n2 has read what it checked");
            ensure!(
                at_2.sum("artifacts_feeds", "current") == 1.0 && at_2.sum("artifacts_feeds", "behind") == 0.0,
                "n2 follows the account"
            );
            ensure!(at_2.sum("artifacts_feed_age_seconds", "") < 1.0);

            let status = cluster.status(1)?;
            let members = status["members"].as_array().context("members")?;
            ensure!(
                members.len() == 3 && members.iter().all(|member| member["heard_ms"].as_u64().is_some_and(|ms| ms < 2_000)),
                "{status:#}"
            );
            let shards = status["shards"].as_array().context("shards")?;
            ensure!(shards.iter().all(|shard| shard["units"][0]["unflushed"].is_u64()), "{status:#}");
            let followers: Vec<&Value> = shards.iter().flat_map(|shard| shard["followers"].as_array()).flatten().collect();
            // The owner of the workspace, and the node to which the mount keeps its second stream.
            ensure!((1..=2).contains(&followers.len()) && followers.iter().any(|follower| follower["node"] == "n2"), "{followers:?}");
            ensure!(followers.iter().all(|follower| follower["age_ms"].as_u64().is_some_and(|ms| ms < 1_000)), "{followers:?}");

            cluster.nodes[0].kill()?;
            cluster.wait_settled(&[1, 2])?;
            let (at_1, at_2) = (Figures::of(cluster, 1)?, Figures::of(cluster, 2)?);
            ensure!(at_1.sum("artifacts_ring_members", "silent") == 1.0 && at_2.sum("artifacts_ring_members", "serving") == 2.0);
            let taken = |figures: &Figures| figures.sum("artifacts_shards_opened_total", "taken");
            ensure!(taken(&at_1) + taken(&at_2) > 0.0, "a failover is not counted");
            let serving = |figures: &Figures| figures.sum("artifacts_shards", "serving");
            ensure!(serving(&at_1) + serving(&at_2) == f64::from(SHARDS));
            fs::write(mount.join("file"), "after")?;
            mount.unmount()
        })
    })
}

/// "readiness that tells a load balancer the truth", also while the bucket does not answer.
#[test]
fn a_node_whose_bucket_is_away_is_not_ready() -> Result<()> {
    mounted("cluster-ready", LIMIT, |scratch| {
        let Some(server) = S3Server::shared()? else { return Ok(()) };
        let relay = Relay::start(server.endpoint().trim_start_matches("http://"))?;
        let mut blobs = server.bucket()?;
        blobs["s3"]["endpoint"] = json!(format!("http://{}", relay.address()));
        let cluster = Cluster::start_on(scratch, 2, &blobs, None)?;
        let ready = |node: usize| cluster.api(node, "")?.without_token().send("GET", "/readyz", None);
        for node in 0..2 {
            ensure!(ready(node)?.status == 200);
        }
        relay.set(Network::Cut);
        for node in 0..2 {
            wait_until("the node says that it is not ready", PATIENCE, || Ok(ready(node)?.status == 503))?;
        }
        for _ in 0..5 {
            for node in 0..2 {
                ready(node)?.expect_error(503, "unavailable")?;
                let healthz = cluster.api(node, "")?.without_token().send("GET", "/healthz", None)?;
                ensure!(healthz.status == 200, "it lives, and restarting it would not help");
            }
            sleep(std::time::Duration::from_millis(300));
        }
        relay.set(Network::Open);
        for node in 0..2 {
            wait_until("the node is ready again", PATIENCE, || Ok(ready(node)?.status == 200))?;
        }
        Ok(())
    })
}
