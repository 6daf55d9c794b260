//! What everyday file operations cost on a mount, beside the same work on the local disk in the same run.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use artifacts_tests::time::{Duration, now};
use artifacts_tests::{Lab, Scratch, Shell, SourceTree, Table, local, millis, percentile, require_fuse};
use rustix::fs::{Advice, fadvise};
use serde_json::json;

const FILES: usize = 2_000;
const SEQUENTIAL_MIB: usize = 256;
const FSYNCS: usize = 200;
const TRANSACTIONS: usize = 500;

/// One measured quantity.
struct Figure {
    what: &'static str,
    unit: &'static str,
    value: f64,
    /// Whether more is better; times are the other way round.
    rate: bool,
}

fn main() -> Result<()> {
    require_fuse()?;
    local("bench-small-files", Duration::from_secs(60 * 60), |scratch| {
        let sources = SourceTree::make(scratch, "sources")?;
        let archive = scratch.join("sources.tar");
        let archive_name = archive.display().to_string();
        Shell::new(scratch, sources.path()).run("tar", &["-c", "--exclude=.git", "-f", &archive_name, "."])?;
        let lab = Lab::start(scratch, &json!({}))?;
        let workspace = lab.workspace("bench")?;
        let mount = lab.mount("bench", &workspace)?;
        fs::create_dir(scratch.join("local"))?;
        let on_mount = measure(scratch, mount.path(), &sources, &archive)?;
        let on_disk = measure(scratch, &scratch.join("local"), &sources, &archive)?;
        mount.unmount()?;

        println!("\n{FILES} files of 1 KiB; a repository of {} files; times to the last byte, before any sync", sources.files());
        let mut table = Table::new(&["", "mount", "local disk", "", "times slower"]);
        for (mount, disk) in on_mount.iter().zip(&on_disk) {
            let ratio = if mount.rate { disk.value / mount.value } else { mount.value / disk.value };
            let digits = if mount.value < 100.0 { 2 } else { 0 };
            let cell = |value: f64| format!("{value:.digits$}");
            table.row(vec![mount.what.to_owned(), cell(mount.value), cell(disk.value), mount.unit.to_owned(), format!("{ratio:.1}")]);
        }
        table.print();
        Ok(())
    })
}

fn measure(scratch: &Scratch, dir: &Path, sources: &SourceTree, archive: &Path) -> Result<Vec<Figure>> {
    let mut figures = small_files(dir)?;
    let url = format!("file://{}", sources.path().display());
    let shell = Shell::new(scratch, dir);
    figures.push(timed("git clone", || shell.run("git", &["clone", "--quiet", &url, "clone"]).map(drop))?);
    figures.push(timed("git status", || Shell::new(scratch, dir.join("clone")).run("git", &["status", "--porcelain"]).map(drop))?);
    fs::create_dir(dir.join("unpacked"))?;
    let archive = archive.display().to_string();
    figures.push(timed("tar x", || Shell::new(scratch, dir.join("unpacked")).run("tar", &["-x", "-f", &archive]).map(drop))?);
    figures.push(timed("rm -rf", || shell.run("rm", &["-rf", "unpacked"]).map(drop))?);
    figures.extend(sequential(dir)?);
    figures.extend(fsyncs(dir)?);
    figures.push(transactions(&shell)?);
    Ok(figures)
}

/// Work that is measured as a whole, in seconds.
fn timed(what: &'static str, work: impl FnOnce() -> Result<()>) -> Result<Figure> {
    let start = now();
    work().context(what)?;
    Ok(Figure { what, unit: "s", value: start.elapsed().as_secs_f64(), rate: false })
}

/// Creating, looking at, reading, renaming and removing many small files, each in operations a second.
fn small_files(dir: &Path) -> Result<Vec<Figure>> {
    let dir = dir.join("small");
    fs::create_dir(&dir)?;
    let (content, mut read) = ([b'k'; 1024], Vec::new());
    let name = |number: usize| dir.join(format!("file-{number}"));
    let renamed = |number: usize| dir.join(format!("renamed-{number}"));
    let each = |what, work: &mut dyn FnMut(usize) -> std::io::Result<()>| -> Result<Figure> {
        let start = now();
        (0..FILES).try_for_each(work).context(what)?;
        Ok(Figure { what, unit: "/s", value: FILES as f64 / start.elapsed().as_secs_f64(), rate: true })
    };
    Ok(vec![
        each("create and write 1 KiB", &mut |number| fs::write(name(number), content))?,
        each("stat", &mut |number| fs::metadata(name(number)).map(drop))?,
        each("open and read 1 KiB", &mut |number| {
            read.clear();
            File::open(name(number))?.read_to_end(&mut read).map(drop)
        })?,
        each("rename", &mut |number| fs::rename(name(number), renamed(number)))?,
        each("unlink", &mut |number| fs::remove_file(renamed(number)))?,
    ])
}

/// One large file, written and synced, then read with a cold page cache.
fn sequential(dir: &Path) -> Result<Vec<Figure>> {
    let path = dir.join("large");
    let mut block = vec![0u8; 1 << 20];
    let mib_per_s = |what, start: std::time::Instant| Figure {
        what,
        unit: "MiB/s",
        value: SEQUENTIAL_MIB as f64 / start.elapsed().as_secs_f64(),
        rate: true,
    };
    let start = now();
    let mut file = File::create(&path)?;
    for number in 0..SEQUENTIAL_MIB {
        // Blocks differ, so that nothing can be saved on equal ones.
        block.iter_mut().zip(0u64..).for_each(|(byte, index)| *byte = (index * 31 + number as u64 * 7) as u8);
        file.write_all(&block)?;
    }
    file.sync_all()?;
    let written = mib_per_s("write 256 MiB and fsync", start);
    fadvise(&file, 0, None, Advice::DontNeed)?;
    let start = now();
    let mut file = File::open(&path)?;
    while file.read(&mut block)? > 0 {}
    Ok(vec![written, mib_per_s("read 256 MiB", start)])
}

/// How long an fsync after a small append takes, in milliseconds.
fn fsyncs(dir: &Path) -> Result<Vec<Figure>> {
    let mut log = OpenOptions::new().append(true).create(true).open(dir.join("log"))?;
    let mut took = Vec::new();
    for _ in 0..FSYNCS {
        log.write_all(&[b'l'; 100])?;
        let start = now();
        log.sync_all()?;
        took.push(millis(start.elapsed()));
    }
    let (p50, p99) = (percentile(&mut took, 50.0), percentile(&mut took, 99.0));
    Ok(vec![
        Figure { what: "fsync, p50", unit: "ms", value: p50, rate: false },
        Figure { what: "fsync, p99", unit: "ms", value: p99, rate: false },
    ])
}

fn transactions(shell: &Shell<'_>) -> Result<Figure> {
    let script: Vec<String> = (0..TRANSACTIONS).map(|id| format!("INSERT INTO t VALUES ({id}, hex(randomblob(100)));")).collect();
    shell.run("sqlite3", &["-bail", "bench.db", "CREATE TABLE t (id INTEGER PRIMARY KEY, note TEXT);"])?;
    let start = now();
    shell.run_with_input("sqlite3", &["-bail", "bench.db"], &script.join("\n"))?;
    Ok(Figure { what: "sqlite transactions", unit: "/s", value: TRANSACTIONS as f64 / start.elapsed().as_secs_f64(), rate: true })
}
