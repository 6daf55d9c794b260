//! `artifacts quickstart`: everything at once, on this machine, with nothing but this program and FUSE.
//!
//! One process tree: a node in this process, two mounts in children. Always true: whatever ends it (success, an error, a
//! signal), the mounts are unmounted, the node is stopped and the directory is removed. All work on the mounts happens on
//! threads of its own: a thread that waits for a file system must never be one that the node behind it runs on.

mod fuse_check;
mod git;
mod platform;
mod report;
mod revocation;
mod stage;
mod visibility;
mod work;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::failure::Failure;
use crate::output::{Format, Output};
use crate::paths::Paths;
use crate::stop::Stop;
use crate::time;
use platform::Platform;
use report::{Report, Silent, milliseconds};
use revocation::{Ending, Watch};
use stage::Stage;
use visibility::Visibility;
use work::Manifest;

/// Arguments of `quickstart`.
#[derive(Debug, Args)]
#[command(after_help = "\
Needs /dev/fuse; as an ordinary user also fusermount3 (apt-get install fuse3). Nothing is left behind.

Examples:
  artifacts quickstart
  artifacts quickstart --keep      keeps a node and a mount to play with, until Ctrl-C")]
pub(crate) struct QuickstartArgs {
    /// Keep the node and the second mount until Ctrl-C, and print how to use them
    #[arg(long)]
    keep: bool,
}

/// What a quickstart that went well has to tell.
struct Findings {
    platform: Platform,
    second: PathBuf,
    visibility: Visibility,
    endings: Vec<Ending>,
    revoke_call: Duration,
}

/// Does everything and takes it down again.
pub(crate) async fn run(args: QuickstartArgs, output: Output) -> anyhow::Result<()> {
    let mut stop = Stop::new()?;
    let mut report = Report::new(output);
    report.step("FUSE works on this machine", async { fuse_check::check() }).await?;
    // Mounts that are kept are registered where `artifacts status` looks for them.
    let state = if args.keep { Some(Paths::of_this_user()?.state) } else { None };
    let mut stage = Stage::new(state)?;
    let mut outcome = tokio::select! {
        findings = play(&mut stage, &mut report) => findings,
        () = stop.asked() => Err(Failure::failed("interrupted").into()),
    };
    if let (true, Ok(findings)) = (args.keep, &mut outcome) {
        show_kept(&report, findings, &stage)?;
        stop.asked().await;
    }
    let cleared = take_down(&mut stage, &mut report, &mut stop).await;
    if let (Err(_), Err(error)) = (&outcome, &cleared) {
        // The first failure is the command's; this one must not go under.
        output.note(&format!("{error:#}"));
    }
    let findings = outcome?;
    cleared?;
    conclude(&report, &findings)
}

/// Takes everything down. Somebody who presses Ctrl-C twice does not leave mounts behind; who insists, does.
async fn take_down(stage: &mut Stage, report: &mut Report, stop: &mut Stop) -> anyhow::Result<()> {
    let (root, output) = (stage.root().to_owned(), report.output());
    let mut clearing = std::pin::pin!(report.step("Everything is taken down and removed", stage.clear()));
    tokio::select! {
        cleared = &mut clearing => return cleared,
        () = stop.asked() => output.note("Taking everything down; once more leaves it as it is."),
    }
    tokio::select! {
        cleared = &mut clearing => cleared,
        () = stop.asked() => Err(Failure::failed("interrupted again").hint(format!("unmount and remove what is in {}", root.display())).into()),
    }
}

/// The play itself. What it starts is on the stage, so it may be dropped at any moment.
async fn play(stage: &mut Stage, report: &mut Report) -> anyhow::Result<Findings> {
    let url = report.step("A control node runs in this process", stage.start_node()).await?;
    let platform = report.step("An account and its API key", Platform::sign_up(&url, stage.admin_token()?)).await?;
    report.step("A workspace", platform.create_workspace()).await?;
    report.step("A tenant", platform.create_tenant()).await?;
    let Silent((ticket_1, ticket_2)) =
        report.step("A grant and a mount ticket for each of two runtimes", platform.create_tickets()).await?;
    let Silent(first) = report.step("run-1 mounts the workspace", stage.mount("run-1", ticket_1)).await?;
    let Silent(second) = report.step("run-2 mounts it too", stage.mount("run-2", ticket_2)).await?;
    let manifest = work(report, &first, &second).await?;
    let visibility = {
        let (first, second) = (first.clone(), second.clone());
        report.blocking_step("What run-1 writes, run-2 reads", move || visibility::measure(&first, &second)).await?
    };

    let watch = {
        let first = first.clone();
        report.blocking_step("run-1 holds a file open", move || Ok(Silent(Watch::begin(&first)?))).await?.0
    };
    let called = time::now();
    report.step("The grant of run-1 is revoked", platform.revoke_first()).await?;
    let returned = time::now();
    let Silent(endings) =
        report.blocking_step("Every call of run-1 fails with EACCES", move || Ok(Silent(watch.end(called, returned)?))).await?;
    for ending in &endings {
        report.say(&format!("    {}", ending.sentence()))?;
    }
    {
        let second = second.clone();
        report.blocking_step("run-2 goes on, with everything in place", move || still_works(&second, &manifest)).await?;
    }
    Ok(Findings { platform, second, visibility, endings, revoke_call: returned.duration_since(called) })
}

