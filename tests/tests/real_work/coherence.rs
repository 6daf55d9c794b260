//! Two mounts of one workspace: once a call returns on one, the next call on the other sees its effect.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, bail, ensure};
use artifacts_tests::time::Duration;
use artifacts_tests::{Lab, mounted};
use rustix::fs::{Advice, fadvise};
use serde_json::json;

const ROUNDS: usize = 350;
const RECORDS: usize = 2_000;
const RECORD_BYTES: usize = 100;
const REPLACEMENTS: usize = 1_000;
const WRITE_ROUNDS: usize = 40;

#[test]
fn each_call_sees_what_returned_on_the_other_mount() -> Result<()> {
    mounted("coherence", Duration::from_secs(10 * 60), |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let workspace = lab.workspace("shared")?;
        let (one, other) = (lab.mount("one", &workspace)?, lab.mount("other", &workspace)?);
        for round in 0..ROUNDS {
            let (writer, reader) = if round % 2 == 0 { (&one, &other) } else { (&other, &one) };
            exchange(round, writer.path(), reader.path()).with_context(|| format!("round {round}"))?;
        }
        one.unmount()?;
        other.unmount()
    })
}

/// One change after the other, each looked at from the other side at once. Names repeat from round to round, so
/// that whatever a mount remembers of them is wrong.
fn exchange(round: usize, writer: &Path, reader: &Path) -> Result<()> {
    let (mine, theirs) = (writer.join("file"), reader.join("file"));
    let absent = |path: &Path| matches!(fs::metadata(path), Err(error) if error.kind() == ErrorKind::NotFound);
    let names = |dir: &Path| -> Result<Vec<String>> {
        let mut names =
            fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect::<Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    };

    ensure!(absent(&theirs), "create: it is there before it was made");
    let text = format!("round {round}: {}", "x".repeat(round * 37 % 5000));
    fs::write(&mine, &text)?;
    ensure!(fs::read_to_string(&theirs).context("create")? == text, "create: other content");
    ensure!(names(reader)? == ["file"], "create: not in the listing");

    let open = File::open(&theirs)?;
    let mut appending = OpenOptions::new().append(true).open(&mine)?;
    appending.write_all(b"appended")?;
    let text = text + "appended";
    ensure!(fs::metadata(&theirs)?.len() == text.len() as u64, "append: other length");
    let mut bytes = vec![0; text.len()];
    open.read_exact_at(&mut bytes, 0).context("append: read through the open descriptor")?;
    ensure!(bytes == text.as_bytes(), "append: other content through the open descriptor");

    OpenOptions::new().write(true).open(&mine)?.write_all_at(b"OVER", 2)?;
    open.read_exact_at(&mut bytes[..8], 0)?;
    ensure!(&bytes[..8] == format!("ro{}{}", "OVER", &text[6..8]).as_bytes(), "overwrite: got {:?}", String::from_utf8_lossy(&bytes[..8]));

    OpenOptions::new().write(true).open(&mine)?.set_len(3)?;
    ensure!(fs::metadata(&theirs)?.len() == 3, "truncate: other length");
    ensure!(fs::read(&theirs)? == b"roO", "truncate: other content");
    ensure!(open.metadata()?.len() == 3, "truncate: other length through the open descriptor");

    fs::rename(&mine, writer.join("renamed"))?;
    ensure!(absent(&theirs), "rename: the old name is still there");
    ensure!(fs::read(reader.join("renamed"))? == b"roO", "rename: other content under the new name");
    ensure!(names(reader)? == ["renamed"], "rename: not in the listing");

    fs::create_dir(writer.join("dir"))?;
    fs::rename(writer.join("renamed"), writer.join("dir/inside"))?;
    ensure!(names(&reader.join("dir"))? == ["inside"], "mkdir: not what the listing says");
    fs::remove_file(writer.join("dir/inside"))?;
    ensure!(absent(&reader.join("dir/inside")), "unlink: still there");
    match fs::remove_dir(reader.join("dir")) {
        Ok(()) => {}
        Err(error) => bail!("unlink: the directory cannot be removed from the other side: {error}"),
    }
    ensure!(absent(&writer.join("dir")), "rmdir: still there");
    Ok(())
}

/// What one mount puts in the place of a file by rename, as editors do, is there at every moment for the other: the old one
/// or the new one, and never none.
#[test]
fn a_name_that_is_replaced_is_never_missing() -> Result<()> {
    mounted("replaced", Duration::from_secs(5 * 60), |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let workspace = lab.workspace("shared")?;
        let (one, other) = (lab.mount("one", &workspace)?, lab.mount("other", &workspace)?);
        fs::write(one.join("file"), "0")?;
        let done = AtomicBool::new(false);
        let (new, file, theirs) = (one.join("new"), one.join("file"), other.join("file"));
        std::thread::scope(|scope| -> Result<()> {
            let replacer = scope.spawn(|| -> Result<()> {
                let replaced = (1..=REPLACEMENTS).try_for_each(|number| -> Result<()> {
                    fs::write(&new, number.to_string())?;
                    Ok(fs::rename(&new, &file)?)
                });
                done.store(true, Ordering::SeqCst);
                replaced
            });
            let (mut looks, mut last) = (0, 0);
            while !done.load(Ordering::SeqCst) {
                let seen: usize = fs::read_to_string(&theirs).with_context(|| format!("look {looks}, after {last}"))?.parse()?;
                ensure!(seen >= last, "{seen} was seen after {last}");
                fs::metadata(&theirs).with_context(|| format!("stat {looks}"))?;
                (looks, last) = (looks + 1, seen);
            }
            println!("replaced: looked {looks} times at {REPLACEMENTS} files under one name");
            replacer.join().ok().context("the replacer panicked")?
        })?;
        one.unmount()?;
        other.unmount()
    })
}

