//! API calls whose content breaks a rule.

use anyhow::{Context as _, Result, bail, ensure};
use artifacts_tests::time::Duration;
use artifacts_tests::{Api, Lab, Reply, local};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(3 * 60);

/// One request and the codes with which it may be refused.
struct Case {
    what: String,
    method: &'static str,
    path: String,
    body: Option<Value>,
    codes: &'static [&'static str],
}

const INVALID: &[&str] = &["invalid_request"];
const INVALID_OR_MISSING: &[&str] = &["invalid_request", "tenant_not_found", "workspace_not_found", "not_found"];

#[test]
fn values_outside_their_rules_are_refused() -> Result<()> {
    local("values", LIMIT, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        lab.workspace("project")?;
        lab.api.post("/v1/tenants", &json!({ "slug": "tenant" }))?;
        let count = || -> Result<Vec<usize>> {
            ["/v1/tenants", "/v1/workspaces", "/v1/grants", "/v1/api-keys"].iter().map(|path| Ok(lab.api.list(path)?.len())).collect()
        };
        let before = count()?;
        let mut wrong = Vec::new();
        for case in [slugs(), times(), rights(), pages(), others()].concat() {
            let Case { what, method, path, body, codes } = case;
            let reply = lab.api.send(method, &path, body.as_ref()).with_context(|| what.clone())?;
            if let Err(error) = expect_one_of(&reply, codes) {
                wrong.push(format!("{what}: {method} {path} {}: {error:#}", body.unwrap_or_default()));
            }
            lab.api.get("/v1/whoami").with_context(|| format!("after {what}"))?;
        }
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        ensure!(count()? == before, "a refused request made something: {before:?}, {:?}", count()?);
        Ok(())
    })
}

impl Clone for Case {
    fn clone(&self) -> Self {
        Self { what: self.what.clone(), method: self.method, path: self.path.clone(), body: self.body.clone(), codes: self.codes }
    }
}

fn case(
    what: impl Into<String>,
    method: &'static str,
    path: impl Into<String>,
    body: Option<Value>,
    codes: &'static [&'static str],
) -> Case {
    Case { what: what.into(), method, path: path.into(), body, codes }
}

fn slugs() -> Vec<Case> {
    let long = |length| "a".repeat(length);
    let mut cases = Vec::new();
    for slug in ["", "-a", "A", "a_b", "a/b", "a b", "é", "a\u{0}b", "..", &long(64), &long(10_000)] {
        cases.push(case("a tenant's slug", "POST", "/v1/tenants", Some(json!({ "slug": slug })), INVALID));
        cases.push(case(
            "a slug in a grant",
            "POST",
            "/v1/workspaces/acme/project/grants",
            Some(json!({ "tenant_slug": slug, "mode": "ro" })),
            INVALID,
        ));
        cases.push(case("a slug to revoke", "POST", "/v1/grants/revoke", Some(json!({ "tenant_slug": slug })), INVALID_OR_MISSING));
    }
    for name in ["", "_a", "-a", "a.b", "a b", "ä", "a/b", &long(64)] {
        cases.push(case("a workspace's name", "POST", "/v1/workspaces", Some(json!({ "name": name })), INVALID));
    }
    for value in [json!(1), json!(null), json!([]), json!({}), json!(true)] {
        cases.push(case("a slug that is no text", "POST", "/v1/tenants", Some(json!({ "slug": value })), INVALID));
    }
    for path in [
        "/v1/tenants/UPPER",
        "/v1/tenants/a%00b",
        "/v1/tenants/%ff",
        "/v1/tenants/a%2Fb",
        "/v1/workspaces/acme/a.b",
        "/v1/workspaces/ACME/project",
    ] {
        cases.push(case("a name in a path", "GET", path, None, INVALID_OR_MISSING));
    }
    let ticket = json!({ "workspace": "acme/project", "mode": "rw", "ttl_seconds": 60 });
    for runtime in ["a%20b", "a%2Fb", "%C3%A9", "%00", &long(129)] {
        let path = format!("/v1/tenants/tenant/runtimes/{runtime}/mount-tickets");
        cases.push(case("a runtime's id", "POST", path, Some(ticket.clone()), INVALID_OR_MISSING));
    }
    for id in ["x", "grt_", "grt_0", "ws_00000000000000000000000000", "grt_zzzzzzzzzzzzzzzzzzzzzzzzzz"] {
        let codes: &[&str] = &["invalid_request", "grant_not_found"];
        cases.push(case("a grant's id", "GET", format!("/v1/grants/{id}"), None, codes));
    }
    cases
}

