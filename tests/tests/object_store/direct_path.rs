//! What mounts do on the direct path.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, ensure};
use artifacts_core::protocol::INLINE_MAX_BYTES;
use artifacts_tests::time::{Duration, wait_until};
use artifacts_tests::{Backend, Lab, S3Server, mounted};
use serde_json::json;

use crate::traffic::Traffic;

const MIB: usize = 1 << 20;

fn pattern(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|at| (at.wrapping_mul(31).wrapping_add(at >> 9).wrapping_add(seed) % 251) as u8).collect()
}

/// Large writes and reads pass the node by; it signs requests and no more. Objects go when their file has gone.
#[test]
fn data_passes_the_node_by() -> Result<()> {
    mounted("direct", Duration::from_secs(10 * 60), |scratch| {
        let Some(server) = S3Server::shared()? else { return Ok(()) };
        let blobs = server.bucket()?;
        let lab = Lab::start(scratch, &json!({ "blobs": blobs }))?;
        let workspace = lab.workspace("project")?;
        let writer = lab.mount("writer", &workspace)?;
        let content = pattern(6 * MIB + 123_456, 1);
        fs::write(writer.join("large"), &content)?;
        let reader = lab.mount("reader", &workspace)?;
        ensure!(fs::read(reader.join("large"))? == content, "another mount reads something else");
        let traffic = Traffic::of(&lab)?;
        ensure!(traffic.written_bytes == 0 && traffic.read_bytes == 0, "data went through the node: {traffic:?}");
        let objects = server.objects(&blobs)?.len() as u64;
        ensure!(objects > 0 && traffic.put_urls >= objects, "{objects} objects and {traffic:?}");
        ensure!((1..=objects).contains(&traffic.get_urls), "one URL for each segment suffices: {objects} objects and {traffic:?}");
        reader.unmount()?;
        writer.unmount()
    })
}

#[test]
fn data_goes_through_the_node_where_it_is_told_to() -> Result<()> {
    mounted("proxied", Duration::from_secs(10 * 60), |scratch| {
        if !Backend::S3Proxied.is_available()? {
            return Ok(());
        }
        let lab = Lab::start_on(Backend::S3Proxied, scratch, &json!({}))?;
        let workspace = lab.workspace("project")?;
        let writer = lab.mount("writer", &workspace)?;
        let content = pattern(3 * MIB, 2);
        fs::write(writer.join("large"), &content)?;
        let reader = lab.mount("reader", &workspace)?;
        ensure!(fs::read(reader.join("large"))? == content, "another mount reads something else");
        let traffic = Traffic::of(&lab)?;
        let nearly_all = (3 * MIB - INLINE_MAX_BYTES) as u64;
        ensure!(traffic.written_bytes >= nearly_all && traffic.read_bytes >= nearly_all, "{traffic:?}");
        ensure!(traffic.get_urls + traffic.put_urls == 0, "requests were signed: {traffic:?}");
        reader.unmount()?;
        writer.unmount()
    })
}

/// A mount that does not reach the object store goes through the node, and finds the direct path once it is there.
#[test]
fn an_object_store_out_of_reach_is_a_detour() -> Result<()> {
    mounted("detour", Duration::from_secs(10 * 60), |scratch| {
        let Some(server) = S3Server::shared()? else { return Ok(()) };
        let door = Door::to(server.endpoint())?;
        let mut blobs = server.bucket()?;
        blobs["s3"]["public_endpoint"] = json!(door.address);
        let lab = Lab::start(scratch, &json!({ "blobs": blobs }))?;
        let workspace = lab.workspace("project")?;
        let mount = lab.mount("writer", &workspace)?;
        let content = pattern(2 * MIB, 3);
        fs::write(mount.join("first"), &content)?;
        fs::File::open(mount.join("first"))?.sync_all()?;
        let before = Traffic::of(&lab)?;
        ensure!(before.written_bytes >= (2 * MIB - INLINE_MAX_BYTES) as u64, "the detour was not taken: {before:?}");
        ensure!(before.put_urls <= 2 + 14, "each write tries the way that is shut: {before:?}");
        let reader = lab.mount("reader", &workspace)?;
        ensure!(fs::read(reader.join("first"))? == content, "read through the node, it is something else");

        door.open.store(true, Ordering::Release);
        let mut number = 0;
        wait_until("the direct path is taken again", Duration::from_secs(180), || {
            number += 1;
            let written_bytes = Traffic::of(&lab)?.written_bytes;
            let content = pattern(MIB, number);
            fs::write(mount.join("next"), &content)?;
            fs::File::open(mount.join("next"))?.sync_all()?;
            Ok(Traffic::of(&lab)?.written_bytes == written_bytes)
        })?;
        reader.unmount()?;
        mount.unmount()
    })
}

/// The way to a server, shut until it is opened: connections are accepted and cut.
struct Door {
    address: String,
    open: Arc<AtomicBool>,
}

impl Door {
    fn to(endpoint: &str) -> Result<Self> {
        let target = endpoint.strip_prefix("http://").context("no address")?.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = format!("http://{}", listener.local_addr()?);
        let open = Arc::new(AtomicBool::new(false));
        let is_open = Arc::clone(&open);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if is_open.load(Ordering::Acquire)
                    && let Ok(server) = TcpStream::connect(&target)
                {
                    forward(client, server);
                }
            }
        });
        Ok(Self { address, open })
    }
}

fn forward(client: TcpStream, server: TcpStream) {
    let (Ok(client_again), Ok(server_again)) = (client.try_clone(), server.try_clone()) else { return };
    for (mut from, mut to) in [(client, server), (server_again, client_again)] {
        std::thread::spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            while let Ok(read @ 1..) = from.read(&mut buffer) {
                if to.write_all(&buffer[..read]).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(std::net::Shutdown::Write);
        });
    }
}
