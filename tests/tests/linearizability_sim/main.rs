//! The machines of `core` without a clock, a socket or a task: simulated mounts and a simulated node on a simulated network,
//! millions of operations, and one order for all that was seen.
//!
//! The shells here do what those of the node and the mount do, and nothing else: what decides is `mount::Mount` in the mounts,
//! `namespace::apply`, `Inbox`, `WorkspaceLease`, `leases::Desk`, `OpenFiles`, `Lifecycle` and `Recovery` in the node, and
//! `Believed` and `Standing` say what a kernel may be shown. Frames of one stream stay in order, those of several do not.
//! Streams break and are resumed, mounts freeze, die, leave and come, the node crashes and gets back what was not durable. A
//! seed determines everything.
//!
//! `SIM_OPS` says how many operations, `SIM_SEED` with which numbers they begin; without it they are drawn. `SIM_TRACE` says from how many operations on to
//! remember what happens, to be printed with a violation.

mod kernel;
mod link;
mod mount;
mod node;
mod program;
mod steps;
mod tree;
mod world;

use anyhow::{Context as _, Result};
use artifacts_tests::time::{now, unix_ms};

use self::world::{Planted, World};

/// So many operations belong to every run of all tests, others each time; `make test-linearizability` does millions.
const OPS: u64 = 60_000;

#[test]
fn simulated_mounts_are_one_file_system() -> Result<()> {
    let ops = number("SIM_OPS")?.unwrap_or(OPS);
    let seed = number("SIM_SEED")?.unwrap_or_else(unix_ms);
    println!("linearizability, simulated: SIM_SEED={seed} SIM_OPS={ops}");
    let start = now();
    let mut world = World::new(seed);
    if let Some(from) = number("SIM_TRACE")? {
        world.trace_from(from);
    }
    while world.ops() < ops {
        if let Err(violation) = world.segment() {
            world.trace().iter().for_each(|line| println!("{line}"));
            return Err(violation.context(format!("SIM_SEED={seed}")));
        }
    }
    println!("{}, 0 violations, {:.1} s, SIM_SEED={seed}", world.summary(), start.elapsed().as_secs_f64());
    world.expect_everything_happened()
}

/// What must be found is found: a mount that thaws and answers before it hears that its lease was given away.
#[test]
fn mounts_that_answer_without_proof_are_caught() {
    expect_caught(Planted::RashMounts);
}

/// And what a kernel still believes of an inode, or of a directory, on which its mount has given the lease back.
#[test]
fn kernels_that_keep_believing_are_caught() {
    expect_caught(Planted::KernelsThatKeepBelieving);
}

/// And what a mount believes while the node lets another change it.
#[test]
fn a_node_that_grants_a_write_lease_while_others_believe_is_caught() {
    expect_caught(Planted::NodeThatForgetsReaders);
}

fn expect_caught(planted: Planted) {
    let mut world = World::with(planted, 1);
    let caught = loop {
        match world.segment() {
            Ok(()) => assert!(world.ops() < 400_000, "not caught: {}", world.summary()),
            Err(caught) => break caught,
        }
    };
    println!("{caught}");
    assert!(caught.to_string().contains("no order"), "{caught}");
}

#[test]
fn a_seed_determines_a_run() -> Result<()> {
    let run = || -> Result<String> {
        let mut world = World::new(4711);
        while world.ops() < 3_000 {
            world.segment()?;
        }
        Ok(world.summary())
    };
    assert_eq!(run()?, run()?);
    Ok(())
}

fn number(variable: &str) -> Result<Option<u64>> {
    let Some(text) = std::env::var_os(variable).filter(|text| !text.is_empty()) else { return Ok(None) };
    let number = text.to_str().and_then(|text| text.parse().ok());
    Ok(Some(number.with_context(|| format!("{variable} has to be a number, and is {text:?}"))?))
}
