//! The example for microVMs: what the launcher tells Firecracker, and what the guest's first process makes of it.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::Duration;
use artifacts_tests::{Lab, Scratch, artifacts_binary, mounted};
use serde_json::{Value, json};

use crate::tools::root;

/// Only a guard against hanging.
const LIMIT: Duration = Duration::from_secs(120);
/// Takes the calls of the launcher, in place of Firecracker, until the guest is started; notes them, one a line.
const FIRECRACKER: &str = r#"#!/usr/bin/env python3
import json, os, socketserver, sys, http.server

class Api(http.server.BaseHTTPRequestHandler):
    def do_PUT(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with open(os.environ["CALLS"], "a") as calls:
            calls.write(json.dumps([self.path, body]) + "\n")
        self.send_response(204)
        self.end_headers()
        self.server.started = self.path == "/actions"
    def address_string(self):
        return "launcher"

class Server(socketserver.UnixStreamServer):
    started = False

with Server(sys.argv[sys.argv.index("--api-sock") + 1], Api) as server:
    while not server.started:
        server.handle_request()
"#;
/// What the guest runs, from the workspace.
const TASK: &str = "#!/bin/sh\necho \"from the guest\" > /mnt/work/result\n";

#[test]
fn a_guest_gets_its_ticket_mounts_runs_its_task_and_unmounts() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        ensure!(std::env::var("CI").as_deref() != Ok("true"), "only root can make a machine for the guest");
        eprintln!("NOTICE: the guest is not run: only root can make a machine for it");
        return Ok(());
    }
    mounted("microvm", LIMIT, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        lab.workspace("task-1")?;
        put(&lab, "run", TASK)?;
        let ticket = scratch.join("ticket.json");
        fs::write(&ticket, serde_json::to_string_pretty(&lab.ticket("acme", "run-1", "acme/task-1", "rw")?)?)?;
        let metadata = launch(scratch, &ticket)?;

        let (address, server) = serve_metadata(metadata)?;
        let path = format!("{}:/usr/bin:/bin:/usr/sbin:/sbin", artifacts_binary()?.parent().context("folder")?.display());
        // The script sets its own search path, which in a guest has the program in it.
        let script = fs::read_to_string(root()?.join("deploy/microvm/guest-init.sh"))?;
        let own = scratch.join("guest-init.sh");
        fs::write(&own, script.replace("PATH=/usr/local/bin:", &format!("PATH={path}:")))?;
        let mut guest = Command::new("unshare");
        guest.args(["--mount", "--propagation", "private", "--", "sh"]).arg(&own);
        let log = File::create(scratch.join("logs/guest.log"))?;
        scratch.mark(&mut guest).env("METADATA", format!("http://{address}")).env("NO_REBOOT", "1");
        guest.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let status = guest.status().context("unshare")?;
        ensure!(status.success(), "the guest ended with {status}");
        drop(server);
        let result = lab.api.send("GET", "/v1/workspaces/acme/task-1/files/result", None)?;
        ensure!(result.text == "from the guest\n", "{}", result.text);
        ensure!(lab.api.list("/v1/sessions")?.is_empty(), "the guest has not unmounted");
        Ok(())
    })
}

/// Puts a program into the workspace.
fn put(lab: &Lab, name: &str, content: &str) -> Result<()> {
    let url = format!("{}/v1/workspaces/acme/task-1/files/{name}?mode=0755", lab.node.url());
    let client = artifacts_tests::http_client(Duration::from_secs(30))?;
    let answer = client.put(url).bearer_auth(lab.api.token()).body(content.to_owned()).send()?;
    ensure!(answer.status().is_success(), "{}", answer.status());
    Ok(())
}

/// Runs the launcher, and gives what it has put into the metadata service.
fn launch(scratch: &Scratch, ticket: &std::path::Path) -> Result<String> {
    let (bin, calls) = (scratch.join("bin"), scratch.join("calls"));
    fs::create_dir(&bin)?;
    fs::write(bin.join("firecracker"), FIRECRACKER)?;
    fs::set_permissions(bin.join("firecracker"), fs::Permissions::from_mode(0o755))?;
    let mut launcher = Command::new(root()?.join("deploy/microvm/launch.sh"));
    scratch.mark(&mut launcher).env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH")?)).env("CALLS", &calls);
    launcher.arg(ticket).args(["vmlinux", "rootfs.ext4"]).arg(scratch.join("firecracker.sock"));
    let output = launcher.output()?;
    ensure!(output.status.success(), "the launcher: {}", String::from_utf8_lossy(&output.stderr));
    let calls: Vec<Value> = fs::read_to_string(calls)?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let bodies = |path: &str| calls.iter().find(|call| call[0] == path).map(|call| call[1].clone());
    ensure!(calls.last().is_some_and(|call| call[0] == "/actions"), "{calls:?}");
    ensure!(bodies("/boot-source").context("no kernel")?["kernel_image_path"] == "vmlinux", "another kernel");
    let metadata = bodies("/mmds").context("no metadata")?["artifacts"]["mount-ticket"].as_str().context("no ticket")?.to_owned();
    let given: Value = serde_json::from_str(&fs::read_to_string(ticket)?)?;
    ensure!(serde_json::from_str::<Value>(&metadata)? == given, "another ticket: {metadata}");
    Ok(metadata)
}

/// Answers as the metadata service of Firecracker does, version 2: a token first, and nothing without it.
fn serve_metadata(ticket: String) -> Result<(String, TcpListener)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?.to_string();
    let ours = listener.try_clone()?;
    std::thread::spawn(move || {
        // Ends with the process; who hangs up gets no answer.
        while let Ok((stream, _)) = ours.accept() {
            let _ = answer(stream, &ticket);
        }
    });
    Ok((address, listener))
}

fn answer(stream: TcpStream, ticket: &str) -> Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().context("nothing")??;
    let headers: Vec<String> = lines.map_while(|line| line.ok().filter(|line| !line.is_empty())).collect();
    let has = |header: &str| headers.iter().any(|line| line.eq_ignore_ascii_case(header));
    let (status, body) = match request.rsplit_once(' ').map(|(request, _)| request) {
        Some("PUT /latest/api/token") if has("x-metadata-token-ttl-seconds: 60") => ("200 OK", "guest-token"),
        Some("GET /artifacts/mount-ticket") if has("x-metadata-token: guest-token") => ("200 OK", ticket),
        _ => ("401 Unauthorized", ""),
    };
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())?;
    // Until it has been read.
    let _ = stream.read(&mut [0]);
    Ok(())
}
