//! What is measured on a mount: each gives how long every call took, in milliseconds.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::FileExt as _;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, now, sleep};
use artifacts_tests::{Mount, millis};

const BLOCK_BYTES: usize = 4096;
/// The file in which single blocks are overwritten, in blocks.
const BLOCKS: usize = 256;

/// Milliseconds of each call.
type Took = Vec<f64>;

fn each(count: usize, mut call: impl FnMut(usize) -> std::io::Result<()>) -> Result<Took> {
    let timed = |number| {
        let start = now();
        call(number)?;
        Ok(millis(start.elapsed()))
    };
    (0..count).map(timed).collect()
}

/// Everything that a mount did before is durable, so that it does not disturb what comes.
fn settle(mount: &Mount) -> Result<()> {
    Ok(File::open(mount.path())?.sync_all()?)
}

/// The lines of fsync.
pub(crate) fn fsyncs(mount: &Mount, count: usize) -> Result<Vec<(&'static str, Took)>> {
    let block = vec![7; BLOCK_BYTES];
    fs::write(mount.join("blocks"), vec![1; BLOCKS * BLOCK_BYTES])?;
    fs::create_dir(mount.join("made"))?;
    settle(mount)?;
    let blocks = OpenOptions::new().write(true).open(mount.join("blocks"))?;
    let overwrite = each(count, |number| {
        blocks.write_all_at(&block, (number * 37 % BLOCKS * BLOCK_BYTES) as u64)?;
        blocks.sync_data()
    })?;
    let mut log = OpenOptions::new().append(true).create(true).open(mount.join("log"))?;
    let append = each(count, |_| {
        log.write_all(&[b'l'; 100])?;
        log.sync_data()
    })?;
    let create = each(count, |number| {
        let mut file = File::create_new(mount.join(format!("made/{number}")))?;
        file.write_all(&block)?;
        file.sync_all()
    })?;
    Ok(vec![("overwrite 4 KiB, fsync", overwrite), ("append 100 bytes, fsync", append), ("create, write 4 KiB, fsync", create)])
}

/// The lines of small files; `remount` gives a fresh mount in the place of the one that it takes.
pub(crate) fn small_files(
    mut mount: Mount,
    count: usize,
    remount: impl Fn(Mount) -> Result<Mount>,
) -> Result<(Mount, Vec<(&'static str, Took)>)> {
    let content = |number: usize| [number as u8; 1024];
    let read = |mount: &Mount| {
        let mut found = Vec::with_capacity(1024);
        let took = each(count, |number| {
            found.clear();
            File::open(mount.join(format!("small/{number}")))?.read_to_end(&mut found).map(drop)
        })?;
        ensure!(found == content(count - 1), "the last file reads otherwise");
        Ok(took)
    };
    let stat = |mount: &Mount| each(count, |number| fs::metadata(mount.join(format!("small/{number}"))).map(drop));
    fs::create_dir(mount.join("small"))?;
    let create = each(count, |number| fs::write(mount.join(format!("small/{number}")), content(number)))?;
    settle(&mount)?;
    let warm_stat = stat(&mount)?;
    mount = remount(mount)?;
    let cold_stat = stat(&mount)?;
    mount = remount(mount)?;
    let cold_read = read(&mount)?;
    let warm_read = read(&mount)?;
    let rename = each(count, |number| fs::rename(mount.join(format!("small/{number}")), mount.join(format!("small/renamed-{number}"))))?;
    settle(&mount)?;
    let unlink = each(count, |number| fs::remove_file(mount.join(format!("small/renamed-{number}"))))?;
    settle(&mount)?;
    let lines = vec![
        ("create, write 1 KiB, close", create),
        ("stat", warm_stat),
        ("stat, cold", cold_stat),
        ("open and read, cold", cold_read),
        ("open and read, warm", warm_read),
        ("rename", rename),
        ("unlink", unlink),
    ];
    Ok((mount, lines))
}

/// All mounts make small files and save each, for so long: the next one after a pause, if there is one. Answers how many.
pub(crate) fn keep_busy(mounts: &[Mount], name: &str, time: Duration, pause: Duration) -> Result<usize> {
    let work = |mount: &Mount| -> Result<usize> {
        let (start, dir) = (now(), mount.join(name));
        fs::create_dir(&dir)?;
        let mut made = 0;
        while start.elapsed() < time {
            let mut file = File::create_new(dir.join(made.to_string()))?;
            file.write_all(&[7; BLOCK_BYTES])?;
            file.sync_all()?;
            made += 1;
            sleep(pause);
        }
        Ok(made)
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = mounts.iter().map(|mount| scope.spawn(|| work(mount))).collect();
        let made = workers.into_iter().map(|worker| worker.join().ok().context("a worker panicked")?);
        Ok(made.collect::<Result<Vec<_>>>()?.into_iter().sum())
    })
}
