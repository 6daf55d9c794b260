//! How soon a mount fails once its grant is revoked: three threads call into it without a pause, with a file that they
//! have held open since before.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use serde::Serialize;

use super::report::{in_ms, milliseconds};
use crate::time;

/// How long after the revoke call the mount is watched at most.
const PATIENCE: Duration = Duration::from_secs(10);

/// When a call first failed, and how.
struct Failure {
    at: Instant,
    errno: i32,
}

/// Threads that call into a mount until it fails.
pub(super) struct Watch {
    mountpoint: PathBuf,
    held: Arc<File>,
    give_up: GiveUp,
    threads: Vec<(&'static str, JoinHandle<Option<Failure>>)>,
}

/// Lets the threads end when whoever watches is gone.
struct GiveUp(Arc<AtomicBool>);

impl Drop for GiveUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How one call ended.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Ending {
    /// `stat`, `read` or `write`.
    call: &'static str,
    /// Such as `EACCES`.
    errno: String,
    /// Since the revoke call was made.
    after_call_ms: f64,
    /// Since the revoke call returned; 0 when it failed before that.
    after_return_ms: f64,
}

impl Watch {
    /// Opens a file and starts calling.
    pub(super) fn begin(mountpoint: &Path) -> anyhow::Result<Self> {
        let path = mountpoint.join("held-open.txt");
        let held = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .with_context(|| format!("cannot create {}", path.display()))?;
        held.write_all_at(b"held open", 0)?;
        let held = Arc::new(held);
        let give_up = GiveUp(Arc::new(AtomicBool::new(false)));
        let (reading, writing) = (Arc::clone(&held), Arc::clone(&held));
        let threads = vec![
            ("stat", until_it_fails(&give_up, move || fs::metadata(&path).map(drop))?),
            ("read", until_it_fails(&give_up, move || reading.read_at(&mut [0; 4], 0).map(drop))?),
            ("write", until_it_fails(&give_up, move || writing.write_at(b"H", 0).map(drop))?),
        ];
        Ok(Self { mountpoint: mountpoint.to_owned(), held, give_up, threads })
    }

    /// Waits until every call has failed, then tries all sorts of others.
    pub(super) fn end(self, called: Instant, returned: Instant) -> anyhow::Result<Vec<Ending>> {
        while self.threads.iter().any(|(_, thread)| !thread.is_finished()) && returned.elapsed() < PATIENCE {
            time::pause(Duration::from_millis(1));
        }
        drop(self.give_up);
        let mut endings = Vec::new();
        for (call, thread) in self.threads {
            let failure = thread.join().map_err(|_| anyhow!("the thread that called `{call}` panicked"))?;
            let Some(failure) = failure else { bail!("`{call}` still worked {} s after the revocation", PATIENCE.as_secs()) };
            let since = |instant| in_ms(failure.at.saturating_duration_since(instant));
            endings.push(Ending { call, errno: errno_name(failure.errno), after_call_ms: since(called), after_return_ms: since(returned) });
        }
        if let Some(other) = endings.iter().find(|ending| ending.errno != "EACCES") {
            bail!("`{}` failed with {} instead of EACCES", other.call, other.errno);
        }
        every_other_call_fails(&self.mountpoint, &self.held)?;
        Ok(endings)
    }
}

impl Ending {
    /// How long after the revoke call was made.
    pub(super) fn after_call(&self) -> Duration {
        Duration::from_secs_f64(self.after_call_ms / 1e3)
    }

    /// How long after the revoke call returned; zero when before.
    pub(super) fn after_return(&self) -> Duration {
        Duration::from_secs_f64(self.after_return_ms / 1e3)
    }

    /// For people.
    pub(super) fn sentence(&self) -> String {
        let ms = |ms: f64| milliseconds(Duration::from_secs_f64(ms / 1e3));
        let when = if self.after_return_ms > 0.0 {
            format!("{} after the revoke call returned", ms(self.after_return_ms))
        } else {
            format!("before the revoke call returned, {} after it was made", ms(self.after_call_ms))
        };
        format!("{:5} failed with {} {when}", self.call, self.errno)
    }
}

fn until_it_fails(give_up: &GiveUp, call: impl Fn() -> io::Result<()> + Send + 'static) -> io::Result<JoinHandle<Option<Failure>>> {
    let give_up = Arc::clone(&give_up.0);
    std::thread::Builder::new().name("revocation-watch".to_owned()).spawn(move || {
        while !give_up.load(Ordering::Relaxed) {
            if let Err(error) = call() {
                return Some(Failure { at: time::now(), errno: error.raw_os_error().unwrap_or(0) });
            }
            // The node that is to fence this mount may need the processor.
            std::thread::yield_now();
        }
        None
    })
}

/// Not one call that reads or changes anything may work, whatever was cached or open.
fn every_other_call_fails(mountpoint: &Path, held: &File) -> anyhow::Result<()> {
    let inside = |name: &str| mountpoint.join(name);
    let calls: [(&str, io::Result<()>); 12] = [
        ("readdir", fs::read_dir(mountpoint).and_then(|mut entries| entries.try_for_each(|entry| entry.map(drop)))),
        ("open", File::open(inside("tree/log")).map(drop)),
        ("create", File::create(inside("too-late")).map(drop)),
        ("mkdir", fs::create_dir(inside("too-late"))),
        ("rename", fs::rename(inside("tree"), inside("too-late"))),
        ("unlink", fs::remove_file(inside("tree/log"))),
        ("link", fs::hard_link(inside("tree/log"), inside("too-late"))),
        ("symlink", symlink("x", inside("too-late"))),
        ("readlink", fs::read_link(inside("tree/symbolic-link")).map(drop)),
        ("chmod", fs::set_permissions(inside("tree"), std::os::unix::fs::PermissionsExt::from_mode(0o755))),
        ("fstat of the open file", held.metadata().map(drop)),
        ("truncate of the open file", held.set_len(1)),
    ];
    for (call, result) in calls {
        match result.map_err(|error| error.raw_os_error()) {
            Err(Some(libc::EACCES)) => {}
            Err(errno) => bail!("{call} failed with {} instead of EACCES", errno_name(errno.unwrap_or(0))),
            Ok(()) => bail!("{call} still works after the revocation"),
        }
    }
    Ok(())
}

fn errno_name(errno: i32) -> String {
    match errno {
        libc::EACCES => "EACCES".to_owned(),
        libc::EIO => "EIO".to_owned(),
        libc::ENOENT => "ENOENT".to_owned(),
        libc::ENOTCONN => "ENOTCONN".to_owned(),
        libc::EPERM => "EPERM".to_owned(),
        libc::EROFS => "EROFS".to_owned(),
        libc::ESTALE => "ESTALE".to_owned(),
        other => io::Error::from_raw_os_error(other).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_nobody_revokes_is_told_from_one_that_fails() {
        let directory = tempfile::tempdir().unwrap();
        let held = File::create(directory.path().join("f")).unwrap();
        assert!(every_other_call_fails(directory.path(), &held).unwrap_err().to_string().contains("readdir still works"));
    }

    #[test]
    fn what_failed_before_the_return_is_said_so() {
        let ending = Ending { call: "stat", errno: "EACCES".into(), after_call_ms: 1.5, after_return_ms: 0.0 };
        assert_eq!(ending.sentence(), "stat  failed with EACCES before the revoke call returned, 1.50 ms after it was made");
    }
}
