//! Files over HTTP beside mounts.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, ensure};
use artifacts_tests::time::Duration;
use artifacts_tests::{Lab, mounted};
use serde_json::json;

use super::http::{get, put, text};

const HANG_GUARD: Duration = Duration::from_secs(5 * 60);
const ROUNDS: usize = 20;
const PARALLEL: usize = 8;

#[test]
fn what_is_put_is_on_every_mount_at_once_and_what_a_mount_wrote_is_got_at_once() -> Result<()> {
    mounted("files-coherent", HANG_GUARD, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let (api, address) = (&lab.api, lab.workspace("shared")?);
        let mut mounts = vec![lab.mount("one", &address)?];
        // First beside a mount that is alone and decides everything by itself, then beside two.
        for phase in 0..2 {
            fs::create_dir(mounts[0].join(format!("dir{phase}")))?;
            for round in 0..ROUNDS {
                let (path, expected) = (format!("dir{phase}/f{}", round % 3), text(100 + 9_000 * round, round));
                let mount = &mounts[round % mounts.len()];
                fs::write(mount.join(&path), &expected)?;
                let got = get(api, &address, &path, &[])?;
                ensure!(got.text == expected, "{path}: GET gives {} bytes of {}", got.text.len(), expected.len());
                let (path, expected) = (format!("dir{phase}/g{}", round % 3), text(70 + 11_000 * round, round + 1_000));
                put(api, &address, &path, expected.as_bytes(), &[])?.success()?;
                for mount in &mounts {
                    ensure!(fs::read_to_string(mount.join(&path))? == expected, "{path} is old on {}", mount.path().display());
                    ensure!(fs::metadata(mount.join(&path))?.len() == expected.len() as u64, "{path} has its old length");
                }
            }
            let names: Vec<_> = fs::read_dir(mounts[0].join(format!("dir{phase}")))?.collect::<Result<_, _>>()?;
            ensure!(names.len() == 6, "{names:?}");
            if phase == 0 {
                mounts.push(lab.mount("other", &address)?);
            }
        }
        // Who has a file open goes on with it.
        let mut reader = File::open(mounts[0].join("dir0/g0"))?;
        let mut before = String::new();
        reader.read_to_string(&mut before)?;
        put(api, &address, "dir0/g0", b"replaced", &[])?.success()?;
        reader.seek(SeekFrom::Start(0))?;
        let mut after = String::new();
        reader.read_to_string(&mut after)?;
        ensure!(before == after && !before.is_empty(), "an open file has changed under its reader");
        // Appending to what was put.
        OpenOptions::new().append(true).open(mounts[1].join("dir0/g0"))?.write_all(b", appended")?;
        ensure!(get(api, &address, "dir0/g0", &[])?.text == "replaced, appended", "an append is not seen");
        ensure!(api.send("DELETE", &format!("/v1/workspaces/{address}/files/dir0?recursive=true"), None)?.status == 204, "not deleted");
        for mount in &mounts {
            ensure!(!mount.join("dir0").exists(), "a removed directory is still there");
        }
        Ok(())
    })
}

#[test]
fn of_many_that_are_put_at_one_path_at_once_one_is_left_whole_and_nobody_sees_a_mixture() -> Result<()> {
    mounted("files-parallel", HANG_GUARD, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let (api, address) = (&lab.api, lab.workspace("shared")?);
        let mount = lab.mount("one", &address)?;
        let contents: Vec<String> = (0..PARALLEL).map(|number| text((1 << 20) + 1_000 * number, number)).collect();
        put(api, &address, "f", contents[0].as_bytes(), &[])?.success()?;
        let is_done = AtomicBool::new(false);
        std::thread::scope(|scope| -> Result<()> {
            let watching = scope.spawn(|| -> Result<usize> {
                let mut seen = 0;
                while !is_done.load(Ordering::Relaxed) {
                    let read = fs::read_to_string(mount.join("f"))?;
                    ensure!(contents.contains(&read), "a mount read {} bytes of a mixture", read.len());
                    let got = get(api, &address, "f", &[])?;
                    ensure!(contents.contains(&got.text), "GET gave {} bytes of a mixture", got.text.len());
                    seen += 1;
                }
                Ok(seen)
            });
            let putting: Vec<_> = contents
                .iter()
                .map(|content| {
                    let address = &address;
                    scope.spawn(move || -> Result<()> {
                        for _ in 0..4 {
                            put(api, address, "f", content.as_bytes(), &[])?.success()?;
                        }
                        Ok(())
                    })
                })
                .collect();
            let put: Result<Vec<()>> =
                putting.into_iter().map(|thread| thread.join().unwrap_or_else(|_| anyhow::bail!("a thread"))).collect();
            is_done.store(true, Ordering::Relaxed);
            let seen = watching.join().unwrap_or_else(|_| anyhow::bail!("the watcher"))?;
            println!("looked {seen} times meanwhile");
            put.map(drop)
        })?;
        ensure!(contents.contains(&fs::read_to_string(mount.join("f"))?), "what is left is none of them");
        ensure!(fs::read_dir(mount.path())?.count() == 1, "something else is left");
        Ok(())
    })
}
