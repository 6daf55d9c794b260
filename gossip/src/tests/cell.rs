//! Cells on the loopback interface: what one says the others hear, whatever else arrives at their ports.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use artifacts_core::mesh::{CELL_HOSTS_MAX, CELL_NODES, MeshKey};

use crate::{Cell, CellMember, Monotonic, Port, Random};

/// Only a guard against hanging.
const PATIENCE: Duration = Duration::from_secs(60);

static STRANGERS: AtomicU64 = AtomicU64::new(0);

fn count(outcome: &'static str) {
    if outcome == "stranger" {
        STRANGERS.fetch_add(1, Ordering::Relaxed);
    }
}

#[allow(clippy::disallowed_methods, reason = "a test of what goes over a network")]
fn clock() -> Monotonic {
    let start = std::time::Instant::now();
    Arc::new(move || start.elapsed().as_millis() as u64)
}

/// Numbers that differ, which is all that is needed here.
fn random() -> Random {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    Arc::new(|bytes| bytes.iter_mut().for_each(|byte| *byte = NEXT.fetch_add(1, Ordering::Relaxed) as u8))
}

fn open() -> Port {
    Port::open("127.0.0.1:0".parse().unwrap(), count).unwrap()
}

fn join(port: &Port, mesh: &str, key: u8, name: &str, generation: u64, seeds: &[SocketAddr]) -> Cell {
    let member = CellMember {
        mesh: mesh.to_owned(),
        key: MeshKey::new([key; 32]),
        name: name.parse().unwrap(),
        advertise: port.local_addr(),
        seeds: seeds.to_vec(),
        generation,
    };
    Cell::join(member, port, clock(), random())
}

async fn hears(cell: &Cell, value: &str) {
    let mut rumours = cell.rumours();
    let heard = rumours.wait_for(|rumours| rumours.values().any(|known| **known == *value));
    assert!(tokio::time::timeout(PATIENCE, heard).await.is_ok(), "{value} is not heard");
}

#[tokio::test]
async fn two_cells_share_a_port_and_nothing_else() {
    let (shared, one, two) = (open(), open(), open());
    let node = [join(&shared, "cell-1", 1, "n", 1, &[]), join(&shared, "cell-2", 2, "n", 1, &[])];
    let hosts = [join(&one, "cell-1", 1, "a", 1, &[shared.local_addr()]), join(&two, "cell-2", 2, "b", 1, &[shared.local_addr()])];
    node[0].say(vec![("rev-x".to_owned(), "to the first".to_owned())], 8);
    node[1].say(vec![("rev-x".to_owned(), "to the second".to_owned())], 8);
    hears(&hosts[0], "to the first").await;
    hears(&hosts[1], "to the second").await;
    assert!(hosts.iter().all(|host| host.rumours().borrow().len() == 1));
}

/// Its supervisor begins the next life, which says all that the last one said, and hears what is new.
#[tokio::test]
async fn a_gossip_task_that_dies_is_rejoined() {
    let (ports, mut said) = ([open(), open()], 0);
    let node = join(&ports[0], "cell-1", 3, "n", 1, &[]);
    let host = join(&ports[1], "cell-1", 3, "a", 1, &[ports[0].local_addr()]);
    host.say(vec![("rev-ask".to_owned(), "mine".to_owned())], 8);
    hears(&node, "mine").await;
    for breaks in 0..3 {
        host.break_gossip();
        if breaks == 1 {
            node.break_gossip();
        }
        said += 1;
        node.say(vec![("rev-x".to_owned(), format!("news {said}"))], 8);
        hears(&host, &format!("news {said}")).await;
    }
    let host_again = format!("again {said}");
    host.say(vec![("rev-ask".to_owned(), host_again.clone())], 8);
    hears(&node, &host_again).await;
}

/// Noise, datagrams of another key, and those of the cell's own key id that nobody sealed.
#[tokio::test]
async fn a_flood_at_the_port_does_not_end_gossip() {
    let ports = [open(), open()];
    let node = join(&ports[0], "cell-1", 4, "n", 1, &[]);
    let host = join(&ports[1], "cell-1", 4, "a", 1, &[ports[0].local_addr()]);
    host.say(vec![("rev-ask".to_owned(), "here".to_owned())], 8);
    hears(&node, "here").await;
    let targets: Vec<SocketAddr> = ports.iter().map(Port::local_addr).collect();
    let key = MeshKey::new([4; 32]).id().0;
    let ended = Arc::new(AtomicU64::new(0));
    let flag = ended.clone();
    let flood = std::thread::spawn(move || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let known = [&[1u8][..], &key[..], &[7; 200]].concat();
        let mut sent = 0u64;
        while flag.load(Ordering::Relaxed) == 0 {
            for target in &targets {
                for datagram in [&known[..], &[0xff; 64], &[1; 5], &[]] {
                    // The kernel may have no room: that is the flood's loss.
                    sent += u64::from(socket.send_to(datagram, target).is_ok());
                }
            }
            std::thread::yield_now();
        }
        sent
    });
    for number in 0..10 {
        node.say(vec![("rev-x".to_owned(), format!("news {number}"))], 8);
        hears(&host, &format!("news {number}")).await;
    }
    ended.store(1, Ordering::Relaxed);
    let sent = flood.join().unwrap();
    assert!(sent > 100 && STRANGERS.load(Ordering::Relaxed) > 0, "{sent} datagrams were no flood");
}

/// A host that was started again is a later life of its name, or another name; a member that speaks under the name of one that is
/// there, in an earlier life, is not heard.
#[tokio::test]
async fn a_place_that_is_given_up_is_taken_again() {
    let (node_port, host_port) = (open(), open());
    let node = join(&node_port, "cell-1", 5, "n", 1, &[]);
    let host = join(&host_port, "cell-1", 5, "a", 1, &[node_port.local_addr()]);
    host.say(vec![("rev-ask".to_owned(), "first".to_owned())], 8);
    hears(&node, "first").await;
    drop(host);
    let host = join(&host_port, "cell-1", 5, "a", 2, &[node_port.local_addr()]);
    host.say(vec![("rev-ask".to_owned(), "second".to_owned())], 8);
    hears(&node, "second").await;
}

/// As many as may be in a cell: each hears what a node says, and each node what each asks.
#[tokio::test]
async fn a_full_cell_hears_its_nodes_and_is_heard() {
    let mut seeds = Vec::new();
    let nodes: Vec<_> = (0..CELL_NODES)
        .map(|number| {
            let port = open();
            let node = join(&port, "cell-1", 6, &format!("n{number}"), 1, &seeds);
            seeds.push(port.local_addr());
            node
        })
        .collect();
    let hosts: Vec<_> = (0..CELL_HOSTS_MAX).map(|number| join(&open(), "cell-1", 6, &format!("h{number}"), 1, &seeds)).collect();
    for (number, host) in hosts.iter().enumerate() {
        host.say(vec![("rev-ask".to_owned(), format!("question {number}"))], 4);
    }
    nodes[0].say(vec![("rev-x".to_owned(), "news".to_owned())], CELL_HOSTS_MAX);
    for host in &hosts {
        hears(host, "news").await;
    }
    for node in &nodes {
        let mut rumours = node.rumours();
        let all = rumours.wait_for(|rumours| rumours.values().filter(|value| value.starts_with("question ")).count() == CELL_HOSTS_MAX);
        assert!(tokio::time::timeout(PATIENCE, all).await.is_ok(), "some are not heard");
    }
}
