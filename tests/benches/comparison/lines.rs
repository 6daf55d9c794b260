//! What is measured: the same calls in the same order on every contestant.
//!
//! A step is done by one contestant after the other before the next step begins, so that whatever else the machine
//! does hits all alike. What a step leaves to be done later is waited for outside of the measured time.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::now;
use artifacts_tests::{Scratch, Shell, SourceTree};

use crate::contestant::Appendfsync;
use crate::scale::Scale;

const MIB: usize = 1 << 20;
const BLOCK_BYTES: usize = 4096;
/// The file in which single blocks are overwritten, in blocks.
const OVERWRITTEN_BLOCKS: usize = 4096;

/// What a line's numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    PerSecond,
    MibPerSecond,
    Seconds,
}

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    pub(crate) what: &'static str,
    pub(crate) unit: Unit,
    /// How many times as fast as JuiceFS it is meant to be.
    pub(crate) wanted: f64,
    /// How many times as fast as the floor, where that is measured.
    pub(crate) wanted_of_floor: Option<f64>,
    /// How many times as fast it is to be encrypted at rest as it is without.
    pub(crate) wanted_sealed: Option<f64>,
    measure: fn(&Work) -> Result<f64>,
}

/// What one contestant does before the next one does the same.
pub(crate) enum Step {
    Measure(Line),
    /// A new mount with nothing cached.
    Refresh,
    /// What Redis' acknowledgements mean from here on.
    Appendfsync(Appendfsync),
    /// Makes or removes what lines need, unmeasured.
    Prepare(fn(&Work) -> Result<()>),
    /// The same, for lines that the floor has no part in.
    PrepareDurable(fn(&Work) -> Result<()>),
}

/// One round of everything.
pub(crate) fn steps() -> Vec<Step> {
    use Unit::{MibPerSecond, PerSecond, Seconds};
    let (wanted_of_floor, wanted_sealed) = (Some(0.7), Some(0.85));
    let small = |what, measure| Step::Measure(Line { what, unit: PerSecond, wanted: 4.0, wanted_of_floor, wanted_sealed, measure });
    let tree = |what, measure| Step::Measure(Line { what, unit: Seconds, wanted: 2.0, wanted_of_floor, wanted_sealed: None, measure });
    let stream =
        |what, measure| Step::Measure(Line { what, unit: MibPerSecond, wanted: 1.0, wanted_of_floor: None, wanted_sealed, measure });
    let line =
        |what, measure| Step::Measure(Line { what, unit: PerSecond, wanted: 1.0, wanted_of_floor: None, wanted_sealed: None, measure });
    vec![
        small("create, write 1 KiB, close", Work::create),
        small("stat", Work::stat),
        Step::Refresh,
        small("open and read, cold", Work::read),
        small("open and read, warm", Work::read),
        Step::Refresh,
        small("stat, cold", Work::stat),
        small("rename", Work::rename),
        small("unlink", Work::unlink),
        tree("git clone", Work::git_clone),
        tree("tar x", Work::tar_x),
        Step::Prepare(Work::remove_trees),
        stream("sequential write and fsync", Work::write_large),
        Step::Refresh,
        stream("sequential read, cold", Work::read_large),
        Step::Refresh,
        line("random read of 4 KiB, cold", Work::read_blocks),
        Step::PrepareDurable(Work::prepare_blocks),
        line("overwrite 4 KiB and fsync", Work::overwrite_blocks),
        line("append 100 bytes and fsync", Work::append),
        Step::Appendfsync(Appendfsync::Always),
        line("overwrite 4 KiB and fsync, appendfsync always", Work::overwrite_blocks),
        line("append 100 bytes and fsync, appendfsync always", Work::append),
        Step::Appendfsync(Appendfsync::Everysec),
        Step::Prepare(Work::remove),
    ]
}

/// What steps need to know.
pub(crate) struct Work {
    dir: PathBuf,
    files: usize,
    large_mib: usize,
    reads: usize,
    fsyncs: usize,
    sources: Arc<Sources>,
}

/// A repository and an archive of its files on the local disk.
pub(crate) struct Sources {
    scratch: Arc<Scratch>,
    tree: SourceTree,
    archive: String,
}

impl Sources {
    /// Makes both.
    pub(crate) fn make(scratch: &Arc<Scratch>) -> Result<Self> {
        let tree = SourceTree::make(scratch, "sources")?;
        let archive = scratch.join("sources.tar").display().to_string();
        Shell::new(scratch, tree.path()).run("tar", &["-c", "--exclude=.git", "-f", &archive, "."])?;
        Ok(Self { scratch: Arc::clone(scratch), tree, archive })
    }

    pub(crate) fn files(&self) -> usize {
        self.tree.files()
    }
}

impl Work {
    /// That of one round, in a new directory below `root`.
    pub(crate) fn new(root: &Path, round: usize, scale: Scale, sources: &Arc<Sources>) -> Result<Self> {
        let dir = root.join(format!("round-{round}"));
        fs::create_dir(&dir)?;
        fs::create_dir(dir.join("small"))?;
        Ok(Self {
            dir,
            files: scale.of(5_000, 100),
            large_mib: scale.of(1024, 16),
            reads: scale.of(4_000, 200),
            fsyncs: scale.of(400, 40),
            sources: Arc::clone(sources),
        })
    }

    /// For people.
    pub(crate) fn describe(&self) -> String {
        let (files, large, reads, fsyncs) = (self.files, self.large_mib, self.reads, self.fsyncs);
        format!(
            "{files} files of 1 KiB in one directory; one file of {large} MiB; {reads} random reads in it; {fsyncs} fsyncs; a repository of {} files",
            self.sources.files()
        )
    }

