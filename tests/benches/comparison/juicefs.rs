//! JuiceFS with its metadata in Redis: what this project is measured beside.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::Duration;
use artifacts_tests::{Scratch, Tool, free_port};

use crate::contestant::{Appendfsync, Contestant};
use crate::s3_server::S3Server;
use crate::server::{Server, is_mounted, listens};

/// A Redis server, a volume in it, and a mount of that.
pub(crate) struct JuiceFs {
    name: &'static str,
    scratch: Arc<Scratch>,
    program: PathBuf,
    redis_port: u16,
    agent: Option<Server>,
    _redis: Server,
}

impl JuiceFs {
    /// Whether Redis is there; JuiceFS itself is fetched.
    pub(crate) fn has_redis() -> bool {
        Command::new("redis-server")
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    /// One that keeps data in a directory.
    pub(crate) fn on_directory() -> Result<Self> {
        let scratch = Arc::new(Scratch::new("bench", Duration::from_secs(6 * 60 * 60))?);
        let bucket = scratch.join("objects").display().to_string();
        Self::start("JuiceFS", scratch, &["--storage", "file", "--bucket", &bucket])
    }

    /// One that keeps data in a bucket.
    pub(crate) fn on_s3(server: &S3Server) -> Result<Self> {
        let scratch = Arc::new(Scratch::new("bench", Duration::from_secs(6 * 60 * 60))?);
        let bucket = format!("{}/juicefs", server.url());
        let keys = ["--access-key", S3Server::ACCESS_KEY, "--secret-key", S3Server::SECRET_KEY];
        Self::start("JuiceFS, S3", scratch, &[&["--storage", "s3", "--bucket", &bucket][..], &keys].concat())
    }

    fn start(name: &'static str, scratch: Arc<Scratch>, storage: &[&str]) -> Result<Self> {
        let program = Tool::JUICEFS.path()?;
        let redis_port = free_port()?;
        fs::create_dir(scratch.join("redis"))?;
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &redis_port.to_string(), "--save", "", "--appendonly", "yes"]);
        command.args(["--appendfsync", "everysec", "--daemonize", "no", "--dir"]).arg(scratch.join("redis"));
        let mut redis = Server::start(&scratch, "redis", command)?;
        redis.wait_until(|| Ok(listens(redis_port)))?;

        fs::create_dir(scratch.join("mnt/juicefs"))?;
        let mut juicefs = Self { name, scratch, program, redis_port, agent: None, _redis: redis };
        juicefs.run(&[&["format", "--trash-days", "0"], storage, &[&juicefs.volume(), "bench"]].concat())?;
        juicefs.refresh()?;
        Ok(juicefs)
    }

    fn volume(&self) -> String {
        format!("redis://127.0.0.1:{}/1", self.redis_port)
    }

    fn run(&self, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new(&self.program);
        let output = self.scratch.mark(&mut command).args(arguments).stdin(Stdio::null()).output()?;
        ensure!(output.status.success(), "juicefs {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    fn unmount(&mut self) -> Result<()> {
        let Some(agent) = self.agent.take() else { return Ok(()) };
        self.run(&["umount", &self.path().display().to_string()])?;
        ensure!(!is_mounted(&self.path())?, "juicefs umount left the mount");
        agent.wait_ended()
    }
}

impl Contestant for JuiceFs {
    fn name(&self) -> &str {
        self.name
    }

    fn path(&self) -> PathBuf {
        self.scratch.join("mnt/juicefs")
    }

    fn refresh(&mut self) -> Result<()> {
        self.unmount()?;
        let cache = self.scratch.join("cache");
        fs::remove_dir_all(&cache)?;
        fs::create_dir(&cache)?;
        // In a session of its own, as when it goes to the background by itself.
        let mut command = Command::new("setsid");
        command.arg(&self.program).args([
            "mount",
            "--no-usage-report",
            "--no-syslog",
            "--metrics",
            &format!("127.0.0.1:{}", free_port()?),
            "--cache-dir",
        ]);
        command.arg(cache).arg(self.volume()).arg(self.path());
        let mut agent = Server::start(&self.scratch, "juicefs", command)?;
        agent.wait_until(|| is_mounted(&self.path()))?;
        // Mounted is not yet serving: the first answer is.
        fs::read_dir(self.path()).context("a fresh mount of JuiceFS")?;
        self.agent = Some(agent);
        Ok(())
    }

    fn settle(&mut self) -> Result<()> {
        Ok(File::open(self.path())?.sync_all()?)
    }

    fn set_appendfsync(&mut self, mode: Appendfsync) -> Result<()> {
        let mode = match mode {
            Appendfsync::Everysec => "everysec",
            Appendfsync::Always => "always",
        };
        let port = self.redis_port.to_string();
        let output = Command::new("redis-cli").args(["-h", "127.0.0.1", "-p", &port, "config", "set", "appendfsync", mode]).output()?;
        ensure!(output.status.success() && output.stdout.starts_with(b"OK"), "redis-cli: {}", String::from_utf8_lossy(&output.stdout));
        Ok(())
    }

    fn end(mut self: Box<Self>) -> Result<()> {
        self.unmount()
    }
}
