use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use artifacts_core::SessionId;
use artifacts_core::hosts::{CellPlace, guest_name};
use artifacts_core::mesh::{DigestEntry, Endpoint, Gossip, Identity, Incarnation, MemberId, MeshKey, MeshKeys};
use artifacts_core::name::NodeName;
use artifacts_core::protocol::Opening;
use artifacts_tests::time::{Duration, sleep, unix_ms, wait_until};
use artifacts_tests::{HostAgent, Process, RawStream, free_udp_address, mounted};

use crate::fixture::{LIMIT, PATIENCE};
use crate::raw_guest::{NOWHERE, RawGuest, ask, code, place, secret};
use crate::site::Site;

/// What a proof lasts, and what the end of a gossip task may cost besides.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Whoever has only a session takes part where the nodes let it: no stream of its mount reaches any node, and it goes on by what it hears
/// in a cell of its tenant, and ends by it.
#[test]
fn a_guest_on_gossip_alone_serves_and_ends_with_the_right() -> Result<()> {
    mounted("cells-guest", LIMIT, |scratch| {
        Site::run_admitting(scratch, "all", |cluster, site| {
            let client = site.client(cluster, scratch, "one")?;
            let bystander = site.client(cluster, scratch, "two")?;
            client.wait_in_cell()?;
            bystander.wait_in_cell()?;
            ensure!(client.cell()? != bystander.cell()?, "two tenants share a cell");
            site.expect_gossip_to_do(cluster, client, bystander)
        })
    })
}

/// Unless it is said, nobody is let in without a mesh credential: a mount does not ask, has no socket for it, and lives by its two
/// streams.
#[test]
fn guests_are_not_let_in_unless_it_is_said() -> Result<()> {
    mounted("cells-no-guests", LIMIT, |scratch| {
        Site::run(scratch, |cluster, site| {
            let client = site.client(cluster, scratch, "one")?;
            let raw = RawGuest::open(cluster, site, "one", "raw")?;
            ensure!(!raw.welcome.admits_guests, "it is told that it is let in");
            for node in 0..3 {
                let refused = raw.ask(cluster, node)?;
                ensure!(code(&refused) == (403, "forbidden") && refused.text.contains("mesh.admit"), "{}", refused.text);
            }
            wait_until("a second stream", PATIENCE, || Ok(client.mount.status()?["second_endpoint"].is_string()))?;
            client.wait_served("calls are served")?;
            ensure!(client.gossip()?.is_null() && udp_sockets(client.mount.agent())? == 0, "it takes part");
            client.revoke(cluster, 0, site)?;
            client.mount.tear_down()
        })
    })
}

/// Where guests are let in, a mount takes part unless it was told not to.
#[test]
fn a_mount_stays_out_of_the_mesh_that_was_told_to() -> Result<()> {
    mounted("cells-guest-off", LIMIT, |scratch| {
        Site::run_admitting(scratch, "all", |cluster, site| {
            let off = site.client_with(cluster, scratch, "one", "off", &["--mesh", "off"])?;
            let on = site.client_with(cluster, scratch, "one", "on", &[])?;
            on.wait_in_cell()?;
            ensure!(on.gossip()?["members"] == 3 && udp_sockets(on.mount.agent())? == 1, "{}", on.gossip()?);
            ensure!(off.gossip()?.is_null() && udp_sockets(off.mount.agent())? == 0, "it takes part");
            off.mount.tear_down()?;
            on.mount.tear_down()
        })
    })
}

/// Whose right was taken knows the key of its cell: nobody is there any more, the others have another, and go on by it.
#[test]
fn the_cell_of_a_guest_whose_right_was_taken_is_closed_for_it() -> Result<()> {
    mounted("cells-guest-out", LIMIT, |scratch| {
        Site::run_admitting(scratch, "all", |cluster, site| {
            let victim = site.client_with(cluster, scratch, "one", "victim", &[])?;
            let other = site.client_with(cluster, scratch, "one", "other", &[])?;
            victim.wait_in_cell()?;
            other.wait_in_cell()?;
            let before = other.cell()?;
            ensure!(victim.cell()? == before, "guests of one tenant are in two cells");
            victim.revoke(cluster, 0, site)?;
            wait_until("the others are in another cell", PATIENCE, || {
                Ok(other.gossip()?["cell"].as_str().is_some_and(|cell| cell != before))
            })?;
            other.wait_in_cell()?;
            wait_until("whoever is out has left", PATIENCE, || Ok(victim.gossip()?.is_null()))?;
            site.leave_gossip_alone();
            other.wait_served("the others are served on gossip alone")?;
            other.revoke(cluster, 1, site)?;
            site.cut_streams(false);
            victim.mount.tear_down()?;
            other.mount.tear_down()
        })
    })
}

