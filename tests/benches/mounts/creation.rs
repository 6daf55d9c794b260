//! Making files on several mounts at once, each in a directory of its own and all in one.

use std::fs::{self, File};

use anyhow::{Context as _, Result};
use artifacts_tests::time::now;
use artifacts_tests::{Lab, Mount, Table};
use serde_json::{Value, json};

use crate::{MOUNTS, end, mounts};

/// So many files on each of 1 to 8 mounts.
pub(crate) fn measure(lab: &Lab, files: usize) -> Result<Value> {
    println!("\nfiles created a second, all mounts together; {files} on each mount");
    let mut table = Table::new(&["mounts", "a directory each", "one directory"]);
    let mut all = Vec::new();
    for count in (0..).map(|power| 1 << power).take_while(|&count| count <= MOUNTS) {
        let mounts = mounts(lab, &format!("creation-{count}"), count)?;
        for number in 0..count {
            fs::create_dir(mounts[0].join(format!("dir-{number}")))?;
        }
        fs::create_dir(mounts[0].join("one"))?;
        let separate = create(&mounts, files, |mount| format!("dir-{mount}"))?;
        let together = create(&mounts, files, |_| "one".to_owned())?;
        table.row(vec![count.to_string(), format!("{separate:.0}"), format!("{together:.0}")]);
        all.push(json!({ "mounts": count, "separate_per_second": separate, "one_directory_per_second": together }));
        end(mounts)?;
    }
    table.print();
    Ok(json!(all))
}

/// Files a second.
fn create(mounts: &[Mount], files: usize, dir: impl Fn(usize) -> String) -> Result<f64> {
    let start = now();
    std::thread::scope(|scope| -> Result<()> {
        let threads = mounts.iter().enumerate().map(|(number, mount)| {
            let dir = mount.join(dir(number));
            scope.spawn(move || (0..files).try_for_each(|file| File::create_new(dir.join(format!("{number}-{file}"))).map(drop)))
        });
        let threads: Vec<_> = threads.collect();
        threads.into_iter().try_for_each(|thread| Ok(thread.join().ok().context("a creator panicked")??))
    })?;
    Ok((mounts.len() * files) as f64 / start.elapsed().as_secs_f64())
}
