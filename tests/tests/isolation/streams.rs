//! What a session may not do although its stream is open: change anything when it may only read, reach beyond its
//! directory, use inode numbers of others.

use anyhow::{Result, ensure};
use artifacts_core::namespace::{Errno, Ino, Mutation, NewNode, RenameMode};
use artifacts_core::protocol::Request;
use artifacts_tests::time::Duration;
use artifacts_tests::{Lab, RawStream, local};
use serde_json::json;

use crate::namespace::{Numbers, create, dump, every_mutation, expect_errno, name, write};

const LIMIT: Duration = Duration::from_secs(2 * 60);

/// "`ro` is enforced by the control nodes, not by the mount."
#[test]
fn a_reader_changes_nothing_whatever_its_agent_sends() -> Result<()> {
    local("reader", LIMIT, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let address = lab.workspace("project")?;
        let (mut writer, welcome) = RawStream::open_with_ticket(lab.node.port(), &lab.ticket("writer", "r", &address, "rw")?)?;
        let mut numbers = Numbers(welcome.inodes);
        let file = create(&mut writer, &mut numbers, Ino::ROOT, "file", NewNode::File)?;
        writer.commit(write(file, b"content"))?;
        let before = dump(&mut writer, Ino::ROOT)?;

        let (mut reader, welcome) = RawStream::open_with_ticket(lab.node.port(), &lab.ticket("reader", "r", &address, "ro")?)?;
        ensure!(dump(&mut reader, Ino::ROOT)? == before, "the reader sees something else");
        let fresh = Ino(welcome.inodes.first);
        for (what, mutation) in every_mutation(Ino::ROOT, file, "file", fresh)? {
            let result = reader.commit(mutation)?;
            expect_errno(what, &result.result, &[Errno::EROFS, Errno::EACCES])?;
            ensure!(dump(&mut writer, Ino::ROOT)? == before, "{what} by a reader changed something");
        }
        reader.expect_standing()
    })
}

/// A ticket for a subpath sees its directory as the root, and nothing else exists for it.
#[test]
fn a_subpath_is_all_there_is() -> Result<()> {
    local("subpath", LIMIT, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let address = lab.workspace("project")?;
        let port = lab.node.port();
        let (mut owner, welcome) = RawStream::open_with_ticket(port, &lab.ticket("owner", "r", &address, "rw")?)?;
        let mut numbers = Numbers(welcome.inodes);
        let inside = create(&mut owner, &mut numbers, Ino::ROOT, "inside", NewNode::Directory)?;
        let outside = create(&mut owner, &mut numbers, Ino::ROOT, "outside", NewNode::Directory)?;
        let mine = create(&mut owner, &mut numbers, inside, "mine", NewNode::File)?;
        let secret = create(&mut owner, &mut numbers, outside, "secret", NewNode::File)?;
        owner.commit(write(secret, b"secret"))?;
        let before = dump(&mut owner, Ino::ROOT)?;

        let body = json!({ "workspace": address, "mode": "rw", "ttl_seconds": 60, "subpath": "inside" });
        let (mut guest, welcome) = RawStream::open_with_ticket(port, &lab.ticket_with("guest", "r", &body)?)?;
        ensure!(welcome.root == inside, "the root of the subpath is {:?}", welcome.root);
        let seen = dump(&mut guest, welcome.root)?;
        ensure!(seen.keys().eq(["", "/mine"]), "the guest sees {:?}", seen.keys());

        let lookup = |parent, text: &str| -> Result<Request> { Ok(Request::Lookup { parent, name: name(text)? }) };
        let questions = [
            ("lookup in the root", lookup(Ino::ROOT, "outside")?),
            ("lookup outside", lookup(outside, "secret")?),
            ("attributes of the root", Request::Attr { ino: Ino::ROOT }),
            ("attributes outside", Request::Attr { ino: secret }),
            ("open outside", Request::Open { ino: secret }),
            ("readlink outside", Request::ReadLink { ino: secret }),
            ("listing of the root", Request::ReadDir { dir: Ino::ROOT, after: None, limit: 100 }),
            ("listing outside", Request::ReadDir { dir: outside, after: None, limit: 100 }),
            ("data outside", Request::Pieces { ino: secret, offset: 0, len: 100 }),
            ("attribute names outside", Request::XattrNames { ino: secret }),
            ("attribute outside", Request::Xattr { ino: secret, name: bytes::Bytes::from_static(b"user.a") }),
        ];
        let hidden = [Errno::ENOENT, Errno::EACCES, Errno::ESTALE];
        for (what, question) in questions {
            expect_errno(what, &guest.request(question)?, &hidden)?;
        }
        let fresh = Ino(welcome.inodes.first);
        let mut mutations = every_mutation(outside, secret, "secret", fresh)?;
        let rename = |parent, text: &str, new_parent, mode| -> Result<Mutation> {
            Ok(Mutation::Rename { parent, name: name(text)?, new_parent, new_name: name("moved")?, mode })
        };
        mutations.push(("rename into the subpath", rename(outside, "secret", inside, RenameMode::Replace)?));
        mutations.push(("rename out of the subpath", rename(inside, "mine", outside, RenameMode::Replace)?));
        mutations.push(("link into the subpath", Mutation::Link { ino: secret, parent: inside, name: name("linked")? }));
        mutations.push(("link out of the subpath", Mutation::Link { ino: mine, parent: outside, name: name("linked")? }));
        mutations.push(("unlink in the root", Mutation::RemoveDir { parent: Ino::ROOT, name: name("inside")? }));
        for (what, mutation) in mutations {
            expect_errno(what, &guest.commit(mutation)?.result, &hidden)?;
            ensure!(dump(&mut owner, Ino::ROOT)? == before, "{what} changed something outside of the guest's directory");
        }
        // Inside it may do what it likes.
        ensure!(guest.commit(write(mine, b"mine"))?.result.is_ok(), "the guest cannot write in its own directory");
        guest.expect_standing()
    })
}

