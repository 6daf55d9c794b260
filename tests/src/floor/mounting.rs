use std::ffi::CString;
use std::fs::OpenOptions;
use std::io::{BufRead as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use fuser::{Config, Session, SessionACL};
use rustix::mount::{MountFlags, UnmountFlags};

use super::file_system::FloorFs;
use super::store::Store;

/// As many as the product's mount has.
const THREADS: usize = 2;

/// Mounts on `dir` and says `ready`; at every line of the standard input it does so anew, with the same files and nothing in
/// the kernel's caches; at its end it ends.
///
/// # Errors
/// If the kernel does not mount; only root may.
pub fn serve(dir: &Path) -> Result<()> {
    let store = Arc::new(Mutex::new(Store::new()));
    let mut lines = std::io::stdin().lock().lines();
    loop {
        let session = mount(FloorFs { store: Arc::clone(&store) }, dir)?;
        let serving = std::thread::spawn(move || session.run());
        println!("ready");
        std::io::stdout().flush()?;
        let next = lines.next().transpose()?;
        rustix::mount::unmount(dir, UnmountFlags::NOFOLLOW).context("unmount")?;
        serving.join().ok().context("the serving thread panicked")??;
        store.lock().unwrap_or_else(PoisonError::into_inner).forget_all();
        if next.is_none() {
            return Ok(());
        }
    }
}

fn mount(file_system: FloorFs, dir: &Path) -> Result<Session<FloorFs>> {
    let device = OpenOptions::new().read(true).write(true).open("/dev/fuse").context("/dev/fuse")?;
    let data = format!("fd={},rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other", device.as_raw_fd());
    rustix::mount::mount("floor", dir, "fuse.floor", MountFlags::empty(), CString::new(data)?.as_c_str()).context("mount")?;
    let mut config = Config::default();
    config.n_threads = Some(THREADS);
    config.clone_fd = true;
    Ok(Session::from_fd(file_system, device.into(), SessionACL::All, config)?)
}
