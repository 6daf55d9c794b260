//! How long a fork takes. `FORK_FILES` and `FORK_BYTES` make it larger: `make test-forks` does what the product promises.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::{Duration, now, wait_until};
use artifacts_tests::{Lab, greedy, require_fuse};
use serde_json::json;

use super::isolation::fsck;

const HANG_GUARD: Duration = Duration::from_secs(60 * 60);
/// What the product promises, for 100,000 files and 1 GiB.
const PROMISED: Duration = Duration::from_secs(3);
const FILES_IN_A_DIRECTORY: usize = 1_000;

fn of_environment(name: &str, usual: usize) -> Result<usize> {
    match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name}={text}")),
        Err(_) => Ok(usual),
    }
}

#[test]
fn a_fork_copies_no_data_and_takes_its_time_by_the_number_of_files() -> Result<()> {
    require_fuse()?;
    greedy("forks-scale", HANG_GUARD, |scratch| {
        let (files, bytes) = (of_environment("FORK_FILES", 5_000)?, of_environment("FORK_BYTES", 50 << 20)?);
        let lab = Lab::start(scratch, &json!({}))?;
        let (api, address) = (&lab.api, lab.workspace("origin")?);
        let mount = lab.mount("origin", &address)?;
        let content = vec![b'x'; bytes / files];
        for number in 0..files {
            let dir = mount.join(format!("d{}", number / FILES_IN_A_DIRECTORY));
            if number % FILES_IN_A_DIRECTORY == 0 {
                fs::create_dir(&dir)?;
            }
            fs::write(dir.join(format!("f{number}")), &content)?;
        }
        mount.unmount()?;
        let usage = format!("/v1/workspaces/{address}/usage");
        wait_until("small data is packed", Duration::from_secs(600), || Ok(api.get(&usage)?["inline_bytes"] == 0))?;
        let stored = api.get(&usage)?["stored_bytes"].clone();
        let objects = fsck(api, &address)?["objects"].clone();
        for name in ["fork-1", "fork-2"] {
            let begun = now();
            api.post(&format!("/v1/workspaces/{address}/fork"), &json!({ "name": name }))?;
            let took = begun.elapsed();
            println!("{name}: {files} files, {bytes} bytes in {} ms", took.as_millis());
            if files >= 100_000 {
                ensure!(took < PROMISED, "{name} took {took:?}");
            }
            let report = fsck(api, &format!("acme/{name}"))?;
            ensure!(report["objects"] == 0 && report["segments"] == objects, "data was copied: {report}");
            ensure!(report["inodes"].as_u64() == Some((1 + files.div_ceil(FILES_IN_A_DIRECTORY) + files) as u64), "{report}");
            ensure!(api.get(&format!("/v1/workspaces/acme/{name}/usage"))?["stored_bytes"] == stored, "it holds something else");
        }
        Ok(())
    })
}
