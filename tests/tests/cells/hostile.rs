use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, sleep};
use artifacts_tests::{HostAgent, mounted};

use crate::fixture::LIMIT;
use crate::site::Site;

/// For how long it goes on before anything is revoked.
const FLOOD: Duration = Duration::from_secs(3);
/// More than this a flood must not cost a node.
const GROWTH_MAX_BYTES: u64 = 64 << 20;

/// Garbage at some ports for as long as this lives: noise, what looks like a datagram, and what names the key of nobody.
struct Flood {
    ended: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Flood {
    fn start(targets: Vec<SocketAddr>) -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        let (ended, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (over, count) = (Arc::clone(&ended), Arc::clone(&sent));
        let thread = std::thread::spawn(move || {
            let sealed = [&[1u8, 0xde, 0xad, 0xbe, 0xef][..], &[7; 400]].concat();
            let huge = vec![1; 60_000];
            for round in 0u64.. {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                for target in &targets {
                    for datagram in [&sealed[..], &[0xff; 900], b"", if round.is_multiple_of(64) { &huge[..] } else { &[1] }] {
                        // The kernel may have no room: that is the flood's loss.
                        count.fetch_add(u64::from(socket.send_to(datagram, target).is_ok()), Ordering::Relaxed);
                    }
                }
                // The machine is for the nodes as well.
                if round.is_multiple_of(16) {
                    sleep(Duration::from_millis(1));
                }
            }
        });
        Ok(Self { ended, sent, thread: Some(thread) })
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// At the gossip ports of the ring and of the cells, of all nodes and of the host: the ring stays whole, the host goes on by gossip
/// alone, and a revocation ends access in its time.
#[test]
fn a_flood_at_the_gossip_ports_holds_nothing_up() -> Result<()> {
    mounted("cells-flood", LIMIT, |scratch| {
        Site::run(scratch, |cluster, site| {
            let (_, file) = HostAgent::credential(scratch, &cluster.nodes[0].url(), &site.home.key, "host")?;
            let port = artifacts_tests::free_udp_address()?;
            let listen = port.to_string();
            let _agent = HostAgent::start_with(None, scratch, &["--mesh-credential-file", &file, "--mesh-listen", &listen])?;
            let client = site.client(cluster, scratch, "one")?;
            client.wait_in_cell()?;
            let memory = |node: usize| cluster.nodes[node].process()?.peak_rss_bytes().context("rss");
            let before = memory(1)?;
            // Datagrams of hosts come to the number of the port that nodes serve HTTP at.
            let targets = cluster.gossip().into_iter().chain(cluster.nodes.iter().map(|node| node.address())).chain([port]);
            let flood = Flood::start(targets.collect())?;
            sleep(FLOOD);
            let members = cluster.status(0)?["members"].clone();
            let live = members.as_array().context("members")?.iter().filter(|member| member["live"] == true).count();
            ensure!(live == 3, "the ring has lost somebody: {members}");
            site.cut_streams(true);
            sleep(Duration::from_secs(2));
            client.wait_served("calls are served on gossip alone under a flood")?;
            client.revoke(cluster, 0, site)?;
            let sent = flood.sent.load(Ordering::Relaxed);
            drop(flood);
            site.cut_streams(false);
            let grown = memory(1)?.saturating_sub(before);
            println!("{sent} datagrams, the node grew by {} KiB", grown >> 10);
            ensure!(sent > 10_000 && grown < GROWTH_MAX_BYTES, "the node grew by {grown} bytes after {sent} datagrams");
            client.mount.tear_down()
        })
    })
}
