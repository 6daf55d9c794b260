use anyhow::{Context as _, Result, ensure};
use artifacts_tests::time::Duration;
use artifacts_tests::{Api, Lab, Reply, local};
use serde_json::{Value, json};

const HANG_GUARD: Duration = Duration::from_secs(3 * 60);

/// Puts a file.
pub(crate) fn put(api: &Api, address: &str, path: &str, content: &[u8], headers: &[(&str, &str)]) -> Result<Reply> {
    api.send_bytes("PUT", &format!("/v1/workspaces/{address}/files/{path}"), headers, Some(("application/octet-stream", content.to_vec())))
}

/// Gets a file, or a part of it.
pub(crate) fn get(api: &Api, address: &str, path: &str, headers: &[(&str, &str)]) -> Result<Reply> {
    api.send_bytes("GET", &format!("/v1/workspaces/{address}/files/{path}"), headers, None)
}

/// Text of which every part looks different.
pub(crate) fn text(len: usize, seed: usize) -> String {
    let mut text = String::with_capacity(len + 16);
    let mut at = seed;
    while text.len() < len {
        at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(&format!("{at:016x}"));
    }
    text.truncate(len);
    text
}

fn fsck(api: &Api, address: &str) -> Result<Value> {
    let report = api.post(&format!("/v1/workspaces/{address}/fsck"), &json!({ "data": true }))?;
    ensure!(report["clean"] == true, "{report}");
    Ok(report)
}

#[test]
fn a_file_of_any_length_comes_back_whole_and_in_parts() -> Result<()> {
    local("files-whole", HANG_GUARD, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let (api, address) = (&lab.api, lab.workspace("project")?);
        for (number, len) in [0, 1, 65_536, 65_537, (8 << 20) - 1, 8 << 20, (19 << 20) + 12_345].into_iter().enumerate() {
            let content = text(len, number);
            let path = format!("f{number}");
            let made = put(api, &address, &path, content.as_bytes(), &[])?;
            ensure!(made.status == 201 && made.body["size"] == len && made.body["mode"] == "0644", "{} {}", made.status, made.text);
            let got = get(api, &address, &path, &[])?;
            ensure!(got.status == 200 && got.text == content, "{len} bytes came back as {}", got.text.len());
            for (from, to) in [(0, 0), (len / 2, len / 2 + 70_000), (len.saturating_sub(10), len + 10)] {
                let got = get(api, &address, &path, &[("range", &format!("bytes={from}-{to}"))])?;
                if from >= len {
                    got.expect_error(416, "range_not_satisfiable")?;
                } else {
                    ensure!(got.status == 206 && got.text == content[from..len.min(to + 1)], "{len}: {from}-{to}: {}", got.status);
                }
            }
        }
        let report = fsck(api, &address)?;
        ensure!(report["unnamed_objects"] == 0, "{report}");
        Ok(())
    })
}

