use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use artifacts_tests::{Host, Lan, S3Server, Scratch, Sdk, Terminal, TypeScriptProgram, artifacts_binary, target_dir};
use serde_json::Value;

use crate::markdown::{Block, root};

/// What the pages call the S3 server, its bucket and the machines of a cluster.
const S3: (&str, &str) = ("http://s3.internal:8333", "acme-artifacts");
const NODES: [&str; 3] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];

/// What is true for every page: directories that it may fill, and a root who has no need for sudo.
const SETUP: &str = r#"
ip link set lo up
for directory in /run /mnt /var/lib /var/backups /opt; do mount -t tmpfs tmpfs $directory; done
mkdir -p /run/layers/upper /run/layers/work
mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/layers/upper,workdir=/run/layers/work /etc
sudo() { "$@"; }
pip() { python3 -m pip "$@"; }
"#;
/// A node, an account and its key, as a reader has them who comes from the quickstart.
const NODE: &str = r#"
artifacts node --data artifacts-data >node.log 2>&1 &
node=$!
curl -sS --retry 50 --retry-connrefused --retry-delay 1 -o /dev/null http://127.0.0.1:7700/readyz
export TONBO_API_URL=http://127.0.0.1:7700
export TONBO_API_KEY=$(artifacts platform account create my-platform --admin-token-file artifacts-data/admin-token --format json | jq -r .api_key.key)
"#;
/// Runs the blocks of Python that it is told the names of, one after the other, in one program.
const PYTHON: &str = r#"
import sys, pathlib
scope = {"__name__": "__main__"}
for name in sys.stdin:
    path = pathlib.Path(name.strip())
    exec(compile(path.read_text(), str(path), "exec"), scope)
    pathlib.Path(f"{path}.done").touch()
"#;

/// A machine for one page: with its own mounts, its own network, on which the pages' ports and addresses are free, and nothing in it but
/// the program, the SDKs and what the page says that it begins with.
pub(crate) struct Machine {
    terminal: Terminal,
    scratch: Arc<Scratch>,
    names: Vec<(String, String)>,
    sdk: Sdk,
    package: Option<PathBuf>,
    type_script: Option<TypeScriptProgram>,
    python_blocks: usize,
    // Before the network that it is in.
    _server: Option<S3Server>,
    _network: Option<(Lan, Host)>,
}

impl Machine {
    /// Starts one with these things: `node`, `s3`, `addresses` (those of three nodes), `clone` (what a clone of the tree has).
    pub(crate) fn start(scratch: &Arc<Scratch>, with: &[String]) -> Result<Self> {
        let unknown = with.iter().find(|what| !["node", "s3", "addresses", "clone"].contains(&what.as_str()));
        ensure!(unknown.is_none(), "what is {unknown:?}?");
        let has = |what: &str| with.iter().any(|given| given == what);
        let (network, server) = if has("s3") { s3()? } else { (None, None) };
        let mut command = match &network {
            Some((_, host)) => host.command(Path::new("unshare")),
            None => {
                let mut command = Command::new("unshare");
                command.arg("--net");
                command
            }
        };
        command.args(["--mount", "--propagation", "private"]);
        let path = std::env::var("PATH")?;
        let tools = target_dir()?.join("tools/python/bin");
        let program = artifacts_binary()?.parent().context("the binary has no folder")?.to_owned();
        scratch.mark(&mut command).env("PATH", format!("{}:{}:{path}", program.display(), tools.display()));
        command.env("npm_config_audit", "false").env("npm_config_fund", "false").env("npm_config_update_notifier", "false");
        // The package of this tree, and nothing from an index.
        command.env("npm_config_offline", "true").env("PIP_NO_INDEX", "1").env("PYTHONPATH", root()?.join("sdk/python/src"));
        let mut terminal = Terminal::open(command, &scratch.join("page"), &scratch.join("logs/page.log"))?;
        terminal.run(SETUP)?;
        let mut names = Vec::new();
        if let Some(server) = &server {
            let bucket = server.bucket()?;
            let field = |name: &str| bucket["s3"][name].as_str().unwrap_or_default().to_owned();
            terminal.run(&format!(
                "export AWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY={}\n",
                field("access_key_id"),
                field("secret_access_key")
            ))?;
            names.extend([(S3.0.to_owned(), field("endpoint")), (S3.1.to_owned(), field("bucket"))]);
        }
        if has("addresses") {
            for address in NODES {
                terminal.run(&format!("ip addr add {address}/32 dev lo\n"))?;
            }
        }
        if has("clone") {
            let root = root()?.display();
            terminal.run(&format!("ln -s {root}/deploy {root}/sdk {root}/Makefile .\n"))?;
        }
        if has("node") {
            terminal.run(NODE)?;
        }
        Ok(Self {
            terminal,
            scratch: Arc::clone(scratch),
            names,
            sdk: Sdk::new()?,
            package: None,
            type_script: None,
            python_blocks: 0,
            _server: server,
            _network: network,
        })
    }

