//! The mounts of what was revoked, as they go out.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::bail;
use serde_json::Value;

use crate::api::{AuditEvent, Client, Following, Revoked};
use crate::output::{Format, Output, printable};

/// Follows them, from before anything is revoked, so that none is missed.
pub(super) struct Going<'a> {
    following: Following<'a>,
}

impl<'a> Going<'a> {
    /// Those that match `filters`, which say that of the audit trail it is to be `session_out`.
    pub(super) async fn watch(client: &'a Client, filters: &'a [(&'a str, String)]) -> anyhow::Result<Self> {
        let mut following = Following::new(client, filters);
        following.next().await?;
        Ok(Self { following })
    }

    /// Says of each mount of these grants that it is out, until all are. Counts in the answer those that have confirmed it.
    ///
    /// # Errors
    /// Not all are out in time.
    pub(super) async fn show(mut self, revoked: &mut Revoked, limit: Duration, output: Output) -> anyhow::Result<()> {
        let (matched, mut out, mut confirmed) = (revoked.sessions.matched, 0, 0);
        let grants: BTreeSet<String> = revoked.grants.iter().filter_map(|grant| grant["id"].as_str()).map(ToOwned::to_owned).collect();
        let all = async {
            while out < matched {
                let data = self.following.next().await?.data;
                if !data["grant_id"].as_str().is_some_and(|id| grants.contains(id)) {
                    continue;
                }
                out += 1;
                confirmed += u64::from(data["how"] == "confirmed");
                say(data, output)?;
            }
            anyhow::Ok(())
        };
        let in_time = tokio::time::timeout(limit, all).await;
        revoked.sessions.confirmed = confirmed;
        match in_time {
            Ok(outcome) => outcome,
            Err(_) => bail!(
                "{out} of {matched} mounts are known to be out after {} s; the control nodes accept nothing more of the others either",
                limit.as_secs()
            ),
        }
    }
}

fn say(data: Value, output: Output) -> anyhow::Result<()> {
    if output.format == Format::Json {
        return output.line(&data.to_string());
    }
    match serde_json::from_value::<AuditEvent>(data) {
        Ok(entry) if !output.quiet => output.line(&printable(&line(&entry))),
        _ => Ok(()),
    }
}

/// `acme/task-1 initech/run-1 on host-a: out after 38 ms, confirmed`.
fn line(entry: &AuditEvent) -> String {
    let text = |field: &str| entry.rest.get(field).and_then(Value::as_str).unwrap_or("-");
    let how = if text("how") == "confirmed" { "confirmed" } else { "its lease is over" };
    let after_ms = entry.rest.get("after_ms").and_then(Value::as_u64).unwrap_or_default();
    format!("{} {}/{} on {}: out after {after_ms} ms, {how}", text("workspace"), text("tenant_slug"), text("runtime_id"), text("host"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_mount_has_a_line_that_says_when_and_how() {
        let entry = |how: &str| -> AuditEvent {
            serde_json::from_value(json!({
                "id": "aud_1", "at": "2026-01-01T00:00:00Z", "kind": "session_out", "by": { "kind": "node" }, "workspace": "acme/w",
                "tenant_slug": "t", "runtime_id": "r", "host": "h", "how": how, "after_ms": 38,
            }))
            .unwrap()
        };
        assert_eq!(line(&entry("confirmed")), "acme/w t/r on h: out after 38 ms, confirmed");
        assert_eq!(line(&entry("lease_ended")), "acme/w t/r on h: out after 38 ms, its lease is over");
    }
}
