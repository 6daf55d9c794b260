//! A member of the ring with a good key and bad intentions: what it passes on of revocations and proofs is forged, old, or both.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result, ensure};
use artifacts_core::cluster::Shard;
use artifacts_core::mesh::{
    DeltaEntry, DigestEntry, Endpoint, Gossip, Identity, Incarnation, KeyValue, MemberId, MeshKey, MeshKeys, Opened, Status,
};
use artifacts_core::revocation::{
    Beacon, ClockId, Head, RevocationRecord, ShardHead, Signed, SignedRevocation, Target, from_text, to_text,
};
use artifacts_core::{AccountId, GrantId, RevocationId, Timestamp, WorkspaceId};
use artifacts_tests::time::{Duration, monotonic_ns, now, sleep, unix_ms, wait_until};
use artifacts_tests::{Credential, Mount, free_udp_address, mounted};
use ed25519_dalek::SigningKey;
use serde_json::json;

use crate::fixture::{Cluster, LIMIT, PATIENCE, SHARDS};

/// How often it speaks to everybody.
const PERIOD: Duration = Duration::from_millis(50);

/// It says what it made up, and again and again what it heard first of others, in its own name.
struct Hostile {
    heard: Arc<Mutex<BTreeMap<String, String>>>,
    taken: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Hostile {
    fn start(nodes: Vec<SocketAddr>, forged: Vec<(String, String)>) -> Result<Self> {
        let address = free_udp_address()?;
        let socket = UdpSocket::bind(address)?;
        socket.set_read_timeout(Some(Duration::from_millis(5)))?;
        let incarnation = Incarnation { generation: unix_ms(), salt: u128::from(monotonic_ns()).to_be_bytes() };
        let me = MemberId {
            name: "zz-hostile".parse().map_err(|error| anyhow::anyhow!("{error:?}"))?,
            generation: incarnation.generation,
            address,
        };
        let endpoint =
            Endpoint::new("test", MeshKeys::one(MeshKey::new([7; 32])), Identity { name: me.name.clone(), incarnation, address });
        let (heard, taken, over) = (Arc::new(Mutex::default()), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let mut speaker =
            Speaker { socket, endpoint, me, nodes, forged, known: BTreeMap::new(), heard: Arc::clone(&heard), taken: Arc::clone(&taken) };
        let done = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            while !done.load(Ordering::SeqCst) {
                speaker.speak();
            }
        });
        Ok(Self { heard, taken, over, thread: Some(thread) })
    }

    /// What it has heard first under each key of each node.
    fn heard(&self) -> BTreeMap<String, String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // It looks between two datagrams.
            let _ = thread.join();
        }
    }
}

struct Speaker {
    socket: UdpSocket,
    endpoint: Endpoint,
    me: MemberId,
    nodes: Vec<SocketAddr>,
    forged: Vec<(String, String)>,
    /// The others, as their digests list them.
    known: BTreeMap<MemberId, DigestEntry>,
    heard: Arc<Mutex<BTreeMap<String, String>>>,
    taken: Arc<AtomicUsize>,
}

impl Speaker {
    fn speak(&mut self) {
        for node in self.nodes.clone() {
            let digest = self.digest();
            self.send(node, Gossip::Syn(digest));
        }
        let start = now();
        let mut buffer = vec![0; 1 << 16];
        while start.elapsed() < PERIOD {
            let Ok((len, source)) = self.socket.recv_from(&mut buffer) else { continue };
            let opened = self.endpoint.open(source, &buffer[..len], monotonic_ns() / 1_000_000);
            match opened {
                Ok(Opened::Gossip { from, message }) => self.hear(from, &message),
                Ok(Opened::Introduce { to, datagram }) => drop(self.socket.send_to(&datagram, to)),
                Ok(Opened::Introduced) | Err(_) => {}
            }
        }
    }

    fn digest(&self) -> Vec<DigestEntry> {
        let mine = DigestEntry {
            member: self.me.clone(),
            heartbeat: monotonic_ns() / 1_000_000 % (1 << 40),
            collected: 0,
            version: self.state().last().map_or(0, |change| change.version),
        };
        // It claims to know nothing of the others, so that all is told to it.
        let others = self.known.values().map(|entry| DigestEntry { version: 0, collected: 0, ..entry.clone() });
        std::iter::once(mine).chain(others).collect()
    }

