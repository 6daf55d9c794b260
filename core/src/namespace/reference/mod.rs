//! The namespace against a [`Model`](model::Model) that is too simple to be wrong: directories are maps, files are
//! bytes by offset, and whatever the namespace keeps as a count the model counts anew.
//!
//! Ops come from a small world (four names, a few dozen inodes, files of some hundred bytes), so that names
//! collide, directories are renamed into each other, hard links meet and writes overlap all the time. After each
//! step the answer, the whole tree and every [invariant](super::check) are compared.
//!
//! `PROPTEST_CASES=20000 cargo test -p artifacts-core reference` looks longer than the default does.
#![allow(clippy::unwrap_used)]

mod compare;
mod model;
mod model_acl;
mod step;

use proptest::prelude::*;
use proptest::test_runner::Config;

use super::tests::lazy_view::LazyView;
use super::{
    Changes, Context, Errno, Ino, Limits, MemoryView, Outcome, Source, Stop, View, apply, attr, format, lookup, orphans, pieces, purge,
    read_dir, read_link, repoint, usage, within, xattr, xattr_names,
};
use compare::History;
use model::Model;
use step::{Census, Event};

fn config(cases: u32) -> Config {
    let asked_for = std::env::var_os("PROPTEST_CASES").is_some();
    if asked_for { Config::default() } else { Config::with_cases(cases) }
}

fn any_limits() -> impl Strategy<Value = Limits> {
    let bytes = proptest::option::weighted(0.3, 20..200u64);
    let inodes = proptest::option::weighted(0.3, 3..15u64);
    let exceeded = prop_oneof![Just(Errno::ENOSPC), Just(Errno::EDQUOT)];
    (bytes, inodes, exceeded).prop_map(|(bytes, inodes, exceeded)| Limits { bytes, inodes, exceeded })
}

fn fresh() -> MemoryView {
    let mut view = MemoryView::default();
    view.absorb(&format(0, 0, 0o755, 0));
    view
}

/// Does to a view what an event says, by way of `ask`, and gives the answer.
fn happen(
    view: &mut MemoryView,
    event: &Event,
    limits: &Limits,
    ask: impl Fn(&MemoryView, &Context, &Event) -> Result<(Changes, Outcome), Errno>,
) -> Result<Outcome, Errno> {
    if let Event::Move(relocation, len) = event
        && let Source::Block { segment, .. } = relocation.to.source
    {
        view.absorb(&step::put(segment, *len));
    }
    let scope = if let Event::Op { scope, .. } = event { *scope } else { Ino::ROOT };
    let (changes, outcome) = ask(view, &Context { scope, limits: limits.clone() }, event)?;
    view.absorb(&changes);
    Ok(outcome)
}

/// What the shell would do with an event.
fn decide(view: &impl View, context: &Context, event: &Event) -> Result<(Changes, Outcome), Stop> {
    match event {
        Event::Op { op, .. } => apply(view, context, op).map(|applied| (applied.changes, applied.outcome)),
        Event::Purge(ino) => purge(view, *ino, 0).map(|(applied, rest)| {
            assert_eq!(rest, None, "no file of this world is that long");
            (applied.changes, applied.outcome)
        }),
        Event::Move(relocation, _) => repoint(view, relocation).map(|applied| (applied.changes, applied.outcome)),
        Event::Put(id, len) => Ok((step::put(*id, *len), Outcome::default())),
    }
}

fn on_the_whole(view: &MemoryView, context: &Context, event: &Event) -> Result<(Changes, Outcome), Errno> {
    decide(view, context, event).map_err(|stop| match stop {
        Stop::Refused(errno) => errno,
        Stop::Missing(missing) => panic!("a whole view misses nothing, not {missing:?}"),
    })
}

fn piece_by_piece(view: &MemoryView, context: &Context, event: &Event) -> Result<(Changes, Outcome), Errno> {
    LazyView::ask(view, |lazy| decide(lazy, context, event))
}

proptest! {
    #![proptest_config(config(512))]

    #[test]
    fn the_namespace_does_what_the_model_does(limits in any_limits(), steps in step::any_steps()) {
        let mut view = fresh();
        let mut model = Model::new();
        let mut history = History::default();
        let mut census = Census::default();
        for step in steps {
            let event = census.take(&view, &step);
            let expected = model.happen(&event, &limits);
            let answer = happen(&mut view, &event, &limits, on_the_whole);
            compare::answers(&answer, &expected, &view).map_err(|why| TestCaseError::fail(format!("{event:?}: {why}")))?;
            let differences = compare::states(&view, &model, &mut history);
            prop_assert!(differences.is_empty(), "after {event:?} ({answer:?}): {differences:#?}");
        }
    }

    #[test]
    fn the_same_ops_give_the_same_records(limits in any_limits(), steps in step::any_steps()) {
        let (mut one, mut two) = (fresh(), fresh());
        let mut census = Census::default();
        for step in steps {
            let event = census.take(&one, &step);
            let answers = [&mut one, &mut two].map(|view| happen(view, &event, &limits, on_the_whole));
            prop_assert_eq!(&answers[0], &answers[1]);
        }
        prop_assert_eq!(one, two);
    }

    /// A mount or a node that has to fetch a record decides as one that has everything.
    #[test]
    fn a_view_that_lacks_records_gives_the_same_answers(limits in any_limits(), steps in step::any_steps()) {
        let (mut whole, mut partial) = (fresh(), fresh());
        let mut census = Census::default();
        for step in steps {
            let event = census.take(&whole, &step);
            let expected = happen(&mut whole, &event, &limits, on_the_whole);
            prop_assert_eq!(happen(&mut partial, &event, &limits, piece_by_piece), expected);
            prop_assert_eq!(&whole, &partial, "after {:?}", event);
        }
        for ino in census.known() {
            let expected = all_about(&whole, ino).map_err(|stop| TestCaseError::fail(format!("{stop:?}")))?;
            prop_assert_eq!(LazyView::ask(&whole, |view| all_about(view, ino)), Ok(expected));
        }
    }
}

/// The answers of all questions about an inode, refusals included.
fn all_about(view: &impl View, ino: Ino) -> Result<Vec<String>, Stop> {
    fn told<T: std::fmt::Debug>(answer: Result<T, Stop>) -> Result<String, Stop> {
        match answer {
            Err(Stop::Missing(missing)) => Err(missing.into()),
            answer => Ok(format!("{answer:?}")),
        }
    }
    let mut answers = vec![
        told(attr(view, ino))?,
        told(read_dir(view, ino, None, 100))?,
        told(read_link(view, ino))?,
        told(pieces(view, ino, 0, u64::MAX, 100))?,
        told(pieces(view, ino, 10, 10, 1))?,
        told(xattr_names(view, ino))?,
        told(usage(view))?,
        told(orphans(view, None, 100))?,
        told(orphans(view, Some(Ino::FIRST_LEASED), 1))?,
        told(within(view, ino, Ino::FIRST_LEASED).map_err(Stop::from))?,
    ];
    for name in step::names() {
        answers.push(told(lookup(view, ino, &name))?);
        answers.push(told(xattr(view, ino, &step::xattr_name(&name)))?);
    }
    Ok(answers)
}