/// What guests could try: other names, others' sessions, what they show as if it were the secret, no end of asking. They are in cells
/// of their own tenant alone, which tell them of nobody but nodes.
#[test]
fn a_guest_has_one_place_among_its_own_and_opens_nothing_else() -> Result<()> {
    mounted("cells-guest-hostile", LIMIT, |scratch| {
        Site::run_admitting(scratch, "all", |cluster, site| {
            let [one, two, other] = [("one", "a"), ("one", "b"), ("two", "a")]
                .map(|(tenant, runtime)| RawGuest::open(cluster, site, tenant, runtime).context("a session"));
            let (one, two, other) = (one?, two?, other?);
            ensure!(one.welcome.admits_guests, "it is not told that it is let in");
            let (_, file) = HostAgent::credential(scratch, &cluster.nodes[0].url(), &site.home.key, "host")?;
            let host = cluster.api(0, &secret(&file)?)?;
            let hosts = [place(&ask(&host, "host-1", "127.0.0.1:11")?)?, place(&ask(&host, "host-2", "127.0.0.1:12")?)?];
            let places = [one.place(cluster, 0)?, two.place(cluster, 1)?, other.place(cluster, 2)?];
            ensure!(places[0].cell == places[1].cell && places[0].secret == places[1].secret, "one tenant is in two cells");
            let cells: BTreeSet<_> = [&places[0], &places[2], &hosts[0]].iter().map(|place| (place.cell, place.secret)).collect();
            ensure!(cells.len() == 3, "tenants and hosts share cells");
            let nodes: BTreeSet<SocketAddr> = cluster.nodes.iter().map(|node| node.address()).collect();
            ensure!(
                places.iter().flat_map(|place| &place.seeds).all(|seed| nodes.contains(seed)),
                "a guest is told of another: {places:?}"
            );
            ensure!(hosts[1].seeds.contains(&"127.0.0.1:11".parse()?), "hosts are told of each other");
            // Other names and addresses, others' sessions, and what is not quite the proof.
            let name = guest_name(one.welcome.session);
            let (shown, api) = (one.bearer(), cluster.api(0, &one.bearer())?);
            ensure!(code(&ask(&api, "guest-another", NOWHERE)?) == (422, "invalid_request"), "it has two names");
            ensure!(
                code(&ask(&api, guest_name(two.welcome.session).as_str(), NOWHERE)?) == (422, "invalid_request"),
                "it has another's name"
            );
            ensure!(code(&ask(&api, name.as_str(), "0.0.0.0:9")?) == (422, "invalid_request"), "it is nowhere");
            let of_two = shown.replace(&one.welcome.session.to_string(), &two.welcome.session.to_string());
            let last = if shown.ends_with('0') { "1" } else { "0" };
            for wrong in [of_two, format!("{}{last}", &shown[..shown.len() - 1]), format!("{}.{}", one.welcome.session, one.welcome.secret)]
            {
                let refused = ask(&cluster.api(0, &wrong)?, name.as_str(), NOWHERE)?;
                ensure!(code(&refused) == (401, "unauthorized"), "{wrong}: {}", refused.text);
            }
            // It is good for the cell alone.
            for path in ["/v1/workspaces", "/v1/sessions", "/v1/data/seg_00000000000000000000000001", "/v1/cluster"] {
                let refused = cluster.api(2, &shown)?.send("GET", path, None)?;
                ensure!(refused.status == 401, "{path}: {} {}", refused.status, refused.text);
            }
            let proof = shown.split_once('.').context("a proof")?.1.to_owned();
            let resume = Opening::Resume { session: one.welcome.session, secret: proof };
            ensure!(RawStream::open(cluster.nodes[2].address().port(), resume).is_err(), "it resumes the session");
            // Whoever asks without end has to wait, and costs the others nothing.
            let asked = (0..100).map(|_| ask(&api, name.as_str(), NOWHERE)).collect::<Result<Vec<_>>>()?;
            let mut codes: Vec<_> = asked.iter().map(code).collect();
            codes.dedup();
            ensure!(codes.iter().all(|code| matches!(code, (200, "") | (429, "rate_limited"))), "{codes:?}");
            ensure!(codes.contains(&(429, "rate_limited")), "a hundred questions were answered");
            ensure!(two.place(cluster, 0)?.cell == places[0].cell, "somebody was moved");
            // The session is over, and with it the key that it knew.
            cluster.api(1, &site.home.key)?.delete(&format!("/v1/sessions/{}", two.welcome.session))?;
            wait_until("the session's place is gone", PATIENCE, || Ok(code(&two.ask(cluster, 0)?) == (401, "unauthorized")))?;
            wait_until("the cell has another key", PATIENCE, || {
                let reply = one.ask(cluster, 1)?;
                sleep(Duration::from_millis(300));
                Ok(reply.status == 200 && place(&reply)?.cell != places[0].cell)
            })
        })
    })
}

