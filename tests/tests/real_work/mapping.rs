//! Files in memory.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Result, ensure};
use artifacts_tests::Mapping;

const LEN_BYTES: usize = 3 * 4096 + 100;

/// Reads a file through a mapping, changes it through another, and finds the changes with `read`.
pub(crate) fn read_and_write(mount: &Path) -> Result<()> {
    let path = mount.join("mapped");
    let mut content: Vec<u8> = (0..LEN_BYTES).map(|index| (index % 251) as u8).collect();
    fs::write(&path, &content)?;

    let reading = Mapping::new(&File::open(&path)?, LEN_BYTES, false)?;
    for (offset, &byte) in content.iter().enumerate() {
        ensure!(reading.get(offset) == byte, "byte {offset} of the mapping is wrong");
    }
    let writing = Mapping::new(&File::options().read(true).write(true).open(&path)?, LEN_BYTES, true)?;
    for offset in [0, 4095, 4096, 9000, LEN_BYTES - 1] {
        writing.set(offset, 0xEE);
        content[offset] = 0xEE;
        ensure!(reading.get(offset) == 0xEE, "two mappings of one file differ at {offset}");
    }
    writing.sync()?;
    ensure!(fs::read(&path)? == content, "what was written through the mapping is not in the file");
    drop(writing);
    // Changes that nobody syncs must reach the file too, at the latest when the mapping goes.
    let writing = Mapping::new(&File::options().read(true).write(true).open(&path)?, LEN_BYTES, true)?;
    writing.set(5000, 0xDD);
    content[5000] = 0xDD;
    drop(writing);
    ensure!(fs::read(&path)? == content, "a change through a mapping was lost with it");
    Ok(())
}