/// A line of [`RECORD_BYTES`], less its end.
fn record(writer: &str, number: usize) -> String {
    format!("{writer} {number} {}", "z".repeat(RECORD_BYTES)).chars().take(RECORD_BYTES - 1).collect()
}

/// "`O_APPEND` never loses or tears a record": two mounts append to one file at the same time.
#[test]
fn appends_of_two_mounts_neither_tear_nor_vanish() -> Result<()> {
    mounted("appends", Duration::from_secs(5 * 60), |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let workspace = lab.workspace("shared")?;
        let (one, other) = (lab.mount("one", &workspace)?, lab.mount("other", &workspace)?);
        File::create(one.join("log"))?;
        std::thread::scope(|scope| -> Result<()> {
            let append = |writer: &'static str, path: std::path::PathBuf| -> Result<()> {
                let mut log = OpenOptions::new().append(true).open(path)?;
                for number in 0..RECORDS {
                    log.write_all(format!("{}\n", record(writer, number)).as_bytes())?;
                }
                Ok(())
            };
            let (first, second) = (one.join("log"), other.join("log"));
            let threads = [scope.spawn(move || append("one", first)), scope.spawn(move || append("other", second))];
            threads.into_iter().try_for_each(|thread| thread.join().ok().context("an appender panicked")?)
        })?;
        let fresh = lab.mount("fresh", &workspace)?;
        for mount in [&fresh, &one, &other] {
            let text = fs::read_to_string(mount.join("log"))?;
            for writer in ["one", "other"] {
                let of_writer: Vec<&str> = text.lines().filter(|line| line.split(' ').next() == Some(writer)).collect();
                let expected = (0..RECORDS).map(|number| record(writer, number));
                let differs = expected.enumerate().find(|(number, record)| of_writer.get(*number) != Some(&record.as_str()));
                ensure!(
                    differs.is_none() && of_writer.len() == RECORDS,
                    "under {} records of {writer} are lost, torn or out of order: {differs:?} among {} is {:?}",
                    mount.path().display(),
                    of_writer.len(),
                    differs.as_ref().and_then(|(number, _)| of_writer.get(*number)),
                );
            }
            ensure!(text.lines().count() == 2 * RECORDS, "there are {} lines", text.lines().count());
        }
        fresh.unmount()?;
        one.unmount()?;
        other.unmount()
    })
}

/// "Two writers of one file never interleave inside one `write`": neither at the edges of pages, nor when what they
/// write is larger than what travels inside one op.
#[test]
fn writes_of_two_mounts_never_interleave() -> Result<()> {
    mounted("interleave", Duration::from_secs(5 * 60), |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let workspace = lab.workspace("shared")?;
        let (one, other) = (lab.mount("one", &workspace)?, lab.mount("other", &workspace)?);
        fs::write(one.join("file"), vec![b'.'; 300_000])?;
        for (offset, len) in [(4000, 200), (100, 20_000), (4096, 4096), (5, 100_000)] {
            for round in 0..WRITE_ROUNDS {
                std::thread::scope(|scope| -> Result<()> {
                    let write = |fill: u8, path: std::path::PathBuf| -> Result<()> {
                        let file = OpenOptions::new().write(true).open(path)?;
                        // Pages that are not in the cache are where a kernel may cut a write in two.
                        fadvise(&file, 0, None, Advice::DontNeed)?;
                        let written = file.write_at(&vec![fill; len], offset)?;
                        ensure!(written == len, "a write of {len} bytes was cut to {written}");
                        Ok(())
                    };
                    let (first, second) = (one.join("file"), other.join("file"));
                    let threads = [scope.spawn(move || write(b'1', first)), scope.spawn(move || write(b'2', second))];
                    threads.into_iter().try_for_each(|thread| thread.join().ok().context("a writer panicked")?)
                })?;
                for mount in [&one, &other] {
                    let bytes = &fs::read(mount.join("file"))?[offset as usize..][..len];
                    let change = bytes.windows(2).position(|pair| pair[0] != pair[1]);
                    ensure!(
                        change.is_none() && bytes[0] != b'.',
                        "round {round}: {len} bytes at {offset} under {} begin with {:?} and change after {change:?}",
                        mount.path().display(),
                        bytes[0] as char
                    );
                }
            }
        }
        one.unmount()?;
        other.unmount()
    })
}
