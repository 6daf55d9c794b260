//! Every call without a credential that counts.

use anyhow::{Context as _, Result, ensure};
use artifacts_core::Timestamp;
use artifacts_tests::time::{Duration, unix_ms, wait_until};
use artifacts_tests::{Api, local};
use serde_json::json;

use crate::operations::{About, all};
use crate::snapshot::{Victim, expect_unchanged, snapshot};

#[test]
fn no_call_works_without_a_credential_that_counts() -> Result<()> {
    local("unauthorized", Duration::from_secs(5 * 60), |scratch| {
        let mut victim = Victim::new(scratch)?;
        let root = victim.lab.api.clone();
        let expires_at = Timestamp::from_unix_ms(unix_ms() + 1500);
        let expiring = root.post("/v1/api-keys", &json!({ "name": "expiring", "expires_at": expires_at }))?;
        let expired = root.with_token(expiring["key"].as_str().context("no secret")?);
        expired.get("/v1/whoami").context("before it expires")?;
        let revoked = root.post("/v1/api-keys", &json!({ "name": "revoked" }))?;
        root.delete(&format!("/v1/api-keys/{}", revoked["id"].as_str().context("no id")?))?;
        let revoked = root.with_token(revoked["key"].as_str().context("no secret")?);
        wait_until("the key expires", Duration::from_secs(10), || Ok(Timestamp::from_unix_ms(unix_ms()) > expires_at.plus_ms(100)))?;
        let ticket = victim.lab.ticket("tenant-a", "runtime-b", "acme/project", "rw")?;
        let token = ticket["token"].as_str().context("no token")?;

        let mut guess = root.token().to_owned();
        guess.pop();
        let credentials: [(&str, Api); 8] = [
            ("no key", root.without_token()),
            ("an empty key", root.with_token("")),
            ("a key cut short", root.with_token(&guess)),
            ("a made-up key", root.with_token("tbo_00000000000000000000000000000000")),
            ("an expired key", expired),
            ("a revoked key", revoked),
            ("a mount ticket", root.with_token(token)),
            ("a session's secret", root.with_token(&format!("{}.secret", victim.names.session))),
        ];
        let before = snapshot(&root)?;
        for operation in all(&root, &victim.names)? {
            for (what, api) in &credentials {
                if *what == "a mount ticket" && operation.takes_tickets() {
                    // The one credential of them that counts there.
                    continue;
                }
                let reply = operation.call(api).with_context(|| operation.title())?;
                if operation.about == About::Public {
                    ensure!(reply.status == 200, "{} with {what}: {} {}", operation.title(), reply.status, reply.text);
                } else {
                    reply.expect_error(401, "unauthorized").with_context(|| format!("{} with {what}", operation.title()))?;
                }
            }
            for scheme in ["Basic", "bearer-token", "Token"] {
                if operation.about != About::Public {
                    let header = format!("{scheme} {}", root.token());
                    let body = operation.body.as_ref().map(|body| ("application/json", body.to_string().into_bytes()));
                    let anonymous = root.without_token();
                    let reply = anonymous.send_bytes(&operation.method, &operation.path, &[("authorization", &header)], body)?;
                    reply.expect_error(401, "unauthorized").with_context(|| format!("{} with {scheme}", operation.title()))?;
                }
            }
            expect_unchanged(&operation.title(), &root, &before)?;
        }
        victim.expect_standing()
    })
}

/// Making accounts and looking at the cluster is the operator's: an account's key does not do, and the admin token does nothing else.
#[test]
fn the_admin_token_is_for_the_cluster_and_nothing_else() -> Result<()> {
    local("admin-token", Duration::from_secs(2 * 60), |scratch| {
        let mut victim = Victim::new(scratch)?;
        let root = victim.lab.api.clone();
        let admin = root.with_token(&victim.lab.node.admin_token()?);
        let before = snapshot(&root)?;
        for operation in all(&root, &victim.names)? {
            match operation.about {
                About::Public => {}
                About::Cluster => {
                    let reply = operation.call(&root)?;
                    ensure!([401, 403].contains(&reply.status), "{} with an API key: {}", operation.title(), reply.text);
                    operation.call(&admin)?.success()?;
                }
                About::Caller | About::Named => {
                    let reply = operation.call(&admin)?;
                    ensure!(
                        [401, 403].contains(&reply.status),
                        "{} with the admin token: {} {}",
                        operation.title(),
                        reply.status,
                        reply.text
                    );
                }
            }
        }
        expect_unchanged("the admin token", &root, &before)?;
        victim.expect_standing()
    })
}