    fn small(&self, number: usize) -> PathBuf {
        self.dir.join(format!("small/file-{number}"))
    }

    fn renamed(&self, number: usize) -> PathBuf {
        self.dir.join(format!("small/renamed-{number}"))
    }

    fn large(&self) -> PathBuf {
        self.dir.join("large")
    }

    /// Calls a second.
    fn each(count: usize, work: impl FnMut(usize) -> std::io::Result<()>) -> Result<f64> {
        let start = now();
        (0..count).try_for_each(work)?;
        Ok(per_second(count, start))
    }

    fn create(&self) -> Result<f64> {
        let mut content = [0; 1024];
        Self::each(self.files, |number| {
            fill(&mut content, number);
            fs::write(self.small(number), content)
        })
    }

    fn stat(&self) -> Result<f64> {
        Self::each(self.files, |number| fs::metadata(self.small(number)).map(drop))
    }

    fn read(&self) -> Result<f64> {
        let (mut right, mut read) = ([0; 1024], Vec::new());
        let rate = Self::each(self.files, |number| {
            read.clear();
            File::open(self.small(number))?.read_to_end(&mut read).map(drop)
        })?;
        fill(&mut right, self.files - 1);
        ensure!(read == right, "the last file reads otherwise");
        Ok(rate)
    }

    fn rename(&self) -> Result<f64> {
        Self::each(self.files, |number| fs::rename(self.small(number), self.renamed(number)))
    }

    fn unlink(&self) -> Result<f64> {
        Self::each(self.files, |number| fs::remove_file(self.renamed(number)))
    }

    fn git_clone(&self) -> Result<f64> {
        let url = format!("file://{}", self.sources.tree.path().display());
        let start = now();
        Shell::new(&self.sources.scratch, &self.dir).run("git", &["clone", "--quiet", &url, "clone"])?;
        Ok(start.elapsed().as_secs_f64())
    }

    fn tar_x(&self) -> Result<f64> {
        let dir = self.dir.join("unpacked");
        fs::create_dir(&dir)?;
        let start = now();
        Shell::new(&self.sources.scratch, dir).run("tar", &["-x", "-f", &self.sources.archive])?;
        Ok(start.elapsed().as_secs_f64())
    }

    fn remove_trees(&self) -> Result<()> {
        fs::remove_dir_all(self.dir.join("clone"))?;
        Ok(fs::remove_dir_all(self.dir.join("unpacked"))?)
    }

    fn write_large(&self) -> Result<f64> {
        let mut block = vec![0; MIB];
        let start = now();
        let mut file = File::create(self.large())?;
        for number in 0..self.large_mib {
            fill(&mut block, number);
            file.write_all(&block)?;
        }
        file.sync_all()?;
        Ok(per_second(self.large_mib, start))
    }

    fn read_large(&self) -> Result<f64> {
        let mut block = vec![0; MIB];
        let start = now();
        let mut file = File::open(self.large())?;
        for _ in 0..self.large_mib {
            file.read_exact(&mut block)?;
        }
        let rate = per_second(self.large_mib, start);
        let mut right = vec![0; MIB];
        fill(&mut right, self.large_mib - 1);
        ensure!(block == right, "the last MiB reads otherwise");
        Ok(rate)
    }

    fn read_blocks(&self) -> Result<f64> {
        let file = File::open(self.large())?;
        let blocks = self.large_mib * MIB / BLOCK_BYTES;
        let mut block = [0; BLOCK_BYTES];
        Self::each(self.reads, |number| file.read_exact_at(&mut block, offset(number, blocks)))
    }

    fn prepare_blocks(&self) -> Result<()> {
        fs::remove_file(self.large())?;
        let mut file = File::create(self.dir.join("blocks"))?;
        file.write_all(&vec![b'b'; OVERWRITTEN_BLOCKS * BLOCK_BYTES])?;
        Ok(file.sync_all()?)
    }

    fn overwrite_blocks(&self) -> Result<f64> {
        let file = OpenOptions::new().write(true).open(self.dir.join("blocks"))?;
        let mut block = [0; BLOCK_BYTES];
        Self::each(self.fsyncs, |number| {
            fill(&mut block, number);
            file.write_all_at(&block, offset(number, OVERWRITTEN_BLOCKS))?;
            file.sync_data()
        })
    }

    fn append(&self) -> Result<f64> {
        let mut file = OpenOptions::new().append(true).create(true).open(self.dir.join("log"))?;
        Self::each(self.fsyncs, |_| {
            file.write_all(&[b'l'; 100])?;
            file.sync_data()
        })
    }

    fn remove(&self) -> Result<()> {
        Ok(fs::remove_dir_all(&self.dir)?)
    }
}

impl Line {
    /// Measures it once.
    pub(crate) fn measure(&self, work: &Work) -> Result<f64> {
        (self.measure)(work).context(self.what)
    }
}

fn per_second(count: usize, start: Instant) -> f64 {
    count as f64 / start.elapsed().as_secs_f64()
}

/// Content that differs from block to block and does not repeat within one, so that nothing can be saved on it.
fn fill(block: &mut [u8], number: usize) {
    let mut state = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for chunk in block.chunks_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        chunk.copy_from_slice(&state.to_le_bytes()[..chunk.len()]);
    }
}

/// The place of a block, in an order that looks like none and is the same for all.
fn offset(number: usize, blocks: usize) -> u64 {
    let mixed = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    mixed % blocks as u64 * BLOCK_BYTES as u64
}
