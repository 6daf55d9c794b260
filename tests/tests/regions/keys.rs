use anyhow::{Context as _, Result, ensure};
use artifacts_tests::mounted;
use artifacts_tests::time::now;
use serde_json::json;

use crate::fixture::{ALL, LIMIT, World};

/// "An unknown key costs little and answers 401", also one that names another region; whoever is known there is not held up by it.
#[test]
fn garbage_costs_another_region_little() -> Result<()> {
    mounted("regions-keys", LIMIT, |scratch| {
        World::run(scratch, |world| {
            let key = world.account(2, "uncle", "us")?;
            ensure!(key.ends_with("_us"), "a key says its region");
            for node in ALL {
                for unknown in ["tbo_unknown", "tbo_unknown_us", "tbo_unknown_mars", "a.b.c", "a.b_us"] {
                    let answer = world.api(node, unknown)?.send("GET", "/v1/whoami", None)?;
                    answer.expect_error(401, "unauthorized").with_context(|| format!("{unknown} at n{node}"))?;
                }
            }
            let api = world.api(0, &key)?;
            api.get("/v1/whoami")?;
            api.post("/v1/workspaces", &json!({ "name": "w" }))?;
            let ticket = world.ticket(0, &key, "uncle/w", "t")?;
            let (signed, signature) = ticket["token"].as_str().and_then(|token| token.rsplit_once('.')).context("token")?;
            let forged: String = signature.chars().rev().collect();
            for node in ALL {
                let list = |token: &str| world.api(node, token)?.send("GET", "/v1/workspaces/uncle/w/locks", None);
                ensure!(list(&format!("{signed}.{signature}"))?.status == 200);
                list(&format!("{signed}.{forged}"))?.expect_error(401, "unauthorized")?;
            }
            let (start, mut passed, mut held) = (now(), 0u64, 0);
            for number in 0..400 {
                let answer = world.api(0, &format!("tbo_{number:032}_us"))?.send("GET", "/v1/whoami", None)?;
                match answer.status {
                    401 => passed += 1,
                    429 => {
                        ensure!(answer.retry_after.is_some());
                        held += 1;
                    }
                    other => anyhow::bail!("{other}: {}", answer.text),
                }
            }
            let took = start.elapsed();
            println!("of 400 unknown keys {passed} were shown to the other region in {took:?}, {held} were not");
            ensure!(passed <= 110 + 50 * (took.as_secs() + 1), "{passed} in {took:?}");
            api.get("/v1/whoami")?;
            // One that was refused is refused again without a question.
            let again = world.api(1, "tbo_once_us")?;
            for _ in 0..300 {
                again.send("GET", "/v1/whoami", None)?.expect_error(401, "unauthorized")?;
            }
            Ok(())
        })
    })
}
