//! "Revoke and watch the mounts go out one by one."

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::Duration;
use artifacts_tests::{Credential, Lab, Mount, artifacts_binary, mounted};
use rustix::process::Signal;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(5 * 60);

/// Two that confirm, and one that hears of nothing: it is out when its lease is over.
#[test]
fn each_mount_of_a_revoked_tenant_goes_out_in_its_own_way_and_that_is_said() -> Result<()> {
    mounted("going", LIMIT, |scratch| {
        let lab = Lab::start(scratch, &json!({ "session_lease_ms": 5_000 }))?;
        let workspace = lab.workspace("w")?;
        let mount = |runtime| Mount::new(scratch, runtime, &Credential::Ticket(lab.ticket("t", runtime, &workspace, "rw")?));
        let [one, two, frozen] = [mount("one")?, mount("two")?, mount("frozen")?];
        frozen.agent().signal(Signal::STOP)?;

        let mut command = Command::new(artifacts_binary()?);
        scratch.mark(&mut command).args(["--format", "json", "platform", "grant", "revoke", "--tenant", "t", "--wait=2m"]);
        command.env("TONBO_API_URL", lab.api.base()).env("TONBO_API_KEY", lab.api.token());
        let output = command.stdin(Stdio::null()).output()?;
        frozen.agent().signal(Signal::CONT)?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        let lines = said.lines().map(serde_json::from_str::<Value>).collect::<Result<Vec<_>, _>>().with_context(|| said.clone())?;
        let (answer, outs) = lines.split_last().context("it said nothing")?;
        ensure!(answer["sessions"] == json!({ "matched": 3, "fenced": 3, "confirmed": 2 }), "{answer}");
        let mut ways: Vec<_> = outs.iter().map(|out| (out["runtime_id"].as_str(), out["how"].as_str())).collect();
        ways.sort_unstable();
        let expected = [("frozen", "lease_ended"), ("one", "confirmed"), ("two", "confirmed")];
        ensure!(ways == expected.map(|(runtime, how)| (Some(runtime), Some(how))), "{said}");
        for out in outs {
            ensure!(out["kind"] == "session_out" && out["revoked"] == "grant" && out["after_ms"].is_u64(), "{out}");
            println!("{} was out after {} ms: {}", out["runtime_id"], out["after_ms"], out["how"]);
        }

        ensure!(lab.api.list("/v1/audit?kind=session_out")? == outs, "the trail says something else");
        ensure!(lab.account("other")?.list("/v1/audit?kind=session_out")?.is_empty(), "another account hears of it");
        [one, two, frozen].into_iter().try_for_each(Mount::tear_down)
    })
}
