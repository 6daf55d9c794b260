//! An S3 server on loopback: SeaweedFS with all its parts in one process.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use artifacts_tests::{Api, Scratch, Tool, free_port};
use serde_json::json;

use crate::server::{Server, listens};

/// The parts that talk to each other, in the order of their ports; each has a second port for gRPC.
const PARTS: [&str; 4] = ["master", "volume", "filer", "s3"];

pub(crate) struct S3Server {
    port: u16,
    sockets: Vec<PathBuf>,
    server: Option<Server>,
}

impl S3Server {
    pub(crate) const ACCESS_KEY: &str = "bench";
    pub(crate) const SECRET_KEY: &str = "bench-secret";

    pub(crate) const BUCKET: &str = "ours";

    /// Starts one with [`Self::BUCKET`], which is empty.
    pub(crate) fn start(scratch: &Scratch) -> Result<Self> {
        let (dir, config) = (scratch.join("s3"), scratch.join("s3.json"));
        fs::create_dir(&dir)?;
        let credentials = json!([{ "accessKey": Self::ACCESS_KEY, "secretKey": Self::SECRET_KEY }]);
        let actions = ["Admin", "Read", "Write", "List", "Tagging"];
        fs::write(&config, json!({ "identities": [{ "name": "bench", "credentials": credentials, "actions": actions }] }).to_string())?;

        let mut command = Command::new(Tool::WEED.path()?);
        command.args(["server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false", "-volume.max=100", "-filer", "-s3"]);
        command.args(["-s3.port.iceberg=0", "-s3.port.lance=0"]);
        command.arg(format!("-dir={}", dir.display())).arg(format!("-s3.config={}", config.display()));
        command.arg(format!("-s3.localSocket={}", dir.join("s3.sock").display()));
        let (mut ports, mut sockets) = (Vec::new(), Vec::new());
        for part in PARTS {
            let (port, grpc) = (free_port()?, free_port()?);
            command.arg(format!("-{part}.port={port}")).arg(format!("-{part}.port.grpc={grpc}"));
            // It leaves sockets outside of its directory.
            sockets.push(PathBuf::from(format!("/tmp/seaweedfs-{part}-grpc-{grpc}.sock")));
            sockets.push(PathBuf::from(format!("/tmp/seaweedfs-{part}-{port}.sock")));
            ports.push(port);
        }
        let mut server = Server::start(scratch, "weed", command)?;
        server.wait_until(|| Ok(ports.iter().all(|&port| listens(port))))?;
        // To the filer, a bucket is a directory.
        let filer = Api::new(&format!("http://127.0.0.1:{}", ports[2]))?;
        let bucket = format!("/buckets/{}/", Self::BUCKET);
        server.wait_until(|| Ok(filer.send("POST", &bucket, None).is_ok_and(|reply| reply.status == 201)))?;
        Ok(Self { port: ports[3], sockets, server: Some(server) })
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        drop(self.server.take());
        for socket in &self.sockets {
            // Not all parts make one.
            let _ = fs::remove_file(socket);
        }
    }
}
