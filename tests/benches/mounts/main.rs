//! What several mounts of one workspace cost each other: how soon one sees what another does, how soon a lock is handed on,
//! how they share it, and how fast they make files side by side. `docs/benchmarks.md` says what the numbers mean.
//!
//! `BENCH_SCALE=0.1` does a tenth of it.

mod creation;
mod locks;
mod spread;
mod visibility;

use std::fs;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::Duration;
use artifacts_tests::{Lab, Mount, local, require_fuse, target_dir};
use serde_json::{Value, json};

/// The most mounts that anything is measured with.
const MOUNTS: usize = 8;

fn main() -> Result<()> {
    require_fuse()?;
    let scale = scale()?;
    local("bench-mounts", Duration::from_secs(60 * 60), |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let mut all = serde_json::Map::new();
        all.insert("scale".to_owned(), json!(scale));

        let (mounts, of) = (mounts(&lab, "visibility", 2)?, |full: usize| ((full as f64 * scale) as usize).max(20));
        all.insert("visibility".to_owned(), visibility::measure(&mounts, of(1_000))?);
        let are_shared = locks::hold_between(&mounts[0], &mounts[1])?;
        if are_shared {
            all.insert("hand_off".to_owned(), locks::hand_off(&mounts, of(500))?);
        } else {
            println!("\nflock between mounts: the kernel keeps locks to the mount they are taken on, so there is no hand-off to measure");
        }
        end(mounts)?;

        all.insert("creation".to_owned(), creation::measure(&lab, of(1_000))?);
        if are_shared {
            let (seconds, mounts) = ((30.0 * scale).max(3.0), self::mounts(&lab, "fairness", MOUNTS)?);
            all.insert("fairness".to_owned(), locks::fairness(&mounts, Duration::from_secs_f64(seconds))?);
            end(mounts)?;
        }
        let dir = target_dir()?.join("bench");
        fs::create_dir_all(&dir)?;
        let file = dir.join("mounts.json");
        fs::write(&file, serde_json::to_string_pretty(&Value::Object(all))?)?;
        println!("\nall of it is in {}", file.display());
        Ok(())
    })
}

/// So many mounts of a new workspace.
fn mounts(lab: &Lab, name: &str, count: usize) -> Result<Vec<Mount>> {
    let workspace = lab.workspace(name)?;
    (0..count).map(|number| lab.mount(&format!("{name}-{number}"), &workspace)).collect()
}

fn end(mounts: Vec<Mount>) -> Result<()> {
    mounts.into_iter().try_for_each(Mount::unmount)
}

fn scale() -> Result<f64> {
    let factor = std::env::var("BENCH_SCALE").ok().map_or(Ok(1.0), |text| text.parse().with_context(|| format!("BENCH_SCALE={text}")))?;
    ensure!(factor > 0.0 && factor <= 1.0, "BENCH_SCALE is above 0 and at most 1");
    Ok(factor)
}
