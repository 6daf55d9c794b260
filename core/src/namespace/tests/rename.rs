use super::super::RenameMode::{Exchange, NoReplace, Replace};
use super::super::{Errno, Ino, Mutation, RenameMode};
use super::fixture::{Fixture, name};

/// `file`, `other`, `twin` (a link of `file`), `empty/`, `full/below/deep/`, `full/f`.
fn fixture() -> Fixture {
    let mut fixture = Fixture::new();
    let file = fixture.file("file");
    fixture.file("other");
    fixture.link(file, "twin").unwrap();
    for dir in ["empty", "full", "full/below", "full/below/deep"] {
        fixture.dir(dir);
    }
    fixture.file("full/f");
    fixture
}

#[test]
fn what_a_rename_does_to_what_is_in_the_way() {
    for (from, to, mode, expected) in [
        ("file", "new", Replace, Ok(None)),
        ("file", "new", NoReplace, Ok(None)),
        ("file", "new", Exchange, Err(Errno::ENOENT)),
        ("file", "other", Replace, Ok(Some("other"))),
        ("file", "other", NoReplace, Err(Errno::EEXIST)),
        ("file", "full/f", Replace, Ok(Some("full/f"))),
        ("file", "empty", Replace, Err(Errno::EISDIR)),
        ("file", "full", Replace, Err(Errno::EISDIR)),
        ("empty", "file", Replace, Err(Errno::ENOTDIR)),
        ("empty", "new", Replace, Ok(None)),
        ("empty", "full", Replace, Err(Errno::ENOTEMPTY)),
        ("empty", "full", NoReplace, Err(Errno::EEXIST)),
        ("empty", "full/below", Replace, Err(Errno::ENOTEMPTY)),
        ("empty", "full/below/deep", Replace, Ok(Some("full/below/deep"))),
        ("full", "empty", Replace, Ok(Some("empty"))),
        ("full/below", "empty", Replace, Ok(Some("empty"))),
        ("missing", "new", Replace, Err(Errno::ENOENT)),
        ("missing", "file", NoReplace, Err(Errno::ENOENT)),
        // Into its own subtree.
        ("full", "full/new", Replace, Err(Errno::EINVAL)),
        ("full", "full/below/deep/new", NoReplace, Err(Errno::EINVAL)),
        ("full", "full/below/deep", Replace, Err(Errno::EINVAL)),
        ("full", "full/below", Exchange, Err(Errno::EINVAL)),
        ("full", "full/f", Replace, Err(Errno::EINVAL)),
        // Over its own ancestor, which is not empty.
        ("full/below", "full", Replace, Err(Errno::ENOTEMPTY)),
        ("full/below/deep", "full", Replace, Err(Errno::ENOTEMPTY)),
        ("full/f", "full", Replace, Err(Errno::ENOTEMPTY)),
        ("full/f", "full", NoReplace, Err(Errno::EEXIST)),
        ("full/below/deep", "full", Exchange, Err(Errno::EINVAL)),
        ("full/f", "full", Exchange, Err(Errno::EINVAL)),
        // Onto itself.
        ("file", "file", Replace, Ok(None)),
        ("file", "file", Exchange, Ok(None)),
        ("file", "file", NoReplace, Err(Errno::EEXIST)),
        ("full", "full", Replace, Ok(None)),
    ] {
        let what = format!("{from} to {to}, {mode:?}");
        let mut fixture = fixture();
        let moved = fixture.exists(from).then(|| fixture.ino(from));
        let replaced = expected.ok().flatten().map(|path| fixture.ino(path));
        match fixture.rename(from, to, mode) {
            Ok(outcome) => {
                assert!(expected.is_ok(), "{what}");
                assert_eq!(outcome.orphaned, Vec::from_iter(replaced), "{what}");
                assert_eq!(Some(fixture.ino(to)), moved, "{what}");
                assert_eq!(fixture.exists(from), from == to, "{what}");
            }
            Err(errno) => assert_eq!(Err(errno), expected, "{what}"),
        }
    }
}

/// rename(2): if both names are hard links of one file, it does nothing and reports success.
#[test]
fn onto_another_link_of_itself_nothing_happens() {
    for mode in [Replace, Exchange] {
        let mut fixture = fixture();
        let before = fixture.view.clone();
        fixture.rename("file", "twin", mode).unwrap();
        assert_eq!(fixture.view, before, "{mode:?}");
    }
    assert_eq!(fixture().rename("file", "twin", NoReplace).unwrap_err(), Errno::EEXIST);
}

