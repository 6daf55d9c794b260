//! The data endpoints with credentials that should not do.

use anyhow::{Result, ensure};
use artifacts_core::SegmentId;
use artifacts_core::protocol::Welcome;
use artifacts_tests::time::Duration;
use artifacts_tests::{Api, Lab, RawStream, Reply, local};
use serde_json::json;

const CONTENT: &[u8] = b"only for the workspace it was written to";

#[test]
fn segments_are_reached_by_their_own_workspace_alone() -> Result<()> {
    local("data", Duration::from_secs(2 * 60), |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let (project, elsewhere) = (lab.workspace("project")?, lab.workspace("elsewhere")?);
        let open = |tenant: &str, address: &str, mode: &str| {
            RawStream::open_with_ticket(lab.node.port(), &lab.ticket(tenant, "r", address, mode)?)
        };
        let (mut owner_stream, owner) = open("owner", &project, "rw")?;
        let (_reader_stream, reader) = open("reader", &project, "ro")?;
        let (_other_stream, other) = open("other", &elsewhere, "rw")?;
        let (gone_stream, gone) = open("gone", &project, "rw")?;
        gone_stream.goodbye()?;

        let segment = SegmentId::from_bits(0x1234_5678_9abc);
        let api = lab.api.without_token();
        ensure!(put(&api, Some(&bearer(&owner)), segment, CONTENT)?.status == 201, "the owner cannot write");
        let read = get(&api, Some(&bearer(&owner)), segment)?;
        ensure!(read.status == 206 && read.text.as_bytes() == CONTENT, "the owner reads {} {}", read.status, read.text);
        ensure!(get(&api, Some(&bearer(&reader)), segment)?.text.as_bytes() == CONTENT, "the reader cannot read");

        let beyond = api.send_bytes(
            "GET",
            &format!("/v1/data/{segment}"),
            &[("authorization", &format!("Bearer {}", bearer(&owner))), ("range", "bytes=5-1000000")],
            None,
        )?;
        ensure!(beyond.status == 206 && beyond.text.as_bytes() == &CONTENT[5..], "behind the end: {} {}", beyond.status, beyond.text);

        get(&api, Some(&bearer(&other)), segment)?.expect_error(404, "not_found")?;
        put(&api, Some(&bearer(&reader)), SegmentId::from_bits(77), CONTENT)?.expect_error(403, "forbidden")?;
        let wrong = [
            None,
            Some(format!("{}.guess", owner.session)),
            Some(format!("{}.{}", owner.session, other.secret)),
            Some(format!("{}.{}", other.session, owner.secret)),
            Some(format!("{}.", owner.session)),
            Some(owner.secret.clone()),
            Some(bearer(&gone)),
            Some(lab.api.token().to_owned()),
            Some(lab.ticket("owner", "r", &project, "rw")?["token"].as_str().unwrap_or("").to_owned()),
        ];
        for credential in &wrong {
            get(&api, credential.as_deref(), segment)?.expect_error(401, "unauthorized")?;
            put(&api, credential.as_deref(), SegmentId::from_bits(78), CONTENT)?.expect_error(401, "unauthorized")?;
        }
        // A segment never changes, not even for its owner; the same bytes again are fine.
        ensure!(put(&api, Some(&bearer(&owner)), segment, CONTENT)?.status == 201, "the same bytes again are refused");
        let other_bytes = put(&api, Some(&bearer(&owner)), segment, b"other bytes")?;
        ensure!(other_bytes.status == 409, "other bytes under the same id: {} {}", other_bytes.status, other_bytes.text);
        ensure!(get(&api, Some(&bearer(&owner)), segment)?.text.as_bytes() == CONTENT, "the segment has changed");
        for refused in [77, 78] {
            get(&api, Some(&bearer(&owner)), SegmentId::from_bits(refused))?.expect_error(404, "not_found")?;
        }
        // The same id in another workspace is another segment.
        ensure!(put(&api, Some(&bearer(&other)), segment, b"elsewhere")?.status == 201, "an id is taken by another workspace");
        ensure!(get(&api, Some(&bearer(&owner)), segment)?.text.as_bytes() == CONTENT, "two workspaces share a segment");

        lab.api.post("/v1/grants/revoke", &json!({ "tenant_slug": "owner" }))?;
        get(&api, Some(&bearer(&owner)), segment)?.expect_error(401, "unauthorized")?;
        put(&api, Some(&bearer(&owner)), SegmentId::from_bits(79), CONTENT)?.expect_error(401, "unauthorized")?;
        ensure!(owner_stream.expect_standing().is_err(), "the revoked session still gets proofs");
        Ok(())
    })
}

fn bearer(welcome: &Welcome) -> String {
    format!("{}.{}", welcome.session, welcome.secret)
}

fn get(api: &Api, bearer: Option<&str>, segment: SegmentId) -> Result<Reply> {
    call(api, bearer, "GET", segment, None)
}

fn put(api: &Api, bearer: Option<&str>, segment: SegmentId, content: &[u8]) -> Result<Reply> {
    call(api, bearer, "PUT", segment, Some(content))
}

fn call(api: &Api, bearer: Option<&str>, method: &str, segment: SegmentId, content: Option<&[u8]>) -> Result<Reply> {
    let api = bearer.map_or_else(|| api.clone(), |bearer| api.with_token(bearer));
    let range = format!("bytes=0-{}", CONTENT.len() - 1);
    let body = content.map(|content| ("application/octet-stream", content.to_vec()));
    api.send_bytes(method, &format!("/v1/data/{segment}"), &[("range", &range)], body)
}
