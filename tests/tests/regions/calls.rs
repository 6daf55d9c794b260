use anyhow::{Context as _, Result, ensure};
use artifacts_tests::mounted;
use artifacts_tests::time::wait_until;
use serde_json::json;

use crate::fixture::{ALL, EU, LIMIT, PATIENCE, US, World, region};

/// "API through any node of either region", wherever account and workspace are.
#[test]
fn any_node_of_any_region_answers() -> Result<()> {
    mounted("regions-calls", LIMIT, |scratch| {
        World::run(scratch, |world| {
            // Each made at a node of the other region.
            let accounts = [("acme", "eu", world.account(2, "acme", "eu")?), ("uncle", "us", world.account(1, "uncle", "us")?)];
            let lookup = |node, token: &str| world.api(node, token);
            for (handle, home, key) in &accounts {
                for (name, region) in [("near", None), ("in-eu", Some("eu")), ("in-us", Some("us"))] {
                    let made = lookup(3, key)?.post("/v1/workspaces", &json!({ "name": name, "region": region }))?;
                    ensure!(made["region"] == region.unwrap_or(home) && made["handle"] == *handle, "{made}");
                }
                for node in ALL {
                    let api = lookup(node, key)?;
                    let whoami = api.get("/v1/whoami")?;
                    ensure!(whoami["account"]["handle"] == *handle && whoami["account"]["region"] == *home, "{whoami}");
                    let listed = api.list("/v1/workspaces")?;
                    ensure!(listed.len() == 3 + node, "{listed:?}");
                    ensure!(listed.iter().all(|workspace| workspace["usage"]["inodes"] == 1), "{listed:?}");
                    for name in ["near", "in-eu", "in-us"] {
                        let path = format!("/v1/workspaces/{handle}/{name}");
                        ensure!(api.get(&path)?["status"] == "active");
                        ensure!(api.get(&format!("{path}/usage"))?["segments"] == 0);
                        ensure!(api.post(&format!("{path}/fsck"), &json!({}))?["clean"] == true);
                        let held = api.post(&format!("{path}/locks/l/acquire"), &json!({ "mode": "exclusive", "ttl_ms": 60_000 }))?;
                        let other = lookup((node + 2) % 4, key)?;
                        ensure!(other.list(&format!("{path}/locks"))?.len() == 1);
                        other.post(&format!("{path}/locks/l/release"), &json!({ "lock_id": held["lock_id"] }))?;
                    }
                    let more = api.post("/v1/api-keys", &json!({ "name": "more" }))?;
                    lookup((node + 2) % 4, more["key"].as_str().context("key")?)?.get("/v1/whoami")?;
                    let made = api.post("/v1/workspaces", &json!({ "name": format!("by-{node}"), "region": region(node) }))?;
                    ensure!(made["region"] == region(node), "{made}");
                }
                let api = lookup(0, key)?;
                api.send("POST", "/v1/workspaces", Some(&json!({ "name": "x", "region": "mars" })))?
                    .expect_error(422, "invalid_request")?;
                api.send("GET", "/v1/workspaces/nobody/near", None)?.expect_error(404, "workspace_not_found")?;
                ensure!(api.get("/v1/usage")?["total"]["workspaces"] == 7);
                // One that is deleted is gone where it was.
                for name in ["in-eu", "in-us"] {
                    let path = format!("/v1/workspaces/{handle}/{name}");
                    ensure!(api.delete(&path)?["status"] == "deleting");
                    wait_until("it is gone", PATIENCE, || Ok(api.send("GET", &path, None)?.status == 404))?;
                }
            }
            // Nodes ask other regions for their keys now and then.
            let told_by = |node| -> Result<Vec<String>> {
                let told = lookup(node, "")?.without_token().get("/.well-known/jwks.json")?;
                let mut kids: Vec<_> = told["keys"].as_array().context("keys")?.iter().map(|key| key["kid"].to_string()).collect();
                kids.sort();
                Ok(kids)
            };
            wait_until("all nodes tell the keys of both regions", PATIENCE, || {
                let kids = told_by(0)?;
                Ok(kids.len() == 2 && ALL.into_iter().map(told_by).all(|told| told.is_ok_and(|told| told == kids)))
            })?;
            Ok(())
        })
    })
}

