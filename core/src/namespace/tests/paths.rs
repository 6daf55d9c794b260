//! Paths that are walked, listed and removed without a kernel, and ops that are applied as one.

use super::super::{Errno, Ino, Listed, Mutation, Name, NewNode, Op, Place, RenameMode, apply_all, check, list, prune, walk};
use super::fixture::{Fixture, name, refused};

fn names(path: &str) -> Vec<Name> {
    path.split('/').filter(|part| !part.is_empty()).map(name).collect()
}

fn found(fixture: &Fixture, path: &str, follows: bool) -> Result<Place, Errno> {
    walk(&fixture.view, Ino::ROOT, &names(path), follows).map_err(refused)
}

fn ino_of(fixture: &Fixture, path: &str) -> Result<Option<Ino>, Errno> {
    found(fixture, path, true).map(|place| place.attr.map(|attr| attr.ino))
}

fn tree() -> Fixture {
    let mut fixture = Fixture::new();
    for dir in ["a", "a/b", "a/b/c"] {
        fixture.dir(dir);
    }
    fixture.file("a/b/c/file");
    fixture.file("z");
    fixture
}

#[test]
fn links_are_followed_as_far_as_they_stay_inside() {
    let mut fixture = tree();
    let file = fixture.ino("a/b/c/file");
    for (path, target) in [
        ("a/up", "../a/b//c/./file"),
        ("dir", "a/b/"),
        ("twice", "dir/c/file"),
        ("dangling", "a/new"),
        ("out", "a/../../x"),
        ("absolute", "/a/b/c/file"),
        ("round", "round"),
    ] {
        fixture.symlink(path, target);
    }
    for path in ["a/b/c/file", "a/up", "dir/c/file", "twice"] {
        assert_eq!(ino_of(&fixture, path), Ok(Some(file)), "{path}");
    }
    assert_eq!(found(&fixture, "twice", false).unwrap().attr.unwrap().ino, fixture.ino("twice"));
    assert_eq!(found(&fixture, "dir", true).unwrap().attr.unwrap().ino, fixture.ino("a/b"));
    let dangling = found(&fixture, "dangling", true).unwrap();
    assert_eq!((dangling.dir, dangling.name, dangling.attr), (fixture.ino("a"), Some(name("new")), None), "where it would be made");
    for (path, errno) in [("out", Errno::EXDEV), ("absolute", Errno::EXDEV), ("round", Errno::ELOOP), ("z/x", Errno::ENOTDIR)] {
        assert_eq!(ino_of(&fixture, path), Err(errno), "{path}");
    }
    let below = walk(&fixture.view, fixture.ino("a"), &names("up"), true);
    assert_eq!(below.map_err(refused), Err(Errno::EXDEV), "what is inside the workspace may lie outside of a subpath");
}

#[test]
fn a_place_says_what_is_missing_on_the_way() {
    let mut fixture = tree();
    let place = found(&fixture, "a/b/x/y/file", true).unwrap();
    assert_eq!((place.dir, place.missing, place.name), (fixture.ino("a/b"), names("x/y"), Some(name("file"))));
    fixture.symlink("back", "a/none/../b");
    assert_eq!(ino_of(&fixture, "back"), Err(Errno::ENOENT));
    let root = found(&fixture, "", true).unwrap();
    assert_eq!((root.dir, root.name, root.attr.unwrap().ino), (Ino::ROOT, None, Ino::ROOT));
}

#[test]
fn a_listing_goes_on_where_it_stopped_whatever_has_become_of_that() {
    let mut fixture = tree();
    let text = |listed: &Listed| {
        let parts: Vec<_> = listed.path.iter().map(|name| String::from_utf8_lossy(name.as_bytes()).into_owned()).collect();
        parts.join("/")
    };
    let all: Vec<String> = list(&fixture.view, Ino::ROOT, &[], true, 100).unwrap().iter().map(text).collect();
    assert_eq!(all, ["a", "a/b", "a/b/c", "a/b/c/file", "z"]);
    for limit in 1..4 {
        let (mut seen, mut after) = (Vec::new(), Vec::new());
        loop {
            let page = list(&fixture.view, Ino::ROOT, &after, true, limit).unwrap();
            seen.extend(page.iter().map(text));
            match page.last() {
                Some(last) if page.len() == limit => after = last.path.clone(),
                _ => break,
            }
        }
        assert_eq!(seen, all, "{limit} at a time");
    }
    let flat: Vec<String> = list(&fixture.view, Ino::ROOT, &names("a"), false, 100).unwrap().iter().map(text).collect();
    assert_eq!(flat, ["z"]);
    fixture.rename("a/b/c", "a/b/d", RenameMode::Replace).unwrap();
    let rest: Vec<String> = list(&fixture.view, Ino::ROOT, &names("a/b/c/file"), true, 100).unwrap().iter().map(text).collect();
    assert_eq!(rest, ["a/b/d", "a/b/d/file", "z"]);
}

#[test]
fn a_tree_is_removed_from_its_leaves_whatever_fits_into_one_step() {
    for limit in 1..7 {
        let mut fixture = tree();
        fixture.file("a/b/other");
        let (a, mut steps) = (fixture.ino("a"), 0);
        while fixture.exists("a") {
            let removals = prune(&fixture.view, Ino::ROOT, &name("a"), a, limit).unwrap();
            assert!((1..=limit).contains(&removals.len()));
            for removal in removals {
                for ino in fixture.apply(removal).unwrap().orphaned {
                    fixture.purge(ino).unwrap();
                }
            }
            steps += 1;
        }
        assert_eq!(steps, 5_usize.div_ceil(limit), "five removals, {limit} at a time");
        assert!(fixture.exists("z"));
    }
}

#[test]
fn ops_that_are_applied_as_one_see_each_other_and_fail_together() {
    let fixture = tree();
    let op = |mutation| Op { mutation, time: fixture.now + 1 };
    let make = |name_: &str, ino| {
        op(Mutation::Create {
            parent: Ino::ROOT,
            name: name(name_),
            ino: Ino(ino),
            node: NewNode::File,
            mode: 0o644,
            umask: 0,
            uid: 0,
            gid: 0,
        })
    };
    let rename = op(Mutation::Rename {
        parent: Ino::ROOT,
        name: name("new"),
        new_parent: Ino::ROOT,
        new_name: name("z"),
        mode: RenameMode::Replace,
    });
    let applied = apply_all(&fixture.view, &fixture.context, &[make("new", 90), rename.clone()]).unwrap();
    assert_eq!(applied.outcome.orphaned, [fixture.ino("z")]);
    let mut view = fixture.view.clone();
    view.absorb(&applied.changes);
    assert_eq!(check::check_invariants(&view), Ok(vec![]));
    assert_eq!(walk(&view, Ino::ROOT, &names("z"), false).unwrap().attr.unwrap().ino, Ino(90));
    assert!(walk(&view, Ino::ROOT, &names("new"), false).unwrap().attr.is_none());
    let failed = apply_all(&fixture.view, &fixture.context, &[make("new", 90), make("z", 91)]);
    assert_eq!(failed.map(|_| ()).map_err(refused), Err(Errno::EEXIST));
}
