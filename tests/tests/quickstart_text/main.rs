//! The text that the product was made for runs as it is written: its own blocks of TypeScript, shell and YAML, from top to bottom, against
//! a fresh node. Only its placeholders, the address of the node and the place that the package comes from are put in.

mod backend;
mod pod;
mod runtime;
mod sdk;
mod terminal;
mod text;

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, now, wait_until};
use artifacts_tests::{Lab, artifacts_binary, mounted};
use serde_json::json;

use backend::Backend;
use pod::Pod;
use runtime::Runtime;
use sdk::Sdk;
use terminal::Terminal;
use text::Blocks;

/// Only a guard against hanging.
const LIMIT: Duration = Duration::from_secs(10 * 60);
/// What the text promises: the mount starts erroring within about a second.
const ABOUT_A_SECOND: Duration = Duration::from_secs(1);
const OUTPUT: &str = "/mnt/work/output.txt";

#[test]
fn the_quickstart_runs_as_it_is_written() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        ensure!(std::env::var("CI").as_deref() != Ok("true"), "only root can make a /run/tonbo for the test alone");
        eprintln!("NOTICE: the quickstart is not run: only root can make a /run/tonbo for the test alone");
        return Ok(());
    }
    mounted("quickstart-text", LIMIT, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let sdk = Sdk::new()?;
        let package = sdk.pack(scratch)?;
        let blocks = Blocks::of_text(lab.api.token(), "acme", &package.display().to_string())?;
        let path = path_with(artifacts_binary()?)?;

        // 1. and 2.: sign up, install the SDK.
        let mut shell = Command::new("env");
        scratch.mark(&mut shell).env("PATH", &path).env("TONBO_API_URL", lab.node.url());
        shell.env("npm_config_audit", "false").env("npm_config_fund", "false").env("npm_config_update_notifier", "false");
        let mut office = Terminal::open(shell, &scratch.join("backend"), &scratch.join("logs/backend.log"))?;
        office.run("echo '{\"private\": true, \"type\": \"module\"}' >package.json\n")?;
        office.run(&blocks.key)?;
        office.run(&blocks.install)?;
        // 4. to 6.: names, a workspace by command, a ticket. The backend keeps it for its runtimes as the text says: serialized as JSON.
        let names = format!("const taskId: string = '4711';\n{}\n{}", blocks.client, blocks.names);
        let ticket = format!("{}\nturnsWrite('mount-ticket.json', JSON.stringify(mount_ticket));", blocks.ticket);
        let mut backend = Backend::start(&sdk, &mut office, &[&names, &ticket, &blocks.revoke, &blocks.delete])?;
        office.run(&blocks.workspace)?;
        backend.go_on()?;
        let secret = fs::read(backend.file("mount-ticket.json"))?;

        // 7.: the ticket in a pod, as its YAML says, mounted as in 8.
        let pod = Pod::parse(&blocks.pod)?;
        let mut container = Runtime::start(scratch, "container", &path)?;
        fs::write(container.terminal().dir().join("mount-ticket.json"), &secret)?;
        container.terminal().run(&pod.layout())?;
        ensure!(blocks.mount.contains(&pod.file()), "{} is not where {} looks", pod.file(), blocks.mount);
        ensure!(fs::metadata(container.seen(&pod.file()))?.permissions().mode() & 0o777 == pod.mode(), "not as private as the pod says");
        ensure!(container.terminal().run(&format!("cat {}", pod.file()))?.trim_end().as_bytes() == secret, "not the backend's ticket");
        container.terminal().run(&blocks.mount)?;
        container.terminal().run("echo from the pod >/mnt/work/pod.txt\nartifacts unmount /mnt/work\n")?;

        // 7. and 8.: the ticket in a VM, by its launcher, and the mount.
        let mut vm = Runtime::start(scratch, "vm", &path)?;
        fs::write(vm.terminal().dir().join("mount-ticket.json"), &secret)?;
        vm.terminal().run(&blocks.launcher)?;
        ensure!(fs::read(vm.seen(&pod.file()))? == secret, "the launcher and the pod do not lead to the same file");
        vm.terminal().run(&blocks.mount)?;
        ensure!(fs::read_to_string(vm.seen("/mnt/work/pod.txt"))? == "from the pod\n", "what the pod wrote is not there");
        let program = vm.terminal().dir().join("program.mts");
        fs::write(&program, &blocks.program)?;
        sdk.compile(&program)?;
        vm.terminal().run("node program.mjs\n")?;
        ensure!(fs::read_to_string(vm.seen(OUTPUT))? == "hello", "the program's output is not there");

        // 9.: revoke, and the mount fails; delete.
        backend.go_on()?;
        let revoked = now();
        wait_until("the mount fails", LIMIT, || Ok(denied(&vm.seen(OUTPUT))))?;
        ensure!(revoked.elapsed() <= ABOUT_A_SECOND, "the mount failed only after {:?}", revoked.elapsed());
        ensure!(vm.terminal().run("if echo more >>/mnt/work/output.txt; then echo written; fi\n")?.trim().is_empty(), "written after all");
        ensure!(denied(&vm.seen(OUTPUT)), "it came back");
        backend.go_on()?;
        wait_until("the workspace is gone", LIMIT, || {
            let shown = lab.api.send("GET", "/v1/workspaces/acme/task-4711", None)?;
            ensure!(shown.status == 404 || shown.body["status"] == "deleting", "{}", shown.text);
            Ok(shown.status == 404)
        })
    })
}

fn denied(path: &Path) -> bool {
    fs::read(path).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
}

/// The search path with `artifacts` of this build in it.
fn path_with(binary: &Path) -> Result<String> {
    let folder = binary.parent().context("the binary has no folder")?.display();
    Ok(format!("{folder}:{}", std::env::var("PATH")?))
}
