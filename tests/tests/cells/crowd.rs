use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use artifacts_core::mesh::CELL_HOSTS_MAX;
use artifacts_tests::time::wait_until;
use artifacts_tests::{HostAgent, mounted};

use crate::fixture::{LIMIT, PATIENCE};
use crate::raw_guest::{ask, place, secret};
use crate::site::Site;

/// Hosts that really gossip.
const AGENTS: usize = 3;

/// Several hosts in one cell, with as many that only have a place as fill it. Another one is in another cell; who was there stays, goes on
/// by gossip alone, and ends by it.
#[test]
fn a_full_cell_stays_as_it_is_and_serves_its_hosts() -> Result<()> {
    mounted("cells-crowd", LIMIT, |scratch| {
        Site::run(scratch, |cluster, site| {
            let (_agent, _) = site.agent(cluster, scratch)?;
            let client = site.client(cluster, scratch, "one")?;
            client.wait_in_cell()?;
            let cell = client.cell()?;
            let (_, file) = HostAgent::credential(scratch, &cluster.nodes[0].url(), &site.home.key, "crowd")?;
            let neighbours = (1..AGENTS).map(|number| Site::neighbour(scratch, &file, number)).collect::<Result<Vec<_>>>()?;
            // With two nodes; a host that others have not heard of yet is none of their members.
            wait_until("all hosts hear each other", PATIENCE, || Ok(client.gossip()?["members"] == AGENTS + 2))?;
            let api = cluster.api(1, &secret(&file)?)?;
            let join = |number: usize| place(&ask(&api, &format!("host-{number}"), &format!("127.9.9.9:{}", 10_000 + number))?);
            let places = (AGENTS..CELL_HOSTS_MAX).map(join).collect::<Result<Vec<_>>>()?;
            let cells: BTreeSet<String> = places.iter().map(|place| place.cell.to_string()).collect();
            ensure!(cells == BTreeSet::from([cell.clone()]), "{cells:?} and not {cell}");
            let next = join(CELL_HOSTS_MAX)?;
            ensure!(next.cell.to_string() != cell && !places.iter().any(|place| place.secret == next.secret), "a cell has too many hosts");
            // One more that really gossips finds the second cell, and nodes in it.
            let last = Site::neighbour(scratch, &file, AGENTS)?;
            ensure!(join(AGENTS)?.cell == places[0].cell, "somebody was moved");
            client.wait_in_cell()?;
            ensure!(client.cell()? == cell && client.gossip()?["members"] == AGENTS + 2, "{}", client.gossip()?);
            site.leave_gossip_alone();
            client.wait_served("calls are served on gossip alone")?;
            client.revoke(cluster, 0, site)?;
            site.cut_streams(false);
            drop((neighbours, last));
            client.mount.tear_down()
        })
    })
}