/// "Handles are unique over regions."
#[test]
fn a_handle_is_given_once_in_all_regions() -> Result<()> {
    mounted("regions-handles", LIMIT, |scratch| {
        World::run(scratch, |world| {
            world.account(0, "acme", "eu")?;
            world.account(2, "uncle", "us")?;
            for node in ALL {
                for (handle, region) in [("acme", "eu"), ("acme", "us"), ("uncle", "eu"), ("uncle", "us")] {
                    let body = json!({ "handle": handle, "region": region });
                    world.admin(node)?.send("POST", "/v1/accounts", Some(&body))?.expect_error(409, "handle_exists")?;
                }
            }
            world
                .admin(1)?
                .send("POST", "/v1/accounts", Some(&json!({ "handle": "x", "region": "mars" })))?
                .expect_error(422, "invalid_request")?;
            // Without a word it is the region of the node that is called.
            ensure!(world.admin(3)?.post("/v1/accounts", &json!({ "handle": "near" }))?["account"]["region"] == "us");
            for round in 0..10 {
                let handle = format!("both{round}");
                let made: Vec<u16> = std::thread::scope(|scope| {
                    let one = |node: usize| {
                        let body = json!({ "handle": handle, "region": region(node) });
                        Ok::<_, anyhow::Error>(world.admin(node)?.send("POST", "/v1/accounts", Some(&body))?.status)
                    };
                    let both = ALL.map(|node| scope.spawn(move || one(node)));
                    both.map(|thread| thread.join().expect("no panic")).into_iter().collect::<Result<_>>()
                })?;
                ensure!(made.iter().filter(|status| **status == 201).count() == 1, "{made:?}");
                ensure!(made.iter().filter(|status| **status == 409).count() == 3, "{made:?}");
            }
            Ok(())
        })
    })
}

/// While nodes go by different lists, some would not ask the others about a handle; and what is made in a bucket is looked for in
/// its region.
#[test]
fn nodes_that_disagree_make_no_accounts_and_do_not_use_each_others_buckets() -> Result<()> {
    mounted("regions-lists", LIMIT, |scratch| {
        World::run(scratch, |world| {
            let (of_eu, of_us) = ("the bucket is that of region `eu`", "the bucket is that of region `us`");
            for (bucket_of, region, regions, why) in [
                (US[0], "eu", &["eu", "us"][..], of_us),
                (EU[0], "us", &["eu", "us"], of_eu),
                (US[0], "us", &["us", "eu"], of_us),
                (US[0], "us", &[], of_us),
                (EU[0], "eu", &["us"], "is not in the list of regions"),
            ] {
                let said = world.start_other(bucket_of, region, regions)?.err().context("it took a bucket that is another region's")?;
                ensure!(said.contains(why), "{region} of {regions:?}: {said}");
            }
            let started = world.start_other(EU[0], "eu", &["eu", "us", "ap"])?;
            let mut other = started.map_err(|said| anyhow::anyhow!("it does not start: {said}"))?;
            let make = |handle: &str, node: usize| world.admin(node)?.send("POST", "/v1/accounts", Some(&json!({ "handle": handle })));
            wait_until("all know of the other list", PATIENCE, || {
                let mut refused = 0;
                for node in ALL {
                    let answer = make(&format!("while-{node}-{refused}"), node)?;
                    refused += usize::from(answer.status == 503 && answer.text.contains("ring.regions"));
                }
                Ok(refused == ALL.len())
            })?;
            ensure!(other.terminate()?.success());
            for node in ALL {
                let mut last = None;
                let made = wait_until("accounts are made again", PATIENCE, || {
                    let answer = make(&format!("after-{node}"), node)?;
                    let is_made = answer.status == 201;
                    last = Some(answer.text);
                    Ok(is_made)
                });
                made.with_context(|| format!("last: {last:?}"))?;
            }
            Ok(())
        })
    })
}
