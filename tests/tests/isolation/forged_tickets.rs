//! Tickets and keys that must open nothing.

use anyhow::{Context as _, Result, ensure};
use artifacts_core::name::WorkspaceAddress;
use artifacts_core::protocol::Opening;
use artifacts_core::ticket::Mode;
use artifacts_core::{ErrorCode, Timestamp};
use artifacts_tests::time::{Duration, unix_ms, wait_until};
use artifacts_tests::{Forge, Lab, RawStream, local};
use serde_json::{Value, json};

use crate::openings::{expect_refused, with_token};
use crate::snapshot::{Victim, expect_unchanged, snapshot};

const LIMIT: Duration = Duration::from_secs(2 * 60);

#[test]
fn forged_tickets_open_nothing() -> Result<()> {
    local("forged", LIMIT, |scratch| {
        let mut victim = Victim::new(scratch)?;
        let port = victim.lab.node.port();
        let ticket = victim.lab.ticket("tenant-a", "runtime-b", "acme/project", "ro")?;
        let before = snapshot(&victim.lab.api)?;
        for (what, token) in Forge::new(&ticket)?.forgeries() {
            expect_refused(port, what, with_token(&token), &[ErrorCode::Unauthorized])?;
            expect_unchanged(what, &victim.lab.api, &before)?;
        }
        // The ticket itself is as good as before.
        let (stream, welcome) = RawStream::open_with_ticket(port, &ticket)?;
        ensure!(welcome.mode == Mode::Ro && welcome.workspace == "acme/project", "{welcome:?}");
        stream.goodbye()?;
        victim.expect_standing()
    })
}

#[test]
fn tickets_of_another_cluster_open_nothing() -> Result<()> {
    local("other-cluster", LIMIT, |scratch| {
        let victim = Victim::new(scratch)?;
        // The same account, workspace and tenant by name, on a node with keys of its own.
        let elsewhere = std::sync::Arc::new(artifacts_tests::Scratch::new("other-cluster-2", LIMIT)?);
        let other = Lab::start(&elsewhere, &json!({}))?;
        let address = other.workspace("project")?;
        let ticket = other.ticket("tenant-a", "runtime-a", &address, "rw")?;
        let token = ticket["token"].as_str().context("no token")?;
        expect_refused(victim.lab.node.port(), "a ticket of another cluster", with_token(token), &[ErrorCode::Unauthorized])
    })
}

#[test]
fn tickets_past_their_time_or_without_a_grant_open_nothing() -> Result<()> {
    local("past", LIMIT, |scratch| {
        let mut victim = Victim::new(scratch)?;
        let (port, api) = (victim.lab.node.port(), victim.lab.api.clone());
        let token = |ticket: &Value| ticket["token"].as_str().unwrap_or("").to_owned();
        let body = json!({ "workspace": "acme/project", "mode": "rw", "ttl_seconds": 1 });
        let short = victim.lab.ticket_with("tenant-a", "runtime-c", &body)?;
        let expires_at: Timestamp = serde_json::from_value(short["expires_at"].clone())?;
        wait_until("the ticket expires", Duration::from_secs(10), || Ok(Timestamp::from_unix_ms(unix_ms()) > expires_at.plus_ms(100)))?;
        expect_refused(port, "a ticket past its time", with_token(&token(&short)), &[ErrorCode::Unauthorized])?;

        let revoked = victim.lab.ticket("tenant-a", "runtime-d", "acme/project", "rw")?;
        api.post("/v1/grants/revoke", &json!({ "tenant_slug": "tenant-a", "runtime_id": "runtime-d" }))?;
        expect_refused(port, "a ticket whose grant was revoked", with_token(&token(&revoked)), &[ErrorCode::Unauthorized])?;

        let of_deleted = victim.lab.ticket("doomed", "runtime-e", "acme/project", "rw")?;
        api.delete("/v1/tenants/doomed")?;
        expect_refused(port, "a ticket of a deleted tenant", with_token(&token(&of_deleted)), &[ErrorCode::Unauthorized])?;
        // A tenant that is made again under the same name has not been given what the first one had.
        api.post("/v1/tenants", &json!({ "slug": "doomed" }))?;
        expect_refused(port, "a ticket of a tenant made again", with_token(&token(&of_deleted)), &[ErrorCode::Unauthorized])?;

        victim.lab.workspace("doomed")?;
        let of_deleted = victim.lab.ticket("tenant-a", "runtime-f", "acme/doomed", "rw")?;
        api.delete("/v1/workspaces/acme/doomed")?;
        let codes = [ErrorCode::Unauthorized, ErrorCode::WorkspaceNotActive, ErrorCode::WorkspaceNotFound];
        expect_refused(port, "a ticket of a deleted workspace", with_token(&token(&of_deleted)), &codes)?;
        wait_until("the name is free again", Duration::from_secs(30), || {
            Ok(api.send("POST", "/v1/workspaces", Some(&json!({ "name": "doomed" })))?.status == 201)
        })?;
        expect_refused(port, "a ticket of a workspace made again", with_token(&token(&of_deleted)), &codes)?;
        victim.expect_standing()
    })
}