#[test]
fn a_directory_takes_its_link_count_along() {
    let mut fixture = fixture();
    let links = |fixture: &Fixture, path: &str| fixture.attr(fixture.ino(path)).nlink;
    assert_eq!((links(&fixture, ""), links(&fixture, "empty"), links(&fixture, "full")), (4, 2, 3));
    fixture.rename("full/below", "empty/moved", Replace).unwrap();
    assert_eq!((links(&fixture, ""), links(&fixture, "empty"), links(&fixture, "full")), (4, 3, 2));
    fixture.rename("empty/moved", "full/moved", NoReplace).unwrap();
    assert_eq!((links(&fixture, ""), links(&fixture, "empty"), links(&fixture, "full")), (4, 2, 3));
    assert_eq!(fixture.rename("full", "empty", Replace).unwrap().orphaned.len(), 1);
    assert_eq!((links(&fixture, ""), links(&fixture, "empty")), (3, 3));
    assert!(fixture.exists("empty/moved/deep") && fixture.exists("empty/f"));
}

#[test]
fn a_replaced_file_keeps_its_other_links() {
    let mut fixture = fixture();
    let file = fixture.ino("file");
    let outcome = fixture.rename("other", "file", Replace).unwrap();
    assert_eq!(outcome.orphaned, []);
    assert_eq!((fixture.attr(file).nlink, fixture.ino("twin")), (1, file));
    assert_eq!(fixture.attr(file).ctime, fixture.now);
}

#[test]
fn exchange_swaps_whatever_there_is() {
    for (a, b) in [("file", "other"), ("file", "full"), ("full/below", "empty"), ("full/f", "empty"), ("twin", "full/f"), ("full", "empty")]
    {
        for (from, to) in [(a, b), (b, a)] {
            let mut fixture = fixture();
            let (moved, met) = (fixture.ino(from), fixture.ino(to));
            fixture.rename(from, to, Exchange).unwrap();
            assert_eq!((fixture.ino(to), fixture.ino(from)), (moved, met), "{from} and {to}");
            let (parents, now) = ([fixture.place(from).0, fixture.place(to).0], fixture.now);
            for ino in [moved, met, parents[0], parents[1]] {
                assert!(fixture.attr(ino).ctime >= now, "{from} and {to}: {ino:?}");
            }
        }
    }
}

#[test]
fn only_the_directories_change_their_content() {
    let mut fixture = fixture();
    let (file, full) = (fixture.ino("file"), fixture.ino("full"));
    let before = (fixture.attr(file), fixture.attr(full));
    fixture.rename("file", "full/new", Replace).unwrap();
    assert_eq!((fixture.attr(file).mtime, fixture.attr(file).ctime), (before.0.mtime, fixture.now));
    assert_eq!((fixture.attr(full).mtime, fixture.attr(full).ctime), (fixture.now, fixture.now));
    assert_eq!(fixture.attr(Ino::ROOT).mtime, fixture.now);
    assert_eq!((fixture.attr(full).size, fixture.attr(Ino::ROOT).size), (before.1.size + 1, 4));
}

#[test]
fn the_directories_must_be_there_and_alive() {
    let mut fixture = fixture();
    let file = fixture.ino("file");
    let gone = fixture.ino("empty");
    fixture.remove_dir("empty").unwrap();
    let rename =
        |parent, new_parent, mode: RenameMode| Mutation::Rename { parent, name: name("file"), new_parent, new_name: name("new"), mode };
    for (what, from, to, errno) in [
        ("from nowhere", Ino(999), Ino::ROOT, Errno::ENOENT),
        ("to nowhere", Ino::ROOT, Ino(999), Errno::ENOENT),
        ("from a file", file, Ino::ROOT, Errno::ENOTDIR),
        ("to a file", Ino::ROOT, file, Errno::ENOTDIR),
        ("from a removed directory", gone, Ino::ROOT, Errno::ENOENT),
        ("to a removed directory", Ino::ROOT, gone, Errno::ENOENT),
    ] {
        for mode in [Replace, NoReplace, Exchange] {
            assert_eq!(fixture.apply(rename(from, to, mode)).unwrap_err(), errno, "{what}, {mode:?}");
        }
    }
}