/// Inode numbers are leased to one session; nobody else can make files under them.
#[test]
fn inode_numbers_of_others_are_refused() -> Result<()> {
    local("inode-numbers", LIMIT, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let address = lab.workspace("project")?;
        let port = lab.node.port();
        let (mut one, of_one) = RawStream::open_with_ticket(port, &lab.ticket("one", "r", &address, "rw")?)?;
        let (mut other, of_other) = RawStream::open_with_ticket(port, &lab.ticket("other", "r", &address, "rw")?)?;
        let end = of_other.inodes.first + of_other.inodes.count;
        ensure!(
            of_one.inodes.first + of_one.inodes.count <= of_other.inodes.first || end <= of_one.inodes.first,
            "two sessions were leased the same numbers: {:?} and {:?}",
            of_one.inodes,
            of_other.inodes
        );
        let before = dump(&mut one, Ino::ROOT)?;
        for number in [0, 1, 2, 15, of_one.inodes.first, u64::MAX] {
            let mutation = Mutation::Create {
                parent: Ino::ROOT,
                name: name("made")?,
                ino: Ino(number),
                node: NewNode::File,
                mode: 0o644,
                umask: 0,
                uid: 0,
                gid: 0,
            };
            let result = other.commit(mutation)?;
            ensure!(result.result.is_err(), "a file was made under the number {number}");
            ensure!(dump(&mut one, Ino::ROOT)? == before, "the number {number} changed something");
        }
        // A number serves once.
        let mut numbers = Numbers(of_other.inodes);
        let first = create(&mut other, &mut numbers, Ino::ROOT, "first", NewNode::File)?;
        let again = Mutation::Create {
            parent: Ino::ROOT,
            name: name("again")?,
            ino: first,
            node: NewNode::File,
            mode: 0o644,
            umask: 0,
            uid: 0,
            gid: 0,
        };
        ensure!(other.commit(again)?.result.is_err(), "two files were made under one number");
        other.expect_standing()
    })
}
