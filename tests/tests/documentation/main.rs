//! The documentation is true: every block of shell, TypeScript and Python in its pages runs, from top to bottom, on a machine of the page's
//! own; data is read by what reads such data; links lead somewhere; what is generated is what the program says today.
//!
//! How a page speaks to the test, in comments that readers do not see: `<!-- with: node -->` is what it begins with (see [`machine`]),
//! `<!-- check: COMMAND -->` must succeed where it stands (with `! ` in front: fail), `<!-- not run: why -->` stands before a block that is only read.

mod http_reference;
mod links;
mod machine;
mod markdown;
mod reference;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::mounted;
use artifacts_tests::time::Duration;

use machine::Machine;
use markdown::{Block, Page, Step, all_pages};

/// Only a guard against hanging.
const LIMIT: Duration = Duration::from_secs(10 * 60);

macro_rules! pages {
    ($($test:ident: $page:literal,)*) => {
        const PAGES: &[&str] = &[$($page),*];
        $(#[test]
        fn $test() -> Result<()> {
            run($page)
        })*
    };
}

pages! {
    api: "docs/api.md",
    benchmarks: "docs/benchmarks.md",
    cluster: "docs/cluster.md",
    concurrency: "docs/concurrent-writes.md",
    coordination: "docs/locks.md",
    deployment: "docs/deployment.md",
    grants: "docs/grants.md",
    keys: "docs/keys.md",
    monitoring: "docs/monitoring.md",
    mount_containers: "docs/mount-containers.md",
    mount_kubernetes: "docs/mount-kubernetes.md",
    mount_linux: "docs/mount-linux.md",
    operations: "docs/operations.md",
    platform_quickstart: "docs/platform-quickstart.md",
    quickstart: "docs/quickstart.md",
    security: "docs/security.md",
    tenancy: "docs/tenancy.md",
    tickets: "docs/tickets.md",
    readme: "README.md",
    contributing: "CONTRIBUTING.md",
}

fn run(path: &str) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        ensure!(std::env::var("CI").as_deref() != Ok("true"), "only root can make a machine for a page alone");
        eprintln!("NOTICE: {path} is not run: only root can make a machine for a page alone");
        return Ok(());
    }
    let page = Page::read(path)?;
    mounted("page", LIMIT, |scratch| {
        let mut machine = Machine::start(scratch, &page.with)?;
        let runs = |block: &&Block| block.language == "ts" && block.not_run.is_none();
        let type_script: Vec<&str> = page.blocks().filter(runs).map(|block| block.text.as_str()).collect();
        for step in &page.steps {
            match step {
                Step::Check(command) => check(&mut machine, command).with_context(|| format!("{path}: check `{command}`"))?,
                Step::Block(block) => {
                    run_block(&mut machine, block, &type_script).with_context(|| format!("{path}:{}", block.line))?;
                }
            }
        }
        Ok(())
    })
}

/// A shell goes on after `! COMMAND`, whatever came of it.
fn check(machine: &mut Machine, command: &str) -> Result<()> {
    match command.strip_prefix("! ") {
        Some(refused) => machine.shell(&format!("if {refused}; then exit 1; fi\n")),
        None => machine.shell(&format!("{command}\n")),
    }
}

fn run_block(machine: &mut Machine, block: &Block, type_script: &[&str]) -> Result<()> {
    match block.language.as_str() {
        _ if block.not_run.is_some() => machine.parse(block),
        "sh" => machine.shell(&block.text),
        "ts" => machine.type_script(type_script),
        "python" => machine.python(&block.text),
        _ => machine.parse(block),
    }
}

/// The SDKs run their own.
#[test]
fn every_page_with_a_program_in_it_is_run() -> Result<()> {
    for path in all_pages()? {
        if path.starts_with("sdk") || PAGES.iter().any(|page| path.as_os_str() == *page) {
            continue;
        }
        let page = Page::read(&path)?;
        let forgotten = page.blocks().find(|block| block.is_program());
        ensure!(forgotten.is_none(), "{}: not among the pages that are run, and {forgotten:?}", path.display());
    }
    Ok(())
}

/// A reason is a sentence for whoever wonders, and there are few.
#[test]
fn most_blocks_are_run() -> Result<()> {
    let (mut run, mut not_run) = (0, 0);
    for path in PAGES {
        for block in Page::read(path)?.blocks().filter(|block| block.is_program()) {
            match &block.not_run {
                Some(reason) => {
                    ensure!(reason.len() > 10, "{path}:{}: {reason:?} is no reason", block.line);
                    not_run += 1;
                }
                None => run += 1,
            }
        }
    }
    println!("{run} blocks are run, {not_run} are only read");
    ensure!(run > 2 * not_run, "{run} blocks are run, and {not_run} are not");
    Ok(())
}
