//! The compose file: Compose takes it, and what it starts becomes a cluster that mounts and works.
//!
//! No container engine runs here. So each of its containers is a mount namespace and a network namespace with the file's command,
//! configuration, environment and address.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::Duration;
use artifacts_tests::{Lan, Scratch, Terminal, artifacts_binary, mounted, target_dir};
use serde_json::Value;

use crate::tools::{bin, root, said, yaml};

/// Only a guard against hanging.
const LIMIT: Duration = Duration::from_secs(300);
const NODES: [&str; 3] = ["n1", "n2", "n3"];
const SECRETS: [(&str, &str); 2] = [("S3_SECRET_KEY", "c0ffee"), ("RING_KEY", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=")];

/// Compose itself. The package with it is not for every Python, but the program needs none.
fn compose() -> Result<Command> {
    bin()?;
    Ok(Command::new(target_dir()?.join("tools/compose/compose/docker-compose")))
}

#[test]
fn compose_takes_the_file() -> Result<()> {
    let mut config = compose()?;
    config.arg("-f").arg(root()?.join("deploy/compose.yaml")).args(["--profile", "task", "config", "--format", "json"]).envs(SECRETS);
    let read: Value = serde_json::from_str(&said(&mut config)?)?;
    let services = read["services"].as_object().context("services")?;
    ensure!(services.len() == 6, "{:?}", services.keys());
    for node in NODES {
        ensure!(services[node]["build"]["target"] == "node", "{node} is not built from our Dockerfile");
        ensure!(services[node]["environment"]["ARTIFACTS_RING_KEY"] == SECRETS[1].1, "{node} has no key");
    }
    let mut without = compose()?;
    without.arg("-f").arg(root()?.join("deploy/compose.yaml")).args(["config", "--quiet"]);
    ensure!(!without.output()?.status.success(), "it starts without secrets");
    Ok(())
}

/// Puts the secrets where the file has variables.
fn filled(text: &str) -> Result<String> {
    let mut text = text.replace("${S3_ACCESS_KEY:-artifacts}", "artifacts");
    for (name, value) in SECRETS {
        while let Some(start) = text.find(&format!("${{{name}:?")) {
            let end = start + text[start..].find('}').context("a variable without an end")?;
            text.replace_range(start..=end, value);
        }
    }
    Ok(text)
}

/// What starts a container of the file, without what only an engine does: a shell in a mount namespace with its files and environment.
struct Container<'a> {
    file: &'a Value,
    name: &'a str,
}

impl Container<'_> {
    fn service(&self) -> &Value {
        &self.file["services"][self.name]
    }

    /// The command, as the image's entrypoint would run it.
    fn command(&self) -> Result<Vec<String>> {
        let words = self.service()["command"].as_array().context("command")?;
        words.iter().map(|word| Ok(word.as_str().context("a word")?.to_owned())).collect()
    }

    /// Its lines of shell: a `/run` and a `/var/lib` of its own, its files, its environment.
    fn setup(&self) -> Result<String> {
        let mut text = "mount -t tmpfs tmpfs /run\nmount -t tmpfs tmpfs /var/lib\nmkdir /var/lib/artifacts\n".to_owned();
        for config in self.service()["configs"].as_array().into_iter().flatten() {
            let source = config["source"].as_str().context("source")?;
            let file = self.file["configs"][source]["file"].as_str().context("file")?;
            let target = config["target"].as_str().context("target")?;
            text.push_str(&format!("cp {} {target}\n", root()?.join("deploy").join(file).display()));
        }
        for (name, value) in self.service()["environment"].as_object().into_iter().flatten() {
            text.push_str(&format!("export {name}='{}'\n", filled(value.as_str().context("a value")?)?));
        }
        Ok(text)
    }
}

fn weed() -> Result<PathBuf> {
    said(Command::new("sh").arg(root()?.join("tests/s3-server.sh")))?;
    Ok(target_dir()?.join("tools/seaweedfs/bin/weed"))
}