fn times() -> Vec<Case> {
    let path = "/v1/tenants/tenant/runtimes/runtime/mount-tickets";
    let mut cases = Vec::new();
    for ttl in [
        json!(0),
        json!(-1),
        json!(86_401),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e30),
        json!(1.5),
        json!("60"),
        json!(null),
        json!([60]),
    ] {
        let body = json!({ "workspace": "acme/project", "mode": "rw", "ttl_seconds": ttl });
        cases.push(case("a ticket's life", "POST", path, Some(body), INVALID));
    }
    cases.push(case("a ticket without a life", "POST", path, Some(json!({ "workspace": "acme/project", "mode": "rw" })), INVALID));
    for ttl in [json!(0), json!(-1), json!(i64::MIN), json!(1e30), json!("60"), json!(0.5)] {
        let body = json!({ "tenant_slug": "tenant", "mode": "rw", "ttl_seconds": ttl });
        cases.push(case("a grant's life", "POST", "/v1/workspaces/acme/project/grants", Some(body), INVALID));
    }
    for expires_at in [json!("yesterday"), json!("2001-01-01T00:00:00Z"), json!(-1), json!("2020-13-45T99:99:99Z"), json!({})] {
        cases.push(case("a key's end", "POST", "/v1/api-keys", Some(json!({ "expires_at": expires_at })), INVALID));
    }
    for wait_ms in [json!(-1), json!("x"), json!(1e300)] {
        cases.push(case("a wait", "POST", "/v1/grants/revoke", Some(json!({ "tenant_slug": "tenant", "wait_ms": wait_ms })), INVALID));
    }
    cases
}

fn rights() -> Vec<Case> {
    let mut cases = Vec::new();
    let path = "/v1/tenants/tenant/runtimes/runtime/mount-tickets";
    for mode in [json!(""), json!("RW"), json!("rwx"), json!(null), json!(7)] {
        let body = json!({ "workspace": "acme/project", "mode": mode, "ttl_seconds": 60 });
        cases.push(case("a mode", "POST", path, Some(body), INVALID));
    }
    for subpath in ["", "/", "/etc", "..", "a/../b", "a//b", "./a", "a/.", "a\u{0}b", &"x".repeat(256), &"x/".repeat(2_100)] {
        let body = json!({ "workspace": "acme/project", "mode": "rw", "ttl_seconds": 60, "subpath": subpath });
        cases.push(case("a subpath", "POST", path, Some(body), INVALID));
    }
    for workspace in ["", "/", "a/b/c", "http://acme/project", "acme/", "/project", "acme/pro ject", "artifacts://project"] {
        let body = json!({ "workspace": workspace, "mode": "rw", "ttl_seconds": 60 });
        cases.push(case("a workspace's address", "POST", path, Some(body), INVALID));
    }
    for scope in [json!("all"), json!([]), json!({ "mode": "admin" }), json!({ "tenant": "A B" }), json!({ "workspace": "//" })] {
        cases.push(case("a scope", "POST", "/v1/api-keys", Some(json!({ "scope": scope })), INVALID));
    }
    cases
}

fn pages() -> Vec<Case> {
    let mut cases = Vec::new();
    for query in ["limit=0", "limit=-1", "limit=x", "limit=99999999999999999999", "cursor=x", "cursor=%00", "limit=1&cursor=AAAA"] {
        for list in ["/v1/tenants", "/v1/workspaces", "/v1/grants", "/v1/api-keys", "/v1/sessions"] {
            cases.push(case("a page", "GET", format!("{list}?{query}"), None, INVALID));
        }
    }
    cases.push(case("a filter", "GET", "/v1/grants?tenant_slug=A%20B", None, INVALID));
    cases
}

fn others() -> Vec<Case> {
    let mut cases = Vec::new();
    for quota in [json!(-1), json!(1.5), json!("1"), json!(1e30)] {
        cases.push(case("a quota", "POST", "/v1/workspaces", Some(json!({ "name": "quota", "quota_bytes": quota })), INVALID));
    }
    for metadata in [json!("text"), json!([1]), json!({ "large": "x".repeat(17 * 1024) })] {
        cases.push(case("metadata", "POST", "/v1/tenants", Some(json!({ "slug": "meta", "metadata": metadata })), INVALID));
    }
    cases.push(case("no such path", "GET", "/v1/nothing", None, &["not_found"]));
    cases.push(case("no such path", "GET", "/", None, &["not_found"]));
    cases.push(case("a method that is not there", "PATCH", "/v1/tenants", None, &["method_not_allowed"]));
    cases.push(case("a method that is not there", "DELETE", "/v1/whoami", None, &["method_not_allowed"]));
    cases
}

