//! Ops in good form that no honest agent would send.

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use artifacts_core::SegmentId;
use artifacts_core::namespace::{Checksums, Errno, Extent, Ino, Mutation, Name, NewNode, Op, Position, RenameMode, SetAttr, Source};
use artifacts_core::protocol::{Answer, ClientFrame, NumberedOp, Request, ServerFrame};
use artifacts_tests::time::Duration;
use artifacts_tests::{Lab, RawStream, local};
use bytes::Bytes;
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(2 * 60);

fn name(text: &str) -> Result<Name> {
    Name::new(text.as_bytes().to_vec()).map_err(|errno| anyhow!("{text}: {errno}"))
}

fn create(parent: Ino, text: &str, ino: Ino, node: NewNode) -> Result<Mutation> {
    Ok(Mutation::Create { parent, name: name(text)?, ino, node, mode: 0o644, umask: 0, uid: 0, gid: 0 })
}

fn write(ino: Ino, position: Position, extents: Vec<Extent>) -> Mutation {
    Mutation::Write { ino, position, extents, kill_privileges: false }
}

/// A session on a new workspace with a directory and a file in it.
struct Setup {
    lab: Lab,
    stream: RawStream,
    session: String,
    dir: Ino,
    file: Ino,
    fresh: Ino,
}

impl Setup {
    fn new(scratch: &std::sync::Arc<artifacts_tests::Scratch>) -> Result<Self> {
        let lab = Lab::start(scratch, &json!({}))?;
        let address = lab.workspace("project")?;
        let (mut stream, welcome) = RawStream::open_with_ticket(lab.node.port(), &lab.ticket("tenant", "r", &address, "rw")?)?;
        let first = welcome.inodes.first;
        let (dir, file, fresh) = (Ino(first), Ino(first + 1), Ino(first + 2));
        for mutation in [
            create(Ino::ROOT, "dir", dir, NewNode::Directory)?,
            create(dir, "file", file, NewNode::File)?,
            write(file, Position::At(0), vec![Extent::inline(Bytes::from_static(b"content"))]),
        ] {
            stream.commit(mutation)?.result.map_err(|errno| anyhow!("setting up: {errno}"))?;
        }
        let session = format!("{}.{}", welcome.session, welcome.secret);
        Ok(Self { lab, stream, session, dir, file, fresh })
    }

    fn content(&mut self) -> Result<String> {
        match self.stream.request(Request::Pieces { ino: self.file, offset: 0, len: 1 << 20 })? {
            Ok(answer @ Answer::Pieces { .. }) => Ok(format!("{answer:?}")),
            other => bail!("the file cannot be read: {other:?}"),
        }
    }
}

