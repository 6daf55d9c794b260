use std::fs;
use std::path::Path;
use std::process::Child;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, now, wait_until};
use artifacts_tests::{Process, local};
use rustix::process::Signal;
use serde_json::json;

use crate::shop::{Shop, expect_code, token};

/// A command that says who it is, and runs for long.
fn patient(pids: &Path) -> String {
    format!("echo $$ > {0}.part; mv {0}.part {0}; exec sleep 300", pids.display())
}

/// A command that has a child, and hears no SIGTERM.
fn stubborn(pids: &Path) -> String {
    format!("trap '' TERM; sleep 300 & echo $$ $! > {0}.part; mv {0}.part {0}; wait; sleep 300", pids.display())
}

/// The processes of such a command.
fn processes(pids: &Path) -> Result<Vec<Process>> {
    wait_until("the command runs", Duration::from_secs(20), || Ok(pids.exists()))?;
    let text = fs::read_to_string(pids)?;
    let found = text.split_whitespace().map(|pid| Process::with_pid(pid.parse().ok()?)).collect::<Option<Vec<_>>>();
    found.context("the command is gone already")
}

fn process(child: &Child) -> Result<Process> {
    Process::with_pid(i32::try_from(child.id())?).context("the command has ended by itself")
}

#[test]
fn a_command_runs_under_its_lock_and_keeps_its_exit_code() -> Result<()> {
    local("lock-run", Duration::from_secs(2 * 60), |scratch| {
        let shop = Shop::open(scratch)?;
        let run = |arguments: &[&str]| {
            let mut words = vec!["run", "deploy", "-w", "project"];
            words.extend(arguments);
            shop.output(&words)
        };
        let first = run(&["--", "sh", "-c", "echo $ARTIFACTS_FENCING_TOKEN; exit 7"])?;
        expect_code(&first, 7)?;
        let second = run(&["--", "sh", "-c", "echo $ARTIFACTS_FENCING_TOKEN"])?;
        expect_code(&second, 0)?;
        let number = |text: &[u8]| String::from_utf8_lossy(text).trim().parse::<u64>().context("no token");
        ensure!(number(&second.stdout)? > number(&first.stdout)?, "{first:?} {second:?}");
        expect_code(&run(&["--", "sh", "-c", "kill -9 $$"])?, 137)?;
        expect_code(&run(&["--", "no-such-program"])?, 1)?;
        expect_code(&run(&["--shared", "--permits", "2", "--", "true"])?, 2)?;
        expect_code(&run(&[])?, 2)?;
        ensure!(shop.listed("deploy")?.is_null(), "a command that has ended holds its lock");

        // Longer than its time to live, so it has to be renewed.
        expect_code(&run(&["--ttl", "1", "--", "sleep", "3"])?, 0)?;

        let held = shop.acquire("deploy", &json!({}))?.success()?;
        expect_code(&run(&["--wait", "0", "--", "true"])?, 5)?;
        expect_code(&run(&["--wait", "1", "--", "true"])?, 5)?;
        ensure!(shop.listed("deploy")?["waiters"] == json!([]), "who has given up still waits");
        shop.release("deploy", &held)?;

        let ticket = shop.lab.ticket("tenant", "runtime", "project", "rw")?;
        let file = scratch.join("ticket.json");
        fs::write(&file, ticket.to_string())?;
        let file = file.to_string_lossy().into_owned();
        let mut command = shop.command(&["run", "deploy", "--ticket-file", &file, "--", "true"])?;
        expect_code(&command.env_remove("TONBO_API_KEY").env_remove("TONBO_API_URL").output()?, 0)
    })
}

