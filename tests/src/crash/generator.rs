//! Which operation comes next.

use super::{OWN, Op, Outcome, Payload, Random, SHARED, State};

/// How many files a writer keeps open.
const HANDLES: u64 = 5;
/// How long a file may get in a writer's own directory. The largest writes go to the node as a segment of their own.
const MAX_FILE_BYTES: u64 = 200 << 10;
/// Records in shared files, in bytes. These files are only ever appended to and stay within a page, so that reading one is
/// one step.
const SHARED_RECORD_BYTES: usize = 48;
const MAX_SHARED_BYTES: u64 = 4000;

/// Chooses operations for one writer. It knows what its own directory holds, where nobody else works, and so makes
/// calls there that mostly succeed; in the shared directory it does not know, and tries.
#[derive(Debug)]
pub struct Generator {
    writer: usize,
    random: Random,
    /// As if this writer were alone.
    own: State,
    open: Vec<Open>,
    count: u64,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    handle: u8,
    is_shared: bool,
}

impl Generator {
    /// Begins for a writer, which is one of `writers`.
    pub fn new(writer: usize, writers: usize, seed: u64) -> Self {
        let random = Random::new(seed.wrapping_add(writer as u64));
        Self { writer, random, own: State::prepared(writers), open: Vec::new(), count: 0 }
    }

    /// The next operation. Its outcome has to be [noted](Self::note) before the one after it is asked for.
    pub fn next_op(&mut self) -> Op {
        self.count += 1;
        loop {
            let chosen = match self.random.below(100) {
                0..14 => self.create(),
                14..22 => self.open(),
                22..40 => self.write(),
                40..54 => self.append(),
                54..60 => self.truncate(),
                60..65 => Some(Op::Mkdir(self.new_path())),
                65..67 => self.existing("/").map(Op::Rmdir),
                67..74 => self.unlink(),
                74..82 => self.rename(),
                82..86 => self.link(),
                86..91 => self.read(),
                91..96 => self.any_handle().map(|open| Op::SyncFile { handle: open.handle }),
                96..98 => Some(Op::SyncDirectory(SHARED.to_owned())),
                _ => self.existing("/").map(Op::SyncDirectory),
            };
            if let Some(op) = chosen {
                return op;
            }
        }
    }

    /// Notes what came of the last operation.
    pub fn note(&mut self, op: &Op, outcome: &Outcome) {
        let succeeded = matches!(outcome, Outcome::Done | Outcome::Bytes(_));
        if let Op::Create { path, handle, .. } | Op::Open { path, handle, .. } = op {
            self.open.retain(|open| open.handle != *handle);
            if succeeded {
                self.open.push(Open { handle: *handle, is_shared: path.starts_with(SHARED) });
            }
        }
        if succeeded {
            // What is unknown here, a file that another made, is of no use for the next choice.
            self.own.apply(self.writer, op);
        }
    }

    fn create(&mut self) -> Option<Op> {
        let path = if self.is_shared_turn() { self.shared_path() } else { self.new_path() };
        let append = path.starts_with(SHARED) || self.random.below(4) == 0;
        Some(Op::Create { path, handle: self.random.below(HANDLES) as u8, append })
    }

    fn open(&mut self) -> Option<Op> {
        let path = if self.is_shared_turn() { self.shared_path() } else { self.existing("")? };
        let append = path.starts_with(SHARED) || self.random.below(3) == 0;
        Some(Op::Open { path, handle: self.random.below(HANDLES) as u8, append })
    }

    fn write(&mut self) -> Option<Op> {
        let Open { handle, is_shared } = self.any_handle()?;
        if is_shared {
            return self.append_to(handle, is_shared);
        }
        let len_now = self.own.len(self.writer, handle)?;
        let len = if self.random.below(8) == 0 { 70_000 + self.random.below(50_000) } else { 1 + self.random.below(3_000) };
        let offset = self.random.below(len_now + 600);
        (offset + len <= MAX_FILE_BYTES).then(|| Op::Write { handle, offset, data: self.payload(len as usize) })
    }

    fn append(&mut self) -> Option<Op> {
        let Open { handle, is_shared } = self.any_handle()?;
        self.append_to(handle, is_shared)
    }

    fn append_to(&mut self, handle: u8, is_shared: bool) -> Option<Op> {
        // Of a shared file only what this writer put there is known, about half.
        let len_now = self.own.len(self.writer, handle).unwrap_or(0);
        let len = if is_shared { SHARED_RECORD_BYTES } else { 1 + self.random.below(300) as usize };
        let limit = if is_shared { MAX_SHARED_BYTES / 2 } else { MAX_FILE_BYTES };
        (len_now + len as u64 <= limit).then(|| Op::Write { handle, offset: len_now, data: self.payload(len) })
    }

    fn truncate(&mut self) -> Option<Op> {
        let Open { handle, is_shared } = self.any_handle()?;
        let len = self.own.len(self.writer, handle).filter(|_| !is_shared)?;
        Some(Op::Truncate { handle, len: self.random.below(len + 500) })
    }

    fn read(&mut self) -> Option<Op> {
        self.any_handle().map(|open| Op::Read { handle: open.handle })
    }

    fn unlink(&mut self) -> Option<Op> {
        if self.is_shared_turn() { Some(Op::Unlink(self.shared_path())) } else { self.existing("").map(Op::Unlink) }
    }

    fn rename(&mut self) -> Option<Op> {
        if self.is_shared_turn() {
            return Some(Op::Rename { from: self.shared_path(), to: self.shared_path() });
        }
        let moves_directory = self.random.below(4) == 0;
        let from = self.existing(if moves_directory { "/" } else { "" })?;
        let replaces = !moves_directory && self.random.below(2) == 0;
        let to = if replaces { self.existing("")? } else { self.new_path() };
        (!to.starts_with(&format!("{from}/"))).then_some(Op::Rename { from, to })
    }

    fn link(&mut self) -> Option<Op> {
        let from = self.existing("")?;
        Some(Op::Link { from, to: self.new_path() })
    }

    fn is_shared_turn(&mut self) -> bool {
        self.random.below(4) == 0
    }

    fn shared_path(&mut self) -> String {
        format!("{SHARED}/s{}", self.random.below(4))
    }

    /// A name in one of the writer's own directories that may or may not be taken.
    fn new_path(&mut self) -> String {
        let home = format!("{OWN}{}", self.writer);
        let in_home = self.random.below(2) == 0;
        let directory = self.existing("/").filter(|_| !in_home).unwrap_or(home);
        let number = self.random.below(12);
        format!("{directory}/n{number}")
    }

    /// One of the writer's own files, or with a slash one of the directories in its own.
    fn existing(&mut self, slash: &str) -> Option<String> {
        let home = format!("{OWN}{}/", self.writer);
        let below: Vec<String> = self.own.paths().into_iter().filter(|path| path.starts_with(&home) && *path != home).collect();
        let wanted: Vec<&str> = match slash {
            "" => below.iter().map(String::as_str).filter(|path| !path.ends_with('/')).collect(),
            _ => below.iter().filter_map(|path| path.strip_suffix(slash)).collect(),
        };
        self.random.choose(&wanted).map(|path| (*path).to_owned())
    }

    fn any_handle(&mut self) -> Option<Open> {
        self.random.choose(&self.open.clone()).copied()
    }

    fn payload(&mut self, len: usize) -> Payload {
        Payload::new(self.random.next(), len)
    }
}