    /// What it says: what it made up, then what it repeats.
    fn state(&self) -> Vec<KeyValue> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        // Under keys of another number, so that they do not take the place of what it made up.
        let repeated = heard.iter().enumerate().filter_map(|(number, (key, value))| match key.split_once(' ')? {
            ("n1", "rev-clock") => Some(("rev-clock".to_owned(), value.clone())),
            (_, key) if key.ends_with(|end: char| end.is_ascii_digit()) => {
                let kind = key.trim_end_matches(|end: char| end.is_ascii_digit());
                Some((format!("{kind}{}", 10 + number), value.clone()))
            }
            _ => None,
        });
        // All of it is new whenever there is something more to repeat.
        let versions = heard.len() as u64 * 1_000 + 1..;
        let state = self.forged.iter().cloned().chain(repeated).take(100).zip(versions);
        state.map(|((key, value), version)| KeyValue { key, value, version, status: Status::Set }).collect()
    }

    fn hear(&mut self, from: SocketAddr, message: &Gossip) {
        for entry in message.digest() {
            if entry.member == self.me {
                self.taken.fetch_max(entry.version as usize, Ordering::SeqCst);
            } else if entry.member.name != self.me.name {
                self.known.insert(entry.member.clone(), entry.clone());
            }
        }
        for entry in message.delta() {
            let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            for change in entry.changes.iter().filter(|change| change.key.starts_with("rev-") && change.key != "rev-ask") {
                heard.entry(format!("{} {}", entry.member.name, change.key)).or_insert_with(|| change.value.clone());
            }
        }
        let delta = vec![DeltaEntry { member: self.me.clone(), collected: 0, after: 0, changes: self.state(), version: None }];
        self.send(from, Gossip::Ack(delta));
    }

    fn send(&mut self, to: SocketAddr, message: Gossip) {
        if let Ok(datagram) = self.endpoint.seal(to, message) {
            // The node may be away.
            let _ = self.socket.send_to(&datagram, to);
        }
    }
}

/// "A member can neither forge nor undo a revocation, nor hide one past the proof limit."
#[test]
fn a_hostile_member_forges_nothing_and_stretches_no_proof() -> Result<()> {
    mounted("cluster-hostile", LIMIT, |scratch| {
        Cluster::run(scratch, 3, |cluster| {
            let home = cluster.home(1, 2)?;
            let ticket = cluster.ticket(0, &home, "t")?;
            let mount = Mount::new(scratch, "m", &Credential::Ticket(ticket))?;
            let file = mount.join("file");
            fs::write(&file, "x")?;
            let hostile = Hostile::start(cluster.gossip(), forgeries(cluster, &home.workspace_id)?)?;
            wait_until("it has heard beacons, and what it says was taken in", PATIENCE, || {
                let heard = hostile.heard();
                Ok(heard.keys().any(|key| key.contains("rev-beacon")) && hostile.taken.load(Ordering::SeqCst) > 3)
            })?;
            let start = now();
            while start.elapsed() < Duration::from_secs(3) {
                ensure!(fs::read(&file)? == b"x", "read while it lies");
                sleep(Duration::from_millis(20));
            }
            ensure!(hostile.heard().values().any(|value| from_text::<Signed<Beacon>>(value).is_some()), "no beacon was heard");

            // Nobody can say what the account's owner has revoked: not even who repeats what it said before.
            cluster.nodes[1].freeze()?;
            sleep(Duration::from_millis(2_200));
            let asked = now();
            let read = fs::read(&file);
            println!("read after {:?} of waiting", asked.elapsed());
            ensure!(read.is_ok(), "{read:?}");
            ensure!(asked.elapsed() > Duration::from_millis(500), "read while nobody could say that it was allowed");
            cluster.nodes[1].thaw()?;
            cluster.wait_settled(&[0, 1, 2])?;
            wait_until("it is read", PATIENCE, || Ok(fs::read(&file).is_ok()))?;

            let (api, body) = (cluster.api(0, &home.key)?, json!({ "tenant_slug": "t" }));
            // Connections to the node that was frozen may end just now.
            wait_until("the call is answered", PATIENCE, || Ok(api.post("/v1/grants/revoke", &body).is_ok()))?;
            wait_until("access ends", Duration::from_secs(2), || {
                Ok(fs::read(&file).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied))
            })?;
            drop(hostile);
            mount.tear_down()
        })
    })
}

/// Records that end everything and beacons that prove everything, under the name of a real key.
fn forgeries(cluster: &Cluster, workspace: &str) -> Result<Vec<(String, String)>> {
    let jwks = cluster.api(0, "")?.without_token().get("/.well-known/jwks.json")?;
    let kid = jwks["keys"][0]["kid"].as_str().context("kid")?.to_owned();
    let key = SigningKey::from_bytes(&[66; 32]);
    let workspace: WorkspaceId = workspace.parse().map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let record = |target, bits| RevocationRecord {
        id: RevocationId::from_bits(bits),
        account: AccountId::from_bits(bits),
        target,
        revoked_at: Timestamp::from_unix_ms(unix_ms()),
    };
    let records = [record(Target::Workspace(workspace), 1), record(Target::Grant(GrantId::from_bits(5)), 2)];
    let records: Vec<_> = records.into_iter().map(|record| SignedRevocation::sign(record, &kid, &key)).collect();
    let shards = (0..SHARDS).map(|shard| ShardHead { shard: Shard(shard), epoch: u64::MAX, head: Head::default() }).collect();
    let beacon = Beacon { region: "eu".into(), clock: ClockId([9; 16]), at_ms: u64::MAX, shards };
    Ok(vec![
        ("rev-records-0".to_owned(), to_text(&records)),
        ("rev-beacon-0".to_owned(), to_text(&Signed::sign(beacon, &kid, &key))),
        ("rev-wants".to_owned(), "x".repeat(8_000)),
    ])
}
