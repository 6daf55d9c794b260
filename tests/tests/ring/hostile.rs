use std::net::UdpSocket;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, now, wait_until};
use artifacts_tests::{Api, free_udp_address, local};
use base64::Engine as _;

use super::nodes::{LIMIT, Nodes, PATIENCE, Shown};
use super::tap::Tap;

const FLOOD: Duration = Duration::from_secs(8);
/// More than this a flood must not cost.
const GROWTH_MAX_BYTES: u64 = 64 << 20;

/// Noise, plain gossip, real datagrams again and again and with any byte changed, and too much at once.
#[test]
fn a_flood_of_forged_and_recorded_datagrams_changes_nothing() -> Result<()> {
    local("ring-flood", LIMIT, |scratch| {
        let wire = free_udp_address()?;
        let mut nodes = Nodes::start(scratch, 3, |index, address| if index == 0 { wire } else { address })?;
        let tap = Tap::start(wire, nodes.gossip(0))?;
        nodes.wait_serving(&[0, 1, 2], 3)?;
        wait_until("something was recorded", PATIENCE, || Ok(tap.recorded().len() > 100))?;
        let recorded = tap.recorded();
        let before = everybody(&nodes)?;
        let memory = nodes.node(0).process()?.peak_rss_bytes().context("rss")?;

        let socket = UdpSocket::bind("127.0.0.1:0")?;
        let plain = [&[0x53u8, 0xb0, 0, 0, 0, 0, 4, 0][..], b"test"].concat();
        let huge = vec![1; 65_000];
        let (start, mut sent, mut looked) = (now(), 0u64, 0u64);
        while start.elapsed() < FLOOD {
            for datagram in &recorded {
                sent += 1;
                let mut forged = datagram.clone();
                let at = sent as usize % forged.len();
                forged[at] ^= 1 << (sent % 8);
                for target in [0, 1] {
                    // The kernel may have no room: that is the flood's loss.
                    let _ = socket.send_to(datagram, nodes.gossip(target));
                    let _ = socket.send_to(&forged, nodes.gossip(target));
                    let _ = socket.send_to(&forged[..at], nodes.gossip(target));
                    let _ = socket.send_to(&plain, nodes.gossip(target));
                }
                if sent.is_multiple_of(50) {
                    let _ = socket.send_to(&huge, nodes.gossip(0));
                }
            }
            // To look takes longer than to send.
            if sent / 2_000 > looked {
                looked = sent / 2_000;
                let after = everybody(&nodes)?;
                ensure!(after == before, "after {sent} rounds: {before:?} became {after:?}");
            }
        }
        ensure!(everybody(&nodes)? == before);
        let grown = nodes.node(0).process()?.peak_rss_bytes().context("rss")?.saturating_sub(memory);
        println!("{} datagrams at two nodes in {FLOOD:?}, the node grew by {} KiB", sent * 8, grown >> 10);
        ensure!(grown < GROWTH_MAX_BYTES, "the node grew by {grown} bytes");
        Ok(())
    })
}

fn everybody(nodes: &Nodes) -> Result<Vec<Vec<Shown>>> {
    (0..3).map(|index| nodes.members(index)).collect()
}

/// What was said to a node's earlier life, and by members that are dead by now, brings nobody back.
#[test]
fn recordings_do_not_raise_the_dead() -> Result<()> {
    local("ring-replay", LIMIT, |scratch| {
        let wire = free_udp_address()?;
        let mut nodes = Nodes::start(scratch, 3, |index, address| if index == 0 { wire } else { address })?;
        let tap = Tap::start(wire, nodes.gossip(0))?;
        ensure!(tap.address() == wire);
        nodes.wait_serving(&[0, 1, 2], 3)?;
        wait_until("something was recorded", PATIENCE, || Ok(tap.recorded().len() > 300))?;
        let recorded = tap.recorded();
        nodes.node(2).kill()?;
        nodes.wait_serving(&[0, 1], 2)?;
        nodes.node(0).kill()?;
        nodes.node(0).start_again()?;
        nodes.wait_serving(&[0, 1], 2)?;
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        let start = now();
        while start.elapsed() < Duration::from_secs(4) {
            for datagram in &recorded {
                socket.send_to(datagram, nodes.gossip(0))?;
                socket.send_to(datagram, nodes.gossip(1))?;
            }
            for at in 0..2 {
                ensure!(nodes.live(at)? == 2, "{:?}", nodes.members(at)?);
            }
        }
        nodes.node(2).start_again()?;
        nodes.wait_serving(&[0, 1, 2], 3)?;
        Ok(())
    })
}

#[test]
fn calls_between_nodes_are_for_nodes() -> Result<()> {
    local("ring-calls", LIMIT, |scratch| {
        let mut nodes = Nodes::start(scratch, 1, |_, address| address)?;
        let api = Api::new(&nodes.node(0).url())?;
        let token = nodes.node(0).admin_token()?;
        let noise = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode([1; 90]);
        for (api, headers) in
            [(api.clone(), vec![]), (api.with_token(&token), vec![]), (api.clone(), vec![("artifacts-call", noise.as_str())])]
        {
            let body = vec![0; 64];
            api.send_bytes("POST", "/internal/v1/status", &headers, Some(("application/octet-stream", body)))?
                .expect_error(401, "unauthorized")?;
        }
        // And what is for the operator is not for everybody.
        api.send("GET", "/v1/cluster", None)?.expect_error(401, "unauthorized")?;
        Ok(())
    })
}