    /// Types a text of shell.
    pub(crate) fn shell(&mut self, text: &str) -> Result<()> {
        let mut text = text.to_owned();
        for (name, here) in &self.names {
            text = text.replace(name, here);
        }
        if text.contains("npm install @tonbo/artifacts") {
            let package = self.package()?.display().to_string();
            text = text.replace("npm install @tonbo/artifacts", &format!("npm install --silent {package}"));
        }
        self.terminal.run(&text).map(drop)
    }

    /// Runs the next block of TypeScript. All of a page are one program, of which `all` are the parts.
    pub(crate) fn type_script(&mut self, all: &[&str]) -> Result<()> {
        if let Some(program) = &mut self.type_script {
            return program.go_on();
        }
        if !self.terminal.dir().join("node_modules").exists() {
            let package = self.package()?.display().to_string();
            self.terminal.run(&format!("npm install --silent {package}\n"))?;
        }
        self.type_script = Some(TypeScriptProgram::start(&self.sdk, &mut self.terminal, all)?);
        Ok(())
    }

    /// Runs a block of Python, in the same program as those before.
    pub(crate) fn python(&mut self, text: &str) -> Result<()> {
        if self.python_blocks == 0 {
            fs::write(self.terminal.dir().join(".blocks.py"), PYTHON)?;
            self.terminal.run(
                "mkfifo .blocks
                 (python3 .blocks.py <.blocks >python.log 2>&1 || touch .python-failed) &
                 exec 4>.blocks\n",
            )?;
        }
        self.python_blocks += 1;
        let name = format!(".block-{}.py", self.python_blocks);
        fs::write(self.terminal.dir().join(&name), text)?;
        self.terminal
            .run(&format!(
                "echo {name} >&4
                 until [ -e {name}.done ]; do
                   if [ -e .python-failed ]; then cat python.log >&2; exit 1; fi
                   sleep 0.05
                 done\n"
            ))
            .map(drop)
    }

    /// Looks whether a block that is not run is at least what it says.
    pub(crate) fn parse(&mut self, block: &Block) -> Result<()> {
        let file = self.scratch.join("page/.parsed");
        fs::write(&file, &block.text)?;
        let mut command = match block.language.as_str() {
            "" | "text" | "ini" | "dockerfile" => return Ok(()),
            "json" => return serde_json::from_str::<Value>(&block.text).map(drop).context("no JSON"),
            "sh" => {
                let mut command = Command::new("sh");
                command.arg("-n");
                command
            }
            "yaml" => {
                let mut command = Command::new(target_dir()?.join("tools/python/bin/python"));
                command.args(["-c", "import sys, yaml; list(yaml.safe_load_all(open(sys.argv[1])))"]);
                command
            }
            other => bail!("a block of `{other}` can be neither run nor checked"),
        };
        let output = command.arg(&file).output()?;
        ensure!(output.status.success(), "it cannot be read: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    fn package(&mut self) -> Result<&Path> {
        if self.package.is_none() {
            fs::write(self.terminal.dir().join("package.json"), r#"{"private": true, "type": "module"}"#)?;
            self.package = Some(self.sdk.pack(&self.scratch)?);
        }
        self.package.as_deref().context("no package")
    }
}

type Server = (Option<(Lan, Host)>, Option<S3Server>);

fn s3() -> Result<Server> {
    let lan = Lan::new()?.context("no network namespaces")?;
    let host = lan.host("page")?;
    let server = S3Server::start_in(&host)?.context("no S3 server")?;
    Ok((Some((lan, host)), Some(server)))
}