#[test]
fn ops_that_break_a_rule_are_refused_one_by_one() -> Result<()> {
    local("ops", LIMIT, |scratch| {
        let mut setup = Setup::new(scratch)?;
        let (dir, file, fresh) = (setup.dir, setup.file, setup.fresh);
        let stored = SegmentId::from_bits(5);
        let put = setup.lab.api.with_token(&setup.session).send_bytes(
            "PUT",
            &format!("/v1/data/{stored}"),
            &[],
            Some(("application/octet-stream", vec![b's'; 1000])),
        )?;
        ensure!(put.status == 201, "{}", put.text);

        let block = |segment, block_offset, block_len, skip, len| Extent {
            len,
            source: Source::Block { segment, block_offset, block_len, checksums: Checksums::of(&[]), skip },
        };
        let inline = |len, data: &'static [u8], of: &[u8]| Extent {
            len,
            source: Source::Inline { data: Bytes::from_static(data), checksums: Checksums::of(of) },
        };
        let good = Extent::inline(Bytes::from_static(b"x"));
        let long = |bytes| Extent::inline(Bytes::from(vec![b'l'; bytes]));
        let at = |offset| Position::At(offset);
        let size = |size| Mutation::SetAttr { ino: file, set: SetAttr { size: Some(size), ..SetAttr::default() } };
        let into_itself =
            Mutation::Rename { parent: Ino::ROOT, name: name("dir")?, new_parent: dir, new_name: name("dir")?, mode: RenameMode::Replace };
        let cases = vec![
            ("a segment that does not exist", write(file, at(0), vec![block(SegmentId::from_bits(99), 0, 10, 0, 10)])),
            ("beyond the end of a segment", write(file, at(0), vec![block(stored, 995, 10, 0, 10)])),
            ("a block of no length", write(file, at(0), vec![block(stored, 0, 0, 0, 0)])),
            ("more than its block", write(file, at(0), vec![block(stored, 0, 10, 5, 10)])),
            ("too few checksums", write(file, at(0), vec![block(stored, 0, 70_000, 0, 10)])),
            ("a block past all bounds", write(file, at(0), vec![block(stored, u32::MAX, u32::MAX, u32::MAX, u32::MAX)])),
            ("a wrong checksum", write(file, at(0), vec![inline(3, b"abc", b"abd")])),
            ("fewer bytes than said", write(file, at(0), vec![inline(300, b"abc", b"abc")])),
            ("no bytes", write(file, at(0), vec![inline(0, b"", b"")])),
            ("more inline than may be", write(file, at(0), vec![long(64 * 1024 + 1)])),
            ("more extents than may be", write(file, at(0), vec![good.clone(); 1000])),
            ("past the largest file", write(file, at(u64::MAX - 1), vec![good.clone()])),
            ("past the largest file by one", write(file, at(16 << 40), vec![good.clone()])),
            ("a length past the largest file", size(u64::MAX)),
            ("a write to a directory", write(dir, at(0), vec![good.clone()])),
            ("a write to nothing", write(Ino(1 << 60), at(0), vec![good.clone()])),
            ("a punch past all bounds", Mutation::Punch { ino: file, offset: u64::MAX, len: u64::MAX, extend: true }),
            ("a number that was not leased", create(dir, "made", Ino(1 << 60), NewNode::File)?),
            ("the number of the root", create(dir, "made", Ino::ROOT, NewNode::Directory)?),
            ("a number in use", create(dir, "made", file, NewNode::File)?),
            ("a name in use", create(dir, "file", fresh, NewNode::File)?),
            ("a file in a file", create(file, "made", fresh, NewNode::File)?),
            ("a file in nothing", create(Ino(1 << 60), "made", fresh, NewNode::File)?),
            ("an endless link", create(dir, "made", fresh, NewNode::Symlink(Bytes::from(vec![b'x'; 5000])))?),
            ("an empty link", create(dir, "made", fresh, NewNode::Symlink(Bytes::new()))?),
            ("a directory into itself", into_itself),
            ("a link to a directory", Mutation::Link { ino: dir, parent: Ino::ROOT, name: name("linked")? }),
            ("the root away", Mutation::RemoveDir { parent: Ino::ROOT, name: name("dir")? }),
            (
                "an attribute without end",
                Mutation::SetXattr {
                    ino: file,
                    name: Bytes::from_static(b"user.a"),
                    value: Bytes::from(vec![0; 100_000]),
                    mode: artifacts_core::namespace::XattrMode::Any,
                },
            ),
        ];
        let before = setup.content()?;
        for (what, mutation) in cases {
            let result = setup.stream.commit(mutation).with_context(|| what.to_owned())?;
            ensure!(result.result.is_err(), "{what} was accepted: {:?}", result.result);
            ensure!(setup.content()? == before, "{what} changed the file");
        }
        let listing = setup.stream.request(Request::ReadDir { dir, after: None, limit: 100 })?;
        ensure!(matches!(&listing, Ok(Answer::Entries(entries)) if entries.len() == 1), "{listing:?}");
        let result = setup.stream.commit(create(dir, "made", fresh, NewNode::File)?)?;
        ensure!(result.result.is_ok(), "the next good op is refused: {result:?}");
        setup.stream.expect_standing()
    })
}

