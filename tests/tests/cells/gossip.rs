use anyhow::{Result, ensure};
use artifacts_tests::mounted;
use artifacts_tests::time::{sleep, wait_until};

use crate::fixture::{LIMIT, PATIENCE};
use crate::site::{STALE, Site};

/// No stream reaches any node. The mount goes on by what the host hears in its cell, and ends by it.
#[test]
fn a_host_on_gossip_alone_serves_and_ends_with_the_right() -> Result<()> {
    mounted("cells-alone", LIMIT, |scratch| {
        Site::run(scratch, |cluster, site| {
            let (agent, _) = site.agent(cluster, scratch)?;
            let client = site.client(cluster, scratch, "one")?;
            let bystander = site.client(cluster, scratch, "two")?;
            ensure!(agent.serves(&client.mount)? && agent.serves(&bystander.mount)?);
            client.wait_in_cell()?;
            site.expect_gossip_to_do(cluster, client, bystander)
        })
    })
}

/// The credential is revoked: the host is in no cell any more. Its mounts live by their streams, and end by them.
#[test]
fn a_host_whose_credential_was_revoked_is_out_and_lives_by_its_streams() -> Result<()> {
    mounted("cells-revoked", LIMIT, |scratch| {
        Site::run(scratch, |cluster, site| {
            let (_agent, credential) = site.agent(cluster, scratch)?;
            let client = site.client(cluster, scratch, "one")?;
            client.wait_in_cell()?;
            let stranger = cluster.home(0, 2)?;
            for node in 0..3 {
                let own = cluster.api(node, &site.home.key)?.get("/v1/mesh/cells")?;
                ensure!(own["cells"][0]["hosts"] == 1 && own["nodes"].as_array().is_some_and(|nodes| nodes.len() == 3), "{own}");
                ensure!(own["cells"][0]["id"] == client.gossip()?["cell"], "{own}");
                let other = cluster.api(node, &stranger.key)?.get("/v1/mesh/cells")?;
                ensure!(other["cells"].as_array().is_some_and(Vec::is_empty), "another account sees {other}");
            }
            cluster.api(2, &site.home.key)?.delete(&format!("/v1/mesh-credentials/{credential}"))?;
            wait_until("the host leaves its cell", PATIENCE, || Ok(client.gossip()?["cell"].is_null()))?;
            let own = cluster.api(0, &site.home.key)?.get("/v1/mesh/cells")?;
            ensure!(own["cells"].as_array().is_some_and(Vec::is_empty), "{own}");
            sleep(STALE);
            client.wait_served("calls are served by streams alone")?;
            ensure!(client.gossip()?["cell"].is_null(), "it is in a cell again");
            client.revoke(cluster, 0, site)?;
            client.mount.tear_down()
        })
    })
}

/// The owner of the account, and of its cells, is another node now. Hosts are in cells of the new one.
#[test]
fn hosts_find_a_cell_of_the_next_owner() -> Result<()> {
    mounted("cells-owner", LIMIT, |scratch| {
        Site::run(scratch, |cluster, site| {
            let (_agent, _) = site.agent(cluster, scratch)?;
            let client = site.client(cluster, scratch, "one")?;
            client.wait_in_cell()?;
            let before = client.gossip()?["cell"].clone();
            cluster.nodes[1].kill()?;
            wait_until("a cell of the next owner", PATIENCE, || {
                let cell = client.gossip()?["cell"].clone();
                Ok(cell.is_string() && cell != before)
            })?;
            client.wait_in_cell()?;
            client.wait_served("calls are served after the owner of the account was replaced")?;
            client.revoke(cluster, 0, site)?;
            client.mount.tear_down()
        })
    })
}
