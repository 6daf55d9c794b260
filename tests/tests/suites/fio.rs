//! fio: jobs of every kind of I/O at the same time, each block with a checksum that is verified after it was written,
//! and again in the mount of another agent.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::place::{Place, suite};

/// The size of each job's file, of a bounded and of a full run, in MiB.
const FILE_MIB: (u32, u32) = (4, 64);
/// The same for jobs in which each write is durable.
const DURABLE_MIB: (u32, u32) = (1, 8);

/// `SIZE` and `DURABLE` stand for the sizes. The same file makes the verifying pass: what is random in it is the same
/// each time.
const JOBS: &str = "
[global]
verify=crc32c
verify_fatal=1
do_verify=1
randrepeat=1
size=SIZE

[sequential]
rw=write
bs=128k
ioengine=sync

[sequential-large]
rw=write
bs=1m
ioengine=psync

[random]
rw=randwrite
bs=4k
ioengine=psync

[random-odd-sizes]
rw=randwrite
bsrange=512-32k
bs_unaligned
ioengine=sync

[mix]
rw=randrw
rwmixread=40
bs=4k
ioengine=psync
fsync=32

[sequential-mix]
rw=rw
bs=64k
ioengine=psync

[libaio]
rw=randwrite
bs=16k
ioengine=libaio
iodepth=8

[libaio-direct]
rw=randwrite
bs=8k
ioengine=libaio
direct=1
iodepth=16

[direct-sequential]
rw=write
bs=256k
ioengine=psync
direct=1

[mmap]
rw=randwrite
bs=4k
ioengine=mmap

[mmap-sequential]
rw=write
bs=64k
ioengine=mmap

[mmap-mix]
rw=randrw
bs=4k
ioengine=mmap

[o-sync]
rw=randwrite
bs=4k
ioengine=psync
sync=1
size=DURABLE

[fdatasync]
rw=randwrite
bs=4k
ioengine=psync
fdatasync=1
size=DURABLE
";

#[test]
fn fio() -> Result<()> {
    suite("fio", |place, scale| {
        place.dir("fio")?;
        let local = place.local("fio");
        fs::create_dir(&local)?;
        let (size, durable) = (scale.pick(FILE_MIB.0, FILE_MIB.1), scale.pick(DURABLE_MIB.0, DURABLE_MIB.1));
        fs::write(local.join("jobs.fio"), JOBS.replace("SIZE", &format!("{size}m")).replace("DURABLE", &format!("{durable}m")))?;

        let written = run(place, &[]).context("writing and verifying")?;
        place.remount()?;
        let verified = run(place, &["--verify_only=1"]).context("verifying in another mount")?;
        ensure!(written.len() == JOBS.matches("ioengine=").count(), "fio ran only {written:?}");
        for (name, blocks) in &written {
            ensure!(*blocks > 0 && verified.iter().any(|job| job == &(name.clone(), *blocks)), "{name}: {blocks} and {verified:?}");
        }
        notices_a_wrong_byte(place)?;
        println!(
            "fio: {} jobs, {} blocks verified, and again after a remount",
            written.len(),
            written.iter().map(|job| job.1).sum::<u64>()
        );
        Ok(())
    })
}

/// Runs the jobs, and gives the name of each with how many blocks it read.
fn run(place: &Place<'_>, more: &[&str]) -> Result<Vec<(String, u64)>> {
    let directory = format!("--directory={}", place.path().join("fio").display());
    let arguments = [&[directory.as_str(), "--output-format=json", "--output=result.json"], more, &["jobs.fio"]].concat();
    let local = place.local("fio");
    place.shell(&local).run("fio", &arguments).with_context(|| fs::read_to_string(local.join("result.json")).unwrap_or_default())?;
    let text = fs::read_to_string(local.join("result.json"))?;
    // What it warns of stands before the JSON.
    let result: Value = serde_json::from_str(text.get(text.find('{').context("no result")?..).unwrap_or_default())?;
    let jobs = result["jobs"].as_array().context("no jobs")?.iter().map(|job| {
        let name = job["jobname"].as_str().context("a job without a name")?.to_owned();
        ensure!(job["error"] == 0, "{name}: error {}", job["error"]);
        Ok((name, job["read"]["total_ios"].as_u64().context("no count of reads")?))
    });
    jobs.collect()
}

/// The passes above mean something only if this fails.
fn notices_a_wrong_byte(place: &Place<'_>) -> Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(place.path().join("fio/sequential.0.0"))?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, 777_777)?;
    file.write_all_at(&[byte[0] ^ 1], 777_777)?;
    ensure!(run(place, &["--verify_only=1", "--section=sequential"]).is_err(), "fio does not notice a wrong byte");
    Ok(())
}