/// Numbers leave no gap; what comes twice happens once.
#[test]
fn gaps_in_the_numbers_are_refused_and_repetitions_harmless() -> Result<()> {
    local("gaps", LIMIT, |scratch| {
        let mut setup = Setup::new(scratch)?;
        let (dir, fresh) = (setup.dir, setup.fresh);
        // Setting up took the numbers 1 to 3.
        for seq in [5, 1_000_000, u64::MAX] {
            let result = setup.stream.commit_as(seq, create(dir, "gap", fresh, NewNode::File)?)?;
            ensure!(result.result == Err(Errno::EPROTO), "the number {seq}: {result:?}");
            let lookup = setup.stream.request(Request::Lookup { parent: dir, name: name("gap")? })?;
            ensure!(lookup == Err(Errno::ENOENT), "an op behind a gap took effect: {lookup:?}");
        }
        let made = setup.stream.commit_as(4, create(dir, "made", fresh, NewNode::File)?)?;
        ensure!(made.result.is_ok(), "the next number: {made:?}");
        for _ in 0..3 {
            let again = setup.stream.commit_as(4, create(dir, "made", fresh, NewNode::File)?)?;
            ensure!(again.result == made.result, "the same op again: {again:?}");
        }
        // Under a number that was used, another op is not looked at.
        setup.stream.commit_as(4, create(dir, "other", Ino(fresh.0 + 1), NewNode::File)?)?;
        let lookup = setup.stream.request(Request::Lookup { parent: dir, name: name("other")? })?;
        ensure!(lookup == Err(Errno::ENOENT), "a used number took effect again: {lookup:?}");
        let next = setup.stream.commit_as(5, create(dir, "next", Ino(fresh.0 + 1), NewNode::File)?)?;
        ensure!(next.result.is_ok(), "the number after: {next:?}");
        // The number 0 is no op's.
        setup.stream.commit_as(0, create(dir, "zero", Ino(fresh.0 + 2), NewNode::File)?)?;
        let lookup = setup.stream.request(Request::Lookup { parent: dir, name: name("zero")? })?;
        ensure!(lookup == Err(Errno::ENOENT), "the number 0 took effect: {lookup:?}");
        setup.stream.expect_standing()
    })
}

/// Numbers at the ends of their range in questions and ops change nothing and break nothing.
#[test]
fn extreme_numbers_are_answered() -> Result<()> {
    local("extremes", LIMIT, |scratch| {
        let mut setup = Setup::new(scratch)?;
        let (dir, file) = (setup.dir, setup.file);
        let questions = vec![
            Request::Attr { ino: Ino(0) },
            Request::Attr { ino: Ino(u64::MAX) },
            Request::ReadDir { dir, after: None, limit: u32::MAX },
            Request::ReadDir { dir, after: None, limit: 0 },
            Request::ReadDir { dir: file, after: None, limit: 1 },
            Request::Pieces { ino: file, offset: u64::MAX, len: u64::MAX },
            Request::Pieces { ino: file, offset: 0, len: u64::MAX },
            Request::Pieces { ino: dir, offset: 0, len: 1 },
            Request::ReadLink { ino: file },
            Request::Xattr { ino: file, name: Bytes::from(vec![0xff; 100_000]) },
        ];
        for question in questions {
            let what = format!("{question:?}").chars().take(80).collect::<String>();
            // Whatever the answer is, there is one.
            setup.stream.request(question).with_context(|| what.clone())?.ok();
            setup.stream.expect_standing().with_context(|| what)?;
        }
        for (seq, time) in (4u64..).zip([i64::MIN, i64::MAX, 0, -1]) {
            let set = SetAttr {
                mode: Some(u16::MAX),
                uid: Some(u32::MAX),
                gid: Some(u32::MAX),
                atime: Some(time),
                mtime: Some(time),
                ..SetAttr::default()
            };
            let op = Op { mutation: Mutation::SetAttr { ino: file, set }, time };
            setup.stream.send(&ClientFrame::Commit { acked: u64::MAX, ops: vec![NumberedOp { seq, order: Some(u64::MAX), op }] })?;
            let result = setup.stream.wait_for("a result", |frame| match frame {
                ServerFrame::Applied(results) => results.iter().find(|result| result.seq == seq).cloned(),
                _ => None,
            })?;
            if let Ok(outcome) = result.result {
                let mode = outcome.attr.map(|attr| attr.mode);
                ensure!(mode.is_none_or(|mode| mode <= 0o7777), "permission bits {mode:?}");
            }
        }
        setup.stream.send(&ClientFrame::Flush { seq: u64::MAX })?;
        setup.stream.send(&ClientFrame::Closed { inodes: vec![Ino(0), Ino(u64::MAX), file, file] })?;
        setup.stream.send(&ClientFrame::ResendDone { open: vec![Ino(u64::MAX)] })?;
        setup.stream.send(&ClientFrame::FenceConfirmed)?;
        setup.stream.expect_standing()?;
        setup.content().map(drop)
    })
}
