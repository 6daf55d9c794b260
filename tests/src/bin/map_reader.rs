//! Reads the first page of a file through a shared mapping again and again, until it is ended or the page is taken
//! away, in which case the kernel ends it with SIGBUS. Prints `ready` after the first read.

use std::fs::File;

use anyhow::{Context as _, Result};
use artifacts_tests::{Mapping, time};

fn main() -> Result<()> {
    let path = std::env::args_os().nth(1).context("usage: map-reader FILE")?;
    let mapping = Mapping::new(&File::open(path)?, 4096, false)?;
    let first = mapping.get(0);
    println!("ready {first}");
    loop {
        mapping.get(0);
        time::sleep(time::Duration::from_millis(1));
    }
}