#[test]
fn a_change_says_on_what_it_depends_and_a_failed_one_leaves_nothing() -> Result<()> {
    local("files-conditions", HANG_GUARD, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let api = &lab.api;
        api.post("/v1/workspaces", &json!({ "name": "small", "quota_bytes": 1 << 20, "quota_inodes": 20 }))?;
        let address = "acme/small";
        let first = put(api, address, "f", b"first", &[("if-none-match", "*")])?;
        let tag = first.body["etag"].as_str().context("no tag")?.to_owned();
        put(api, address, "f", b"again", &[("if-none-match", "*")])?.expect_error(412, "precondition_failed")?;
        let second = put(api, address, "f?mode=0600", b"second", &[("if-match", &tag)])?;
        ensure!(second.status == 200 && second.body["mode"] == "0600", "{} {}", second.status, second.text);
        put(api, address, "f", b"third", &[("if-match", &tag)])?.expect_error(412, "precondition_failed")?;
        let tag = second.body["etag"].as_str().context("no tag")?;
        ensure!(get(api, address, "f", &[("if-none-match", tag)])?.status == 304, "it has not changed");
        ensure!(get(api, address, "f", &[])?.text == "second", "a refused change came about");

        put(api, address, "a/b/c", b"deep", &[])?.expect_error(404, "file_not_found")?;
        ensure!(put(api, address, "a/b/c?parents=true", b"deep", &[])?.status == 201, "parents are not made");
        put(api, address, "a/b", b"", &[])?.expect_error(409, "is_a_directory")?;
        get(api, address, "a", &[])?.expect_error(409, "is_a_directory")?;
        get(api, address, "f/x", &[])?.expect_error(409, "not_a_directory")?;
        get(api, address, "a%2Fb", &[])?.expect_error(422, "invalid_request")?;
        put(api, address, "big", text(2 << 20, 1).as_bytes(), &[])?.expect_error(507, "quota_exceeded")?;
        get(api, address, "big", &[])?.expect_error(404, "file_not_found")?;

        let strange = put(api, address, "%FF%20name", b"bytes", &[])?;
        ensure!(strange.body["encoded_path"] == "%FF%20name", "{}", strange.text);
        ensure!(get(api, address, "%ff%20name", &[])?.text == "bytes", "names are bytes");

        let files = format!("/v1/workspaces/{address}/files");
        let listed = api.list(&format!("{files}?recursive=true"))?;
        let paths: Vec<_> = listed.iter().filter_map(|item| item["path"].as_str()).collect();
        ensure!(paths == ["a", "a/b", "a/b/c", "f", "\u{fffd} name"], "{paths:?}");
        ensure!(api.list(&format!("{files}?path=a/b"))?.len() == 1, "one entry");
        api.send("POST", &format!("{files}/move"), Some(&json!({ "from": "a/b/c", "to": "f" })))?.expect_error(409, "file_exists")?;
        let moved = api.post(&format!("{files}/move"), &json!({ "from": "a/b/c", "to": "f", "overwrite": true }))?;
        ensure!(moved["path"] == "f" && moved["size"] == 4, "{moved}");
        ensure!(put(api, address, "move", b"a name like another", &[])?.status == 201, "a file may be called so");
        ensure!(get(api, address, "move", &[])?.text == "a name like another", "a file may be called so");

        api.send("DELETE", &format!("{files}/a"), None)?.expect_error(409, "directory_not_empty")?;
        ensure!(api.send("DELETE", &format!("{files}/a?recursive=true"), None)?.status == 204, "a tree goes");
        api.send("DELETE", &format!("{files}/a"), None)?.expect_error(404, "file_not_found")?;
        let report = fsck(api, address)?;
        ensure!(report["inodes"] == 4 && report["unnamed_objects"] == 0, "{report}");
        Ok(())
    })
}

#[test]
fn a_ticket_reaches_what_its_mount_would() -> Result<()> {
    local("files-tickets", HANG_GUARD, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let (api, address) = (&lab.api, lab.workspace("project")?);
        let other = lab.workspace("other")?;
        put(api, &address, "team/notes?parents=true", b"notes", &[])?.success()?;
        put(api, &address, "secret", b"secret", &[])?.success()?;
        let with = |body: Value| -> Result<Api> {
            let ticket = lab.ticket_with("acme-tenant", "run-1", &body)?;
            Ok(api.with_token(ticket["token"].as_str().context("no token")?))
        };
        let inside = with(json!({ "workspace": address, "mode": "rw", "ttl_seconds": 600, "subpath": "team" }))?;
        ensure!(get(&inside, &address, "notes", &[])?.text == "notes", "its root is the subpath");
        get(&inside, &address, "secret", &[])?.expect_error(404, "file_not_found")?;
        ensure!(put(&inside, &address, "mine", b"mine", &[])?.status == 201, "it may write");
        ensure!(get(api, &address, "team/mine", &[])?.text == "mine", "it is in the subpath");
        get(&inside, &other, "x", &[])?.expect_error(404, "workspace_not_found")?;
        let reader = with(json!({ "workspace": address, "mode": "ro", "ttl_seconds": 600 }))?;
        ensure!(get(&reader, &address, "secret", &[])?.text == "secret", "it reads");
        put(&reader, &address, "secret", b"changed", &[])?.expect_error(403, "forbidden")?;
        api.post("/v1/grants/revoke", &json!({ "tenant_slug": "acme-tenant" }))?;
        get(&reader, &address, "secret", &[])?.expect_error(401, "unauthorized")
    })
}