#[test]
fn a_signal_goes_to_the_command_and_the_lock_is_given_back() -> Result<()> {
    local("lock-signal", Duration::from_secs(2 * 60), |scratch| {
        let shop = Shop::open(scratch)?;
        for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
            let pids = scratch.join(format!("pids-{code}"));
            let child = shop.start(&["run", "deploy", "-w", "project", "--ttl", "60", "--", "sh", "-c", &patient(&pids)])?;
            let inside = processes(&pids)?;
            shop.wait_for("deploy", 1, 0)?;
            process(&child)?.signal(signal)?;
            expect_code(&child.wait_with_output()?, code)?;
            shop.wait_free("deploy", Duration::from_secs(5))?;
            for process in inside {
                process.wait_gone(Duration::from_secs(5))?;
            }
        }
        // Ctrl-C while it waits: nobody is left in the queue.
        let held = shop.acquire("deploy", &json!({}))?.success()?;
        let child = shop.start(&["run", "deploy", "-w", "project", "--", "true"])?;
        shop.wait_for("deploy", 1, 1)?;
        process(&child)?.signal(Signal::INT)?;
        expect_code(&child.wait_with_output()?, 130)?;
        shop.wait_for("deploy", 1, 0)?;
        shop.release("deploy", &held)
    })
}

#[test]
fn a_command_whose_lock_is_taken_away_ends_with_all_it_has_started() -> Result<()> {
    local("lock-lost", Duration::from_secs(2 * 60), |scratch| {
        let shop = Shop::open(scratch)?;
        let ticket = shop.lab.ticket("tenant", "runtime", "project", "rw")?;
        let (file, pids) = (scratch.join("ticket.json"), scratch.join("pids"));
        fs::write(&file, ticket.to_string())?;
        let (file, script) = (file.to_string_lossy().into_owned(), stubborn(&pids));
        let child = shop.start(&["run", "deploy", "--ticket-file", &file, "--ttl", "3", "--", "sh", "-c", &script])?;
        let inside = processes(&pids)?;
        shop.wait_for("deploy", 1, 0)?;
        shop.lab.api.post("/v1/grants/revoke", &json!({ "tenant_slug": "tenant" }))?;
        let start = now();
        ensure!(shop.listed("deploy")?.is_null(), "a revoked ticket holds a lock");
        let output = child.wait_with_output()?;
        expect_code(&output, 5)?;
        ensure!(String::from_utf8_lossy(&output.stderr).contains("lost"), "{output:?}");
        ensure!(start.elapsed() < Duration::from_secs(4), "it took {:?}", start.elapsed());
        for process in inside {
            process.wait_gone(Duration::from_secs(1))?;
        }
        Ok(())
    })
}

/// A node that answers nothing: the command is gone before anybody else can have the lock.
#[test]
fn a_command_whose_lock_cannot_be_renewed_ends_before_the_next_has_it() -> Result<()> {
    local("lock-silence", Duration::from_secs(2 * 60), |scratch| {
        let shop = Shop::open(scratch)?;
        let pids = scratch.join("pids");
        let child = shop.start(&["run", "deploy", "-w", "project", "--ttl", "4", "--", "sh", "-c", &stubborn(&pids)])?;
        let inside = processes(&pids)?;
        let held = shop.listed("deploy")?;
        shop.lab.node.freeze()?;
        for process in inside {
            process.wait_gone(Duration::from_secs(8))?;
        }
        shop.lab.node.thaw()?;
        expect_code(&child.wait_with_output()?, 5)?;
        let next = shop.acquire("deploy", &json!({ "wait_ms": 10_000 }))?.success()?;
        ensure!(token(&next)? > token(&held["holders"][0])?, "tokens do not grow");
        Ok(())
    })
}

/// `kill -9` of the program that renews: its command dies with it, and the lock is free when its time is over.
#[test]
fn a_command_dies_with_the_program_that_renews_its_lock() -> Result<()> {
    local("lock-orphan", Duration::from_secs(2 * 60), |scratch| {
        let shop = Shop::open(scratch)?;
        let pids = scratch.join("pids");
        let mut child = shop.start(&["run", "deploy", "-w", "project", "--ttl", "2", "--", "sh", "-c", &patient(&pids)])?;
        let inside = processes(&pids)?;
        child.kill()?;
        child.wait()?;
        for process in inside {
            process.wait_gone(Duration::from_secs(2))?;
        }
        shop.acquire("deploy", &json!({ "wait_ms": 4_000 }))?.success().map(drop)
    })
}