#[test]
fn a_ticket_in_use_opens_nothing_and_disturbs_nobody() -> Result<()> {
    local("reused", LIMIT, |scratch| {
        let victim = Victim::new(scratch)?;
        let port = victim.lab.node.port();
        let ticket = victim.lab.ticket("tenant-a", "runtime-b", "acme/project", "rw")?;
        let token = ticket["token"].as_str().context("no token")?;
        let (mut first, _) = RawStream::open_with_ticket(port, &ticket)?;
        let before = snapshot(&victim.lab.api)?;
        for _ in 0..5 {
            expect_refused(port, "a ticket in use", with_token(token), &[ErrorCode::TicketInUse])?;
        }
        expect_unchanged("reusing a ticket", &victim.lab.api, &before)?;
        first.expect_standing()?;
        first.goodbye()?;
        let (second, _) = RawStream::open_with_ticket(port, &ticket).context("after the first session has ended")?;
        second.goodbye()
    })
}

#[test]
fn keys_and_secrets_open_only_what_is_theirs() -> Result<()> {
    local("keys-open", LIMIT, |scratch| {
        let mut victim = Victim::new(scratch)?;
        let (port, root) = (victim.lab.node.port(), victim.lab.api.clone());
        let stranger = victim.lab.account("stranger")?;
        let secret = |scope: Value| -> Result<String> {
            let key = root.post("/v1/api-keys", &json!({ "scope": scope }))?;
            Ok(key["key"].as_str().context("no secret")?.to_owned())
        };
        victim.lab.workspace("elsewhere")?;
        let by_key = |key: &str, workspace: &str, mode| -> Result<Opening> {
            let workspace: WorkspaceAddress = workspace.parse()?;
            Ok(Opening::ApiKey { key: key.to_owned(), workspace, mode, subpath: None })
        };
        let missing = [ErrorCode::WorkspaceNotFound];
        let forbidden = [ErrorCode::Forbidden, ErrorCode::WorkspaceNotFound];
        let elsewhere = secret(json!({ "workspace": "acme/elsewhere" }))?;
        let reader = secret(json!({ "mode": "ro" }))?;
        let of_tenant = secret(json!({ "tenant": "tenant-a" }))?;
        expect_refused(port, "a stranger's key", by_key(stranger.token(), "acme/project", Mode::Ro)?, &missing)?;
        expect_refused(port, "a stranger's key, no handle", by_key(stranger.token(), "project", Mode::Ro)?, &missing)?;
        expect_refused(port, "a key for elsewhere", by_key(&elsewhere, "acme/project", Mode::Ro)?, &forbidden)?;
        expect_refused(port, "a key for reading", by_key(&reader, "acme/project", Mode::Rw)?, &forbidden)?;
        expect_refused(port, "a tenant's key", by_key(&of_tenant, "acme/project", Mode::Rw)?, &forbidden)?;
        expect_refused(port, "a made-up key", by_key("tbo_0", "acme/project", Mode::Ro)?, &[ErrorCode::Unauthorized])?;
        let admin = victim.lab.node.admin_token()?;
        expect_refused(port, "the admin token", by_key(&admin, "acme/project", Mode::Ro)?, &[ErrorCode::Unauthorized])?;

        let (other, welcome) = RawStream::open(port, by_key(root.token(), "acme/elsewhere", Mode::Rw)?)?;
        let session = victim.names.session.parse()?;
        for (what, secret) in [("another session's secret", welcome.secret.as_str()), ("a made-up secret", "guess"), ("no secret", "")] {
            let opening = Opening::Resume { session, secret: secret.to_owned() };
            expect_refused(port, what, opening, &[ErrorCode::SessionNotFound, ErrorCode::Unauthorized])?;
        }
        other.goodbye()?;
        victim.expect_standing()
    })
}