#[test]
fn what_it_starts_becomes_a_cluster_that_works() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        ensure!(std::env::var("CI").as_deref() != Ok("true"), "only root can make namespaces");
        eprintln!("NOTICE: the compose file is not run: only root can make namespaces");
        return Ok(());
    }
    mounted("compose", LIMIT, |scratch| {
        let Some(lan) = Lan::new()? else { return Ok(()) };
        let file = yaml(&root()?.join("deploy/compose.yaml"))?;
        let open = |name: &str| -> Result<Terminal> {
            let mut command = lan.host(name)?.command(std::path::Path::new("unshare"));
            command.args(["--mount", "--propagation", "private"]);
            let program = artifacts_binary()?.parent().context("folder")?;
            scratch.mark(&mut command).env("PATH", format!("{}:{}", program.display(), std::env::var("PATH")?));
            // As in a container: nobody else's agents and homes.
            command.env("HOME", scratch.join(name)).env_remove("TONBO_AGENT_SOCKET").env_remove("XDG_RUNTIME_DIR");
            command.env_remove("XDG_STATE_HOME").env("GOMEMLIMIT", "384MiB");
            let mut terminal = Terminal::open(command, &scratch.join(name), &scratch.join(format!("logs/{name}.log")))?;
            let address = file["services"][name]["networks"]["default"]["ipv4_address"].as_str().context("address")?;
            terminal.run(&format!("ip addr add {address}/24 dev eth0\n"))?;
            Ok(terminal)
        };
        let mut s3 = open("s3")?;
        start_s3(&mut s3, &Container { file: &file, name: "s3" })?;
        let mut terminals = Vec::new();
        for name in NODES {
            let mut terminal = open(name)?;
            start_node(&mut terminal, &Container { file: &file, name })?;
            terminals.push(terminal);
        }
        work(&mut terminals, scratch)
    })
}

fn start_s3(terminal: &mut Terminal, container: &Container<'_>) -> Result<()> {
    terminal.run(&container.setup()?)?;
    let script = filled(&container.command()?.concat())?.replace("-dir=/data", "-dir=data");
    fs::write(terminal.dir().join("s3.sh"), script)?;
    let weed = weed()?;
    let folder = weed.parent().context("folder")?.display();
    terminal.run(&format!("mkdir data\n(PATH={folder}:$PATH; exec sh -e s3.sh) >s3.log 2>&1 &\n"))?;
    // Its health check, and the container `bucket`; the server may take a moment longer until it has room for a bucket.
    terminal.run(
        "for try in $(seq 200); do
           [ \"$(curl -s -o /dev/null -w '%{http_code}' -X POST http://172.28.0.2:8888/buckets/artifacts/)\" = 201 ] && break
           sleep 0.2
         done
         until [ \"$(curl -s -o /dev/null -w '%{http_code}' http://172.28.0.2:8333/)\" = 403 ]; do sleep 0.2; done\n",
    )?;
    Ok(())
}

fn start_node(terminal: &mut Terminal, container: &Container<'_>) -> Result<()> {
    terminal.run(&container.setup()?)?;
    let words = container.command()?;
    let start = format!("{} >>node.log 2>&1 &", words.join(" "));
    // It is started again when it ends, as the file says.
    terminal.run(&format!(
        "{start}
         for try in $(seq 240); do
           curl -fs -o /dev/null http://127.0.0.1:7700/readyz && break
           if ! kill -0 $!; then
             {start}
           fi
           sleep 0.5
         done
         curl -fsS -o /dev/null http://127.0.0.1:7700/readyz || {{ cat node.log; false; }}\n",
    ))?;
    Ok(())
}

/// Account at the first node, workspace and ticket at the others, a mount, and a node less.
fn work(nodes: &mut [Terminal], scratch: &Arc<Scratch>) -> Result<()> {
    let ticket = scratch.join("ticket.json");
    let key = nodes[0].run(
        "artifacts --format json platform account create my-platform --admin-token-file /var/lib/artifacts/admin-token | jq -r .api_key.key\n",
    )?;
    let login = format!("export TONBO_API_KEY={}\n", key.trim());
    for node in nodes.iter_mut() {
        node.run(&login)?;
    }
    nodes[1].run("artifacts workspace create task-1\n")?;
    nodes[2]
        .run(&format!("artifacts platform ticket create acme run-1 --workspace task-1 --mode rw --ttl 1h --out {}\n", ticket.display()))?;
    nodes[2].run(&format!(
        "mount -t tmpfs tmpfs /mnt
         mkdir -p /run/tonbo/artifacts
         cp {} /run/tonbo/artifacts/mount-ticket.json
         artifacts mount /mnt/work
         echo hello >/mnt/work/file\n",
        ticket.display()
    ))?;
    nodes[0].run("kill -9 $!\n")?;
    nodes[2].run("echo more >>/mnt/work/file\ntest \"$(cat /mnt/work/file | wc -l)\" -eq 2\nartifacts unmount /mnt/work\n")?;
    Ok(())
}
