//! The file system exerciser: random reads, writes, mappings, truncations, holes and copies of one file, every byte
//! compared with what it must be.
//!
//! What a file holds after so many operations follows from the seed alone. So the same operations are done on the
//! local disk, and the file in the mount must be the same to the last byte: in the mount that wrote it, in the mount
//! of another agent, and again after the exerciser went on there.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::Tool;

use crate::place::{Place, suite};

/// How many operations in all, of a bounded and of a full run.
const OPERATIONS: (usize, usize) = (10_000, 1_000_000);

/// Every call that changes or reads a file, and what is done to the kernel's pages meanwhile.
const WEIGHTS: &str = "[weights]\nclose_open = 1\nread = 10\nwrite = 10\nmapread = 10\nmapwrite = 10\ninvalidate = 1\ntruncate = 4\n\
    fsync = 0.3\nfdatasync = 0.3\npunch_hole = 3\nsendfile = 2\nposix_fadvise = 1\n";

/// One file and the operations on it.
#[derive(Clone, Copy)]
struct Sequence {
    name: &'static str,
    seed: u64,
    /// How long the file gets at most, and how long an operation is, in bytes.
    file_bytes: u64,
    operation_bytes: u64,
    /// Operations come in multiples of this many bytes.
    align: u64,
    /// What part of all operations, in percent.
    percent: usize,
    /// Whether ranges are copied inside the file. The exerciser cannot go on in the middle of such a sequence: it does
    /// the copies that it should only reckon with.
    copies: bool,
}

const SEQUENCES: [Sequence; 6] = [
    Sequence { name: "small", seed: 1, file_bytes: 256 << 10, operation_bytes: 64 << 10, align: 1, percent: 20, copies: false },
    Sequence { name: "other", seed: 2, file_bytes: 256 << 10, operation_bytes: 64 << 10, align: 1, percent: 20, copies: false },
    Sequence { name: "pages", seed: 3, file_bytes: 512 << 10, operation_bytes: 64 << 10, align: 4096, percent: 15, copies: false },
    Sequence { name: "tiny", seed: 4, file_bytes: 16 << 10, operation_bytes: 6 << 10, align: 1, percent: 15, copies: false },
    Sequence { name: "large", seed: 5, file_bytes: 4 << 20, operation_bytes: 1 << 20, align: 1, percent: 10, copies: false },
    Sequence { name: "copies", seed: 6, file_bytes: 512 << 10, operation_bytes: 64 << 10, align: 1, percent: 20, copies: true },
];

#[test]
fn fsx() -> Result<()> {
    suite("fsx", |place, scale| {
        let program = Tool::FSX.path()?.display().to_string();
        let (local, mount) = (place.local("fsx"), place.dir("fsx")?);
        fs::create_dir(&local)?;
        let total = scale.pick(OPERATIONS.0, OPERATIONS.1);
        let runs: Vec<Run> = SEQUENCES.iter().map(|&sequence| Run::new(sequence, total, &program, &local)).collect::<Result<_>>()?;

        for half in [Half::First, Half::Second] {
            all(&runs, |run| run.exercise(place, &mount, half))?;
            all(&runs, |run| run.expect_right(&mount, half).context("in the mount that wrote it"))?;
            place.remount()?;
            all(&runs, |run| run.expect_right(&mount, half).context("in another mount"))?;
        }
        println!("fsx: {} operations in {} files, across two remounts", runs.iter().map(|run| run.operations).sum::<usize>(), runs.len());
        Ok(())
    })
}

/// Before and after the remount in the middle.
#[derive(Debug, Clone, Copy)]
enum Half {
    First,
    Second,
}

struct Run {
    sequence: Sequence,
    operations: usize,
    program: String,
    config: String,
    local: std::path::PathBuf,
}

impl Run {
    fn new(sequence: Sequence, total: usize, program: &str, local: &Path) -> Result<Self> {
        let config = local.join(format!("{}.toml", sequence.name));
        // It takes the refusal of an empty range for a missing posix_fallocate. So no operation is empty; and where
        // it aligns, it would align that one to nothing.
        let fallocate = if sequence.align == 1 { "posix_fallocate = 2\n" } else { "" };
        let copies = if sequence.copies { "copy_file_range = 3\n" } else { "" };
        let (flen, max, align) = (sequence.file_bytes, sequence.operation_bytes, sequence.align);
        fs::write(&config, format!("flen = {flen}\n[opsize]\nmin = {align}\nmax = {max}\nalign = {align}\n{WEIGHTS}{fallocate}{copies}"))?;
        let operations = total * sequence.percent / 100;
        Ok(Self { sequence, operations, program: program.to_owned(), config: config.display().to_string(), local: local.to_owned() })
    }

    /// Does the operations of `half` in the mount, and what leads to the same on the local disk.
    fn exercise(&self, place: &Place<'_>, mount: &Path, half: Half) -> Result<()> {
        let (begin, end) = self.range(half);
        if !self.sequence.copies {
            // All but the last are only reckoned with.
            self.run(place, &self.local, end, end)?;
        } else if !self.local.join(self.sequence.name).exists() {
            self.run(place, &self.local, 1, end)?;
        }
        self.run(place, mount, begin, end).with_context(|| format!("fsx {}, {half:?} half", self.sequence.name))
    }

    /// The first and the last operation. A sequence with copies is done from the start each time, the second time on
    /// what the first has left.
    fn range(&self, half: Half) -> (usize, usize) {
        match half {
            Half::First => (1, self.operations / 2),
            Half::Second if self.sequence.copies => (1, self.operations / 2),
            Half::Second => (self.operations / 2 + 1, self.operations),
        }
    }

    fn run(&self, place: &Place<'_>, dir: &Path, begin: usize, end: usize) -> Result<()> {
        let (begin, end, seed) = (begin.to_string(), end.to_string(), self.sequence.seed.to_string());
        let artifacts = self.local.display().to_string();
        let arguments = ["-q", "-f", &self.config, "-S", &seed, "-b", &begin, "-N", &end, "-P", &artifacts, self.sequence.name];
        place.shell(dir).run(&self.program, &arguments).map(drop)
    }

    fn expect_right(&self, mount: &Path, half: Half) -> Result<()> {
        let name = self.sequence.name;
        let (right, found) = (fs::read(self.local.join(name))?, fs::read(mount.join(name))?);
        ensure!(right.len() == found.len(), "{name}, {half:?} half: {} bytes long and not {}", found.len(), right.len());
        let differs = right.iter().zip(&found).position(|(right, found)| right != found);
        ensure!(differs.is_none(), "{name}, {half:?} half: differs from byte {differs:?} on");
        Ok(())
    }
}

/// Does something for all runs at the same time.
fn all(runs: &[Run], work: impl Fn(&Run) -> Result<()> + Sync) -> Result<()> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = runs.iter().map(|run| scope.spawn(|| work(run))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().ok().context("a thread panicked")?)
    })
}