/// The gossip task of an agent is made to end, by a member that tells of a later life of it. The agent begins anew, and its mount, which
/// has nothing else to live by, does not notice more than a proof's age.
#[test]
fn a_gossip_task_that_dies_costs_an_agent_one_proof_at_the_most() -> Result<()> {
    mounted("cells-rejoined", LIMIT, |scratch| {
        Site::run_admitting(scratch, "all", |cluster, site| {
            let listen = free_udp_address()?;
            let client = site.client_with(cluster, scratch, "one", "agent", &["--mesh-listen", &listen.to_string()])?;
            let hostile = RawGuest::open(cluster, site, "one", "hostile")?;
            client.wait_in_cell()?;
            let place = hostile.place(cluster, 0)?;
            ensure!(client.cell()? == place.cell.to_string(), "they are in two cells");
            let session: SessionId = client.mount.status()?["session"].as_str().context("session")?.parse()?;
            let name = guest_name(session);
            let ended = || count_in_logs(&scratch.join("state"), "a later life of this member is told of");
            site.leave_gossip_alone();
            client.wait_served("calls are served on gossip alone")?;
            for round in 1..=2 {
                end_life(&place, &name, listen)?;
                let mut left = 600;
                let pause = client.longest_pause(|| {
                    left -= 1;
                    Ok(left > 0)
                })?;
                println!("round {round}: nothing was served for {pause:?} at the most");
                ensure!(ended() == round, "the gossip task did not end");
                ensure!(pause <= PAUSE_MAX, "nothing was served for {pause:?}");
            }
            client.revoke(cluster, 0, site)?;
            site.cut_streams(false);
            client.mount.tear_down()
        })
    })
}

/// Tells a member of a later life of it, under the key of its cell.
fn end_life(place: &CellPlace, name: &NodeName, address: SocketAddr) -> Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let generation = unix_ms() + 3_600_000;
    let me = Identity { name: "hostile".parse()?, incarnation: Incarnation { generation, salt: [7; 16] }, address: socket.local_addr()? };
    let listed = |name: &NodeName, address| DigestEntry {
        member: MemberId { name: name.clone(), generation, address },
        heartbeat: 1,
        collected: 0,
        version: 1,
    };
    let digest = vec![listed(&me.name, me.address), listed(name, address)];
    let mut endpoint = Endpoint::new(place.cell.to_string(), MeshKeys::one(MeshKey::new(place.secret)), me);
    socket.send_to(&endpoint.seal(address, Gossip::Syn(digest))?, address)?;
    Ok(())
}

/// How often something is in the logs below a directory.
fn count_in_logs(dir: &Path, what: &str) -> usize {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let counted = entries.map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => count_in_logs(&entry.path(), what),
        Ok(_) if entry.path().extension().is_some_and(|extension| extension == "log") => {
            fs::read_to_string(entry.path()).map_or(0, |text| text.matches(what).count())
        }
        _ => 0,
    });
    counted.sum()
}

/// How many UDP sockets a process has.
fn udp_sockets(process: Process) -> Result<usize> {
    let table = |name: &str| fs::read_to_string(format!("/proc/{}/net/{name}", process.pid())).unwrap_or_default();
    let tables = [table("udp"), table("udp6")];
    let inodes: BTreeSet<&str> =
        tables.iter().flat_map(|table| table.lines().skip(1)).filter_map(|line| line.split_whitespace().nth(9)).collect();
    let mut count = 0;
    for entry in fs::read_dir(format!("/proc/{}/fd", process.pid()))? {
        // A file may be closed meanwhile.
        let Ok(link) = fs::read_link(entry?.path()) else { continue };
        let inode = link.to_str().and_then(|link| link.strip_prefix("socket:[")?.strip_suffix(']').map(str::to_owned));
        count += usize::from(inode.is_some_and(|inode| inodes.contains(inode.as_str())));
    }
    Ok(count)
}
