//! `GET /v1/data/{segment}/url`, with credentials that do and that should not do.

use anyhow::{Context as _, Result, ensure};
use artifacts_core::SegmentId;
use artifacts_core::protocol::{DIRECT_URL_MAX_MS, DataPath, DirectUrl, Welcome};
use artifacts_tests::time::Duration;
use artifacts_tests::{Api, Backend, Lab, RawStream, Reply, http_client, local};
use serde_json::json;

const CONTENT: &[u8] = b"only for the workspace it was written to";

#[test]
fn a_url_is_given_to_sessions_that_stand_for_segments_of_their_own_workspace() -> Result<()> {
    local("urls", Duration::from_secs(5 * 60), |scratch| {
        if !Backend::S3.is_available()? {
            return Ok(());
        }
        let lab = Lab::start_on(Backend::S3, scratch, &json!({}))?;
        let (project, elsewhere) = (lab.workspace("project")?, lab.workspace("elsewhere")?);
        let open = |tenant: &str, address: &str, mode: &str| {
            RawStream::open_with_ticket(lab.node.port(), &lab.ticket(tenant, "r", address, mode)?)
        };
        let (_owner_stream, owner) = open("owner", &project, "rw")?;
        let (_reader_stream, reader) = open("reader", &project, "ro")?;
        let (_other_stream, other) = open("other", &elsewhere, "rw")?;
        let (gone_stream, gone) = open("gone", &project, "rw")?;
        gone_stream.goodbye()?;
        ensure!(owner.data_path == DataPath::Direct, "a session on S3 is told {:?}", owner.data_path);

        let (http, api) = (http_client(Duration::from_secs(60))?, lab.api.without_token());
        let segment = SegmentId::from_bits(0x1234_5678_9abc);
        let len = CONTENT.len();
        let put = signed(&ask(&api, Some(&bearer(&owner)), segment, &format!("?op=put&len={len}"))?)?;
        ensure!(put.method == "PUT" && put.expires_in_ms <= DIRECT_URL_MAX_MS, "{put:?}");
        let mut request = http.put(&put.url).body(CONTENT);
        for (name, value) in put.headers.iter().filter(|(name, _)| *name != "content-length") {
            request = request.header(name, value);
        }
        ensure!(request.send()?.status() == 200, "the signed put is refused");

        // Both ways lead to the same object.
        let proxied = api.with_token(&bearer(&owner)).send_bytes("GET", &format!("/v1/data/{segment}"), &[("range", "bytes=0-3")], None)?;
        ensure!(proxied.status == 206 && proxied.text == "only", "through the node: {} {}", proxied.status, proxied.text);
        for session in [&owner, &reader] {
            let get = signed(&ask(&api, Some(&bearer(session)), segment, "?op=get")?)?;
            let answer = http.get(&get.url).header("range", "bytes=5-7").send()?;
            ensure!(answer.status() == 206 && answer.text()? == "for", "the signed get of {}", session.session);
        }
        // What the other workspace is given is a request for its own segment of this id, which there is none of.
        let foreign = signed(&ask(&api, Some(&bearer(&other)), segment, "?op=get")?)?;
        ensure!(http.get(&foreign.url).send()?.status() == 404, "another workspace reads the segment");

        let refused = [("?op=put&len=5", &reader, 403, "forbidden"), ("?op=put&len=0", &owner, 422, "invalid_request")];
        for (query, session, status, code) in refused {
            ask(&api, Some(&bearer(session)), segment, query)?.expect_error(status, code)?;
        }
        for query in ["", "?op=delete", "?op=put", "?op=get&len=4", "?op=put&len=-1", "?op=put&len=x"] {
            ask(&api, Some(&bearer(&owner)), segment, query)?.expect_error(422, "invalid_request")?;
        }
        ask(&api, Some(&bearer(&owner)), segment, "?op=put&len=8388609")?.expect_error(413, "payload_too_large")?;
        let wrong = [
            None,
            Some(format!("{}.guess", owner.session)),
            Some(format!("{}.{}", owner.session, other.secret)),
            Some(bearer(&gone)),
            Some(lab.api.token().to_owned()),
        ];
        for credential in &wrong {
            for query in ["?op=get", "?op=put&len=5"] {
                ask(&api, credential.as_deref(), segment, query)?.expect_error(401, "unauthorized")?;
            }
        }
        lab.api.post("/v1/grants/revoke", &json!({ "tenant_slug": "owner" }))?;
        ask(&api, Some(&bearer(&owner)), segment, "?op=get")?.expect_error(401, "unauthorized")
    })
}

/// A URL does not outlive the session's own end, where that is known.
#[test]
fn a_url_ends_with_its_session() -> Result<()> {
    local("url-ends", Duration::from_secs(5 * 60), |scratch| {
        if !Backend::S3.is_available()? {
            return Ok(());
        }
        let lab = Lab::start_on(Backend::S3, scratch, &json!({}))?;
        let project = lab.workspace("project")?;
        let ticket = lab.ticket_with("brief", "r", &json!({ "workspace": project, "mode": "ro", "ttl_seconds": 20 }))?;
        let (_stream, welcome) = RawStream::open_with_ticket(lab.node.port(), &ticket)?;
        let get = signed(&ask(&lab.api.without_token(), Some(&bearer(&welcome)), SegmentId::from_bits(1), "?op=get")?)?;
        ensure!((1..=20_000).contains(&get.expires_in_ms), "{get:?} in a session of 20 s");
        Ok(())
    })
}

#[test]
fn a_node_that_proxies_signs_nothing() -> Result<()> {
    local("no-urls", Duration::from_secs(5 * 60), |scratch| {
        if !Backend::S3Proxied.is_available()? {
            return Ok(());
        }
        let lab = Lab::start_on(Backend::S3Proxied, scratch, &json!({}))?;
        let project = lab.workspace("project")?;
        let (_stream, welcome) = RawStream::open_with_ticket(lab.node.port(), &lab.ticket("t", "r", &project, "rw")?)?;
        ensure!(welcome.data_path == DataPath::Proxied, "told {:?}", welcome.data_path);
        ask(&lab.api.without_token(), Some(&bearer(&welcome)), SegmentId::from_bits(1), "?op=get")?.expect_error(422, "invalid_request")
    })
}

fn bearer(welcome: &Welcome) -> String {
    format!("{}.{}", welcome.session, welcome.secret)
}

fn ask(api: &Api, bearer: Option<&str>, segment: SegmentId, query: &str) -> Result<Reply> {
    let api = bearer.map_or_else(|| api.clone(), |bearer| api.with_token(bearer));
    api.send("GET", &format!("/v1/data/{segment}/url{query}"), None)
}

fn signed(reply: &Reply) -> Result<DirectUrl> {
    ensure!(reply.status == 200, "no URL: {} {}", reply.status, reply.text);
    serde_json::from_value(reply.body.clone()).with_context(|| format!("no URL in {}", reply.text))
}