/// Bodies that are no JSON, or far too much of it.
#[test]
fn bodies_that_are_no_json_are_refused() -> Result<()> {
    local("bodies", LIMIT, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let deep = [vec![b'['; 30_000], vec![b']'; 30_000]].concat();
        let bodies: Vec<(&str, Vec<u8>)> = vec![
            ("nothing", Vec::new()),
            ("invalid UTF-8 in a value", b"{\"slug\":\"a\xff\xfe\"}".to_vec()),
            ("invalid UTF-8 in a name", b"{\"slug\xc3\x28\":\"a\"}".to_vec()),
            ("half a surrogate", b"{\"slug\":\"\\ud800\"}".to_vec()),
            ("cut short", b"{\"slug\":\"a".to_vec()),
            ("two documents", b"{\"slug\":\"a\"}{\"slug\":\"b\"}".to_vec()),
            ("no object", b"[1,2,3]".to_vec()),
            ("a number", b"1e999999".to_vec()),
            ("NaN", b"{\"slug\":NaN}".to_vec()),
            ("the same field twice", b"{\"slug\":\"a\",\"slug\":\"b\"}".to_vec()),
            ("deeply nested", deep),
            ("not JSON at all", vec![0; 1000]),
        ];
        for path in ["/v1/tenants", "/v1/grants/revoke", "/v1/tenants/t/runtimes/r/mount-tickets"] {
            for (what, body) in &bodies {
                let reply = lab.api.send_bytes("POST", path, &[], Some(("application/json", body.clone())))?;
                expect_one_of(&reply, &["invalid_request", "payload_too_large"]).with_context(|| format!("{what} to {path}"))?;
            }
            let text = lab.api.send_bytes("POST", path, &[], Some(("text/plain", b"{}".to_vec())))?;
            expect_one_of(&text, &["invalid_request", "unsupported_media_type"]).context("another content type")?;
        }
        ensure!(lab.api.list("/v1/tenants")?.is_empty(), "a body that was refused made a tenant");
        oversized(&lab.api)
    })
}

fn oversized(api: &Api) -> Result<()> {
    let body = json!({ "slug": "large", "metadata": { "x": "x".repeat(100 << 10) } }).to_string().into_bytes();
    let reply = api.send_bytes("POST", "/v1/tenants", &[], Some(("application/json", body)))?;
    reply.expect_error(413, "payload_too_large")?;
    api.get("/v1/whoami").context("after an oversized body")?;
    api.send("GET", "/v1/tenants/large", None)?.expect_error(404, "tenant_not_found")
}

/// "Same key and body: same answer; other body: 409 `idempotency_conflict`."
#[test]
fn a_repeated_request_is_answered_once() -> Result<()> {
    local("idempotency", LIMIT, |scratch| {
        let lab = Lab::start(scratch, &json!({}))?;
        let post = |key: &str, slug: &str| {
            let body = json!({ "slug": slug }).to_string().into_bytes();
            lab.api.send_bytes("POST", "/v1/tenants", &[("idempotency-key", key)], Some(("application/json", body)))
        };
        let first = post("once", "one")?;
        ensure!(first.status == 201, "{}", first.text);
        for _ in 0..3 {
            let again = post("once", "one")?;
            ensure!((again.status, &again.body) == (201, &first.body), "another answer: {} {}", again.status, again.text);
        }
        post("once", "two")?.expect_error(409, "idempotency_conflict")?;
        post("twice", "one")?.expect_error(409, "tenant_exists")?;
        ensure!(lab.api.list("/v1/tenants")?.len() == 1, "a repeated request was carried out twice");
        let refused = post(&"k".repeat(10_000), "three")?;
        ensure!([422, 431].contains(&refused.status), "a key of 10,000 bytes: {} {}", refused.status, refused.text);
        post("good", "three")?.success().map(drop)
    })
}

fn expect_one_of(reply: &Reply, codes: &[&str]) -> Result<()> {
    let status = match reply.code() {
        "invalid_request" => 422,
        "payload_too_large" => 413,
        "unsupported_media_type" => 415,
        "method_not_allowed" => 405,
        code if code.ends_with("not_found") => 404,
        _ => bail!("answered {} {}", reply.status, reply.text),
    };
    ensure!(codes.contains(&reply.code()), "answered {} {}, expected {codes:?}", reply.status, reply.text);
    reply.expect_error(status, reply.code())
}
