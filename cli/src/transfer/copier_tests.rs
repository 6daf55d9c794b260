use super::*;
use std::os::unix::fs::PermissionsExt as _;

use crate::output::{Format, Output};

struct Bench {
    dir: tempfile::TempDir,
    stop: AtomicBool,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { dir: tempfile::tempdir().unwrap(), stop: AtomicBool::new(false) };
        fs::create_dir_all(bench.from("sub/empty")).unwrap();
        fs::write(bench.from("file"), "content").unwrap();
        fs::write(bench.from("sub/big"), vec![3; 3_000_000]).unwrap();
        fs::hard_link(bench.from("file"), bench.from("sub/again")).unwrap();
        symlink("nowhere", bench.from("link")).unwrap();
        fs::set_permissions(bench.from("sub"), fs::Permissions::from_mode(0o555)).unwrap();
        bench
    }

    fn from(&self, name: &str) -> PathBuf {
        self.dir.path().join("from").join(name)
    }

    fn to(&self, name: &str) -> PathBuf {
        self.dir.path().join("to").join(name)
    }

    fn run(&self, dry_run: bool) -> Summary {
        let (from, to) = (self.dir.path().join("from"), self.dir.path().join("to"));
        let transfer = Transfer { from, to, workers: 3, dry_run, sync_each: true, never_enter: None };
        run(&transfer, &self.stop, &Bar::new(Output::new(Format::Json, true, true))).unwrap()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        for sub in [self.from("sub"), self.to("sub")] {
            let _ = fs::set_permissions(sub, fs::Permissions::from_mode(0o755));
        }
    }
}

#[test]
fn a_tree_arrives_whole_and_is_not_copied_twice() {
    let bench = Bench::new();
    let first = bench.run(false);
    assert_eq!((first.files, first.bytes, first.directories, first.hard_links, first.others), (2, 3_000_007, 3, 1, 1));
    assert_eq!((first.failures, first.unchanged), (vec![], 0));
    let (one, again) = (fs::metadata(bench.to("file")).unwrap(), fs::metadata(bench.to("sub/again")).unwrap());
    assert!(same_file(&one, &again));
    assert_eq!(fs::read_link(bench.to("link")).unwrap(), Path::new("nowhere"));
    for name in ["", "sub", "sub/empty", "sub/big", "file"] {
        let (one, other) = (fs::metadata(bench.from(name)).unwrap(), fs::metadata(bench.to(name)).unwrap());
        assert_eq!((one.mode(), one.mtime(), one.mtime_nsec()), (other.mode(), other.mtime(), other.mtime_nsec()), "{name}");
    }
    let second = bench.run(false);
    assert_eq!((second.files, second.hard_links, second.others, second.unchanged), (0, 0, 0, 4));
}

#[test]
fn only_what_differs_is_copied_and_remains_are_replaced() {
    let bench = Bench::new();
    bench.run(false);
    fs::write(bench.to("file"), "CONTENT").unwrap();
    fs::set_permissions(bench.to("sub/big"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(super::super::entry::partial(&bench.to("file")), "half").unwrap();
    fs::write(super::super::entry::partial(&bench.from("gone")), "not a file of anybody's").unwrap();
    let again = bench.run(false);
    assert_eq!((again.files, again.failures), (1, vec![]));
    assert_eq!(fs::read(bench.to("file")).unwrap(), b"content");
    assert_eq!(fs::metadata(bench.to("sub/big")).unwrap().mode(), fs::metadata(bench.from("sub/big")).unwrap().mode());
    let mut names: Vec<_> = fs::read_dir(bench.to("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["file", "link", "sub"]);
}

#[test]
fn a_dry_run_and_one_that_is_told_to_end_leave_nothing() {
    let bench = Bench::new();
    let dry = bench.run(true);
    assert_eq!((dry.files, dry.bytes, dry.hard_links, dry.others), (2, 3_000_007, 1, 1));
    assert!(!bench.to("").exists());
    bench.stop.store(true, Ordering::Relaxed);
    let ended = bench.run(false);
    assert!(ended.interrupted && ended.failures.is_empty());
    assert!(!bench.to("file").exists());
}

#[test]
fn what_is_in_the_way_is_reported_and_the_rest_is_copied() {
    let bench = Bench::new();
    let elsewhere = tempfile::tempdir().unwrap();
    fs::create_dir_all(bench.to("file/full")).unwrap();
    symlink(elsewhere.path(), bench.to("sub")).unwrap();
    let done = bench.run(false);
    let failed: Vec<_> = done.failures.iter().map(|failure| failure.path.as_str()).collect();
    assert!(failed.contains(&"file") && failed.contains(&"sub"), "{:?}", done.failures);
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0, "written through a link");
    assert!(fs::symlink_metadata(bench.to("link")).unwrap().is_symlink());
}
