//! copy_file_range(2) shares blocks.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use anyhow::{Result, ensure};
use artifacts_tests::time::Duration;
use artifacts_tests::{Lab, mounted};
use rustix::fs::{SeekFrom, copy_file_range, seek};
use rustix::io::Errno;
use serde_json::json;

const MIB: usize = 1 << 20;

/// Copies until everything is there, as a program has to, and gives the number of calls.
fn copy_all(from: &File, to: &File, len: usize) -> Result<usize> {
    let (mut done, mut calls) = (0, 0);
    while done < len {
        let (mut from_offset, mut to_offset) = (done as u64, done as u64);
        let copied = copy_file_range(from, Some(&mut from_offset), to, Some(&mut to_offset), len - done)?;
        ensure!(copied > 0, "nothing was copied after {done} bytes");
        done += copied;
        calls += 1;
    }
    Ok(calls)
}

#[test]
fn a_copy_shares_blocks_and_is_a_file_of_its_own() -> Result<()> {
    mounted("copy", Duration::from_secs(5 * 60), |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let workspace = lab.workspace("copy")?;
        let (mount, other) = (lab.mount("one", &workspace)?, lab.mount("other", &workspace)?);
        let content: Vec<u8> = (0..8 * MIB).map(|at| ((at / 7) ^ (at >> 13)) as u8).collect();
        let original = File::options().read(true).write(true).create_new(true).open(mount.join("original"))?;
        original.write_all_at(&content[..6 * MIB], 0)?;
        original.write_all_at(&content[..1000], 7 * MIB as u64)?;
        original.set_len(8 * MIB as u64)?;
        let copy = File::options().read(true).write(true).create_new(true).open(mount.join("copy"))?;
        copy.write_all_at(b"in the way", 6 * MIB as u64 + 5)?;
        let calls = copy_all(&original, &copy, 8 * MIB)?;
        ensure!(calls < 5, "{calls} calls for {} MiB: the kernel copies by itself", content.len() / MIB);
        for path in [mount.join("copy"), other.join("copy")] {
            ensure!(fs::read(&path)? == fs::read(mount.join("original"))?, "{}", path.display());
        }
        ensure!(copy.metadata()?.blocks() == original.metadata()?.blocks(), "holes are holes in the copy");
        ensure!(seek(&copy, SeekFrom::Hole(0))? == 6 * MIB as u64);

        original.write_all_at(b"changed", 0)?;
        fs::remove_file(mount.join("original"))?;
        drop(original);
        ensure!(fs::read(other.join("copy"))?[..6 * MIB] == content[..6 * MIB], "the copy follows the original");

        let (mut from, mut to) = (0, 5);
        ensure!(copy_file_range(&copy, Some(&mut from), &copy, Some(&mut to), 10) == Err(Errno::INVAL), "ranges overlap");
        let (mut from, mut to) = (0, 9 * MIB as u64);
        ensure!(copy_file_range(&copy, Some(&mut from), &copy, Some(&mut to), 100)? == 100);
        let (mut from, mut to) = (20 * MIB as u64, 0);
        ensure!(copy_file_range(&copy, Some(&mut from), &copy, Some(&mut to), 100)? == 0, "past the end");
        let mut tail = [0; 100];
        copy.read_exact_at(&mut tail, 9 * MIB as u64)?;
        ensure!(tail == content[..100]);
        drop(copy);
        mount.unmount()?;
        other.unmount()
    })
}