/// Does real work in the first mount and checks it in the second.
async fn work(report: &mut Report, first: &Path, second: &Path) -> anyhow::Result<Manifest> {
    let mut manifest = Manifest::default();
    for (name, part) in [
        ("Files of several sizes", Manifest::files_of_several_sizes as fn(&mut Manifest, &Path) -> anyhow::Result<String>),
        ("Small files", Manifest::small_files),
        ("Directories and names", Manifest::names),
    ] {
        let first = first.to_owned();
        let mut growing = std::mem::take(&mut manifest);
        let done =
            report.blocking_step(name, move || part(&mut growing, &first).map(|detail| Worked { manifest: growing, detail })).await?;
        manifest = done.manifest;
    }
    let (second_root, whole) = (second.to_owned(), manifest.clone());
    report.blocking_step("run-2 reads it all back", move || whole.verify(&second_root)).await?;
    if git::is_installed() {
        let (first, second) = (first.to_owned(), second.to_owned());
        report
            .blocking_step("git commits in run-1, clones and checks in run-2", move || git::commit_clone_and_check(&first, &second))
            .await?;
    }
    Ok(manifest)
}

/// A part of the work, done.
struct Worked {
    manifest: Manifest,
    detail: String,
}

impl report::Outcome for Worked {
    fn detail(&self) -> Option<String> {
        Some(self.detail.clone())
    }
}

/// The runtime that kept its grant notices nothing.
fn still_works(second: &Path, manifest: &Manifest) -> anyhow::Result<()> {
    let file = second.join("after-the-revocation.txt");
    std::fs::write(&file, "still here")?;
    anyhow::ensure!(std::fs::read_to_string(&file)? == "still here", "a file of run-2 does not hold what was written");
    manifest.verify(second).map(drop)
}

/// Says how to use what is kept.
fn show_kept(report: &Report, findings: &Findings, stage: &Stage) -> anyhow::Result<()> {
    let (platform, mountpoint) = (&findings.platform, findings.second.display());
    if report.output().format == Format::Json {
        return report.output().json(&json!({
            "kept": { "api_url": platform.url(), "api_key": platform.key(), "workspace": platform.workspace(), "mountpoint": findings.second }
        }));
    }
    report.output().line(&format!(
        "\nThe node and the mount of run-2 stay until you press Ctrl-C; then {} is removed.\n
In another terminal:
  export TONBO_API_URL={}
  export TONBO_API_KEY={}
  ls -l {mountpoint}
  artifacts status {mountpoint}
  artifacts platform session list
  artifacts platform ticket create acme run-3 --workspace {} --mode rw --ttl 1h --out ticket.json
  mkdir work && artifacts mount --ticket-file ticket.json work\n",
        stage.root().display(),
        platform.url(),
        platform.key(),
        platform.workspace(),
    ))
}

/// The summary.
fn conclude(report: &Report, findings: &Findings) -> anyhow::Result<()> {
    let (count, total_ms) = report.total();
    if report.output().format == Format::Json {
        return report.output().json(&json!({
            "steps": report.steps(),
            "total_ms": total_ms,
            "visibility": findings.visibility,
            "revocation": { "call_ms": report::in_ms(findings.revoke_call), "endings": findings.endings },
        }));
    }
    let last = |of: fn(&Ending) -> Duration| findings.endings.iter().map(of).max().unwrap_or_default();
    let (after_call, after_return) = (last(Ending::after_call), last(Ending::after_return));
    let failed = if after_return.is_zero() {
        format!("{} after the revoke call was made, before it returned", milliseconds(after_call))
    } else {
        format!("{} after the revoke call returned", milliseconds(after_return))
    };
    report.say(&format!(
        "\n{} {count} steps in {}.\nWhat run-1 wrote, run-2 read {} later.\n\
         Once revoked, run-1 failed for good {failed}.\nNext: `artifacts node --help`.",
        report.output().style.green("All of it works:"),
        milliseconds(Duration::from_secs_f64(total_ms / 1e3)),
        milliseconds(findings.visibility.median()),
    ))
}
