//! What a mount may ask of a workspace, after it was decoded: no op and no question breaks the namespace or ends the process.
#![no_main]

use artifacts_core::namespace::check::check_invariants;
use artifacts_core::namespace::{self, Context, Ino, Key, MemoryView, Name, NewNode, Op, View as _};
use artifacts_core::namespace::{Extent, Mutation, Position};
use artifacts_core::protocol::{ClientFrame, Request, decode};
use artifacts_core::replica::{Fetch, Records};
use libfuzzer_sys::fuzz_target;

/// A directory, two files of which one has two names, and some data.
fn workspace() -> MemoryView {
    let mut view = MemoryView::default();
    view.absorb(&namespace::format(0, 0, 0o777, 0));
    let make = |parent, name: &'static str, ino, node| Mutation::Create {
        parent,
        name: Name::new(name).expect("a name"),
        ino: Ino(ino),
        node,
        mode: 0o777,
        umask: 0,
        uid: 0,
        gid: 0,
    };
    let write = |ino, at| Mutation::Write {
        ino: Ino(ino),
        position: Position::At(at),
        extents: vec![Extent::inline(vec![7; 100].into())],
        kill_privileges: false,
    };
    let steps = [
        make(Ino::ROOT, "d", 16, NewNode::Directory),
        make(Ino::ROOT, "a", 17, NewNode::File),
        make(Ino(16), "b", 18, NewNode::File),
        Mutation::Link { ino: Ino(17), parent: Ino(16), name: Name::new("c").expect("a name") },
        write(17, 0),
        write(18, 5_000),
    ];
    for mutation in steps {
        take(&mut view, &Op { mutation, time: 1 });
    }
    view
}

fn take(view: &mut MemoryView, op: &Op) {
    let Ok(applied) = namespace::apply(view, &Context::default(), op) else { return };
    view.absorb(&applied.changes);
    for ino in applied.outcome.orphaned {
        let mut from = Some(0);
        while let Some(at) = from {
            let Ok((applied, rest)) = namespace::purge(view, ino, at) else { return };
            view.absorb(&applied.changes);
            from = rest;
        }
    }
}

fn ask(view: &MemoryView, request: &Request) {
    match request {
        Request::Lookup { parent, name } => drop(namespace::lookup(view, *parent, name)),
        Request::Attr { ino } | Request::Open { ino } => drop(namespace::attr(view, *ino)),
        Request::ReadLink { ino } => drop(namespace::read_link(view, *ino)),
        Request::ReadDir { dir, after, limit } => drop(namespace::read_dir(view, *dir, after.as_ref(), (*limit).min(1_000) as usize)),
        Request::Pieces { ino, offset, len } => drop(namespace::pieces(view, *ino, *offset, *len, 1_000)),
        Request::Xattr { ino, name } => drop(namespace::xattr(view, *ino, name)),
        Request::XattrNames { ino } => drop(namespace::xattr_names(view, *ino)),
        Request::Fetch(fetch) | Request::Learn { fetch, .. } => match fetch {
            Fetch::Key(key) => drop(Key::decode(key).map(|key| view.get(&key))),
            Fetch::Range { start, prefix, limit, .. } => drop(Records::of(view, start, prefix, (*limit).min(1_000) as usize)),
        },
        _ => {}
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut view = workspace();
    // Several frames in one input, each with its length in front.
    let mut rest = bytes;
    while let Some((&len, behind)) = rest.split_first() {
        let (frame, behind) = behind.split_at(behind.len().min(usize::from(len)));
        rest = behind;
        match decode::<ClientFrame>(frame) {
            Ok(ClientFrame::Commit { ops, .. } | ClientFrame::Decided { ops, .. }) => {
                ops.iter().for_each(|numbered| take(&mut view, &numbered.op));
            }
            Ok(ClientFrame::Request { request, .. }) => ask(&view, &request),
            _ => {}
        }
    }
    let broken = check_invariants(&view).expect("all of it is here");
    assert!(broken.is_empty(), "{broken:?}");
});
