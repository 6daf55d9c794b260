//! `artifacts sim`: whoever runs a seed again, in another process, finds the same (`docs/design/0018-simulation.md`).

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::artifacts_binary;
use serde_json::Value;

fn simulate(arguments: &[&str]) -> Result<String> {
    let output = Command::new(artifacts_binary()?).arg("sim").args(arguments).output()?;
    ensure!(output.status.success(), "sim {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

#[test]
fn two_processes_tell_the_same_trace_of_a_seed() -> Result<()> {
    let [one, other] = [simulate(&["run", "--seed", "3"])?, simulate(&["run", "--seed", "3"])?];
    ensure!(one.lines().count() > 1_000, "{one}");
    let differs = one.lines().zip(other.lines()).position(|(one, other)| one != other);
    ensure!(one == other, "they differ from line {differs:?} on");
    Ok(())
}

#[test]
fn two_processes_find_the_same_delays_of_a_seed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [one, other] = ["one.png", "other.png"].map(|name| scale(&folder.path().join(name)));
    let (one, other) = (one?, other?);
    ensure!(one.0["ended"]["all ways"]["agents"] == 24 && one.0["ended"]["proofs alone"]["p99_ms"].is_u64(), "{}", one.0);
    ensure!(one.0 == other.0, "{}\n{}", one.0, other.0);
    ensure!(one.1 == other.1 && one.1.starts_with(b"\x89PNG"), "the pictures differ");
    Ok(())
}

/// What was found, without what depends on the machine; and the picture.
fn scale(png: &Path) -> Result<(Value, Vec<u8>)> {
    let path = png.to_str().context("a path that is text")?;
    let arguments = ["scale", "--agents", "24", "--regions", "2", "--loss", "10%", "--seed", "5", "--png", path, "--format", "json"];
    let mut found: Value = serde_json::from_str(&simulate(&arguments)?)?;
    let object = found.as_object_mut().context("an object")?;
    ["took_ms", "memory_bytes"].iter().for_each(|name| drop(object.remove(*name)));
    for cost in ["cell_member", "ring_member"] {
        let cores = object.get_mut(cost).and_then(Value::as_object_mut).and_then(|cost| cost.remove("cores"));
        ensure!(cores.is_some_and(|cores| cores.is_f64()), "{cost} has its cost");
    }
    Ok((found, std::fs::read(png)?))
}
