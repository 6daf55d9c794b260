use std::path::Path;
use std::time::Duration;

use artifacts_core::name::WorkspaceAddress;
use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::events::Events;
use super::objects::{
    AccountCreated, AuditEvent, Check, EverythingRevoked, Grant, Key, MeshCredential, Page, Revoked, Session, Snapshot, Storage, Tenant,
    TenantUsage, TicketCreated, UsageItem, UsagePage, UsageTotal, Whoami, Workspace,
};
use super::retry;
use crate::{random, time};

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long to wait for a check, which reads everything.
const CHECK_TIMEOUT: Duration = Duration::from_secs(6 * 3600);
/// How long to wait for a copy: by its number of files.
const COPY_TIMEOUT: Duration = Duration::from_secs(600);
/// Objects asked for in one call of a list.
const PAGE: usize = 200;

/// Speaks to one node with one credential.
///
/// Every call is safe to make again (reads, deletes, and POSTs under an idempotency key), so a busy node is asked
/// again a few times before the caller hears of it.
#[derive(Clone)]
pub(crate) struct Client {
    pub(super) http: reqwest::Client,
    pub(super) url: String,
    pub(super) bearer: String,
}

impl Client {
    /// A client for the node at `url` that shows `bearer` (an API key, the admin token or a mount ticket's). `ca_cert` is a PEM file of
    /// authorities to trust besides the system's.
    ///
    /// # Errors
    /// `url` is not `http://…` or `https://…`, or TLS cannot be set up.
    pub(crate) fn new(url: &str, bearer: &str, ca_cert: Option<&Path>) -> Result<Self, ApiError> {
        let wrong = |reason: String| ApiError::Url { url: url.to_owned(), reason };
        let parsed = reqwest::Url::parse(url).map_err(|error| wrong(error.to_string()))?;
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("artifacts/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none());
        match parsed.scheme() {
            // A sandbox may have no certificates at all; they are not looked for where they are not needed.
            "http" => builder = builder.tls_certs_only([]),
            "https" => {
                if let Some(path) = ca_cert {
                    builder = builder
                        .tls_certs_merge(authorities(path).map_err(|reason| ApiError::Authorities { path: path.to_owned(), reason })?);
                }
            }
            _ => return Err(wrong("expected http:// or https://".to_owned())),
        }
        let host = parsed.host_str().unwrap_or_default().trim_matches(['[', ']']);
        if host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback()) {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| ApiError::unreachable(url, &error))?;
        Ok(Self { http, url: url.trim_end_matches('/').to_owned(), bearer: bearer.to_owned() })
    }

    /// The node's address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// `POST /v1/accounts`, with the admin token.
    pub(crate) async fn create_account(&self, body: &Value) -> Result<AccountCreated, ApiError> {
        self.post("/v1/accounts", body).await
    }

    /// `POST /v1/signing-keys/rotate`, with the admin token.
    #[cfg(feature = "node")]
    pub(crate) async fn rotate_signing_key(&self) -> Result<super::SigningKey, ApiError> {
        self.post("/v1/signing-keys/rotate", &json!({})).await
    }

    /// `POST /v1/account/revoke-everything`
    pub(crate) async fn revoke_everything(&self) -> Result<EverythingRevoked, ApiError> {
        self.post("/v1/account/revoke-everything", &json!({})).await
    }

    /// `GET /v1/audit`, those that match all of `filters` (`tenant_slug`, `runtime_id`, `workspace`, `kind`, `since`).
    pub(crate) async fn audit(&self, filters: &[(&str, String)]) -> Result<Vec<AuditEvent>, ApiError> {
        self.list("/v1/audit", filters).await
    }

    /// `GET /v1/audit/events`, those that match all of `filters` (as for the list, without `since`).
    pub(crate) async fn audit_events(&self, filters: &[(&str, String)], after: Option<&str>) -> Result<Events, ApiError> {
        let query: Vec<(&str, &str)> = filters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.events(&with_query("/v1/audit/events", &query), after).await
    }

    /// `GET /healthz`
    pub(crate) async fn health(&self) -> Result<Value, ApiError> {
        self.call(Method::GET, "/healthz", None).await
    }

    /// `GET /v1/whoami`
    pub(crate) async fn whoami(&self) -> Result<Whoami, ApiError> {
        self.call(Method::GET, "/v1/whoami", None).await
    }

    /// `GET /v1/cluster`, with the admin token.
    #[cfg(feature = "node")]
    pub(crate) async fn cluster(&self) -> Result<super::ClusterStatus, ApiError> {
        self.call(Method::GET, "/v1/cluster", None).await
    }

    /// `POST /v1/api-keys`
    pub(crate) async fn create_key(&self, body: &Value) -> Result<Key, ApiError> {
        self.post("/v1/api-keys", body).await
    }

    /// `GET /v1/api-keys`
    pub(crate) async fn keys(&self) -> Result<Vec<Key>, ApiError> {
        self.list("/v1/api-keys", &[]).await
    }

    /// `DELETE /v1/api-keys/{id}`
    pub(crate) async fn revoke_key(&self, id: &str) -> Result<Value, ApiError> {
        self.call(Method::DELETE, &path(&["v1", "api-keys", id]), None).await
    }

    /// `POST /v1/mesh-credentials`
    pub(crate) async fn create_mesh_credential(&self, body: &Value) -> Result<MeshCredential, ApiError> {
        self.post("/v1/mesh-credentials", body).await
    }

    /// `GET /v1/mesh-credentials`
    pub(crate) async fn mesh_credentials(&self) -> Result<Vec<MeshCredential>, ApiError> {
        self.list("/v1/mesh-credentials", &[]).await
    }

    /// `DELETE /v1/mesh-credentials/{id}`
    pub(crate) async fn revoke_mesh_credential(&self, id: &str) -> Result<MeshCredential, ApiError> {
        self.call(Method::DELETE, &path(&["v1", "mesh-credentials", id]), None).await
    }

    /// `POST /v1/tenants`
    pub(crate) async fn create_tenant(&self, body: &Value) -> Result<Tenant, ApiError> {
        self.post("/v1/tenants", body).await
    }

    /// `GET /v1/tenants`
    pub(crate) async fn tenants(&self) -> Result<Vec<Tenant>, ApiError> {
        self.list("/v1/tenants", &[]).await
    }

    /// `GET /v1/tenants/{slug}`
    pub(crate) async fn tenant(&self, slug: &str) -> Result<Tenant, ApiError> {
        self.call(Method::GET, &path(&["v1", "tenants", slug]), None).await
    }

    /// `PATCH /v1/tenants/{slug}`
    pub(crate) async fn change_tenant(&self, slug: &str, body: &Value) -> Result<Tenant, ApiError> {
        self.call(Method::PATCH, &path(&["v1", "tenants", slug]), Some(body)).await
    }

    /// `GET /v1/tenants/{slug}/usage`
    pub(crate) async fn tenant_usage(&self, slug: &str) -> Result<TenantUsage, ApiError> {
        self.call(Method::GET, &path(&["v1", "tenants", slug, "usage"]), None).await
    }

    /// `DELETE /v1/tenants/{slug}`
    pub(crate) async fn delete_tenant(&self, slug: &str) -> Result<Value, ApiError> {
        self.call(Method::DELETE, &path(&["v1", "tenants", slug]), None).await
    }

    /// `POST /v1/workspaces`
    pub(crate) async fn create_workspace(&self, body: &Value) -> Result<Workspace, ApiError> {
        self.post("/v1/workspaces", body).await
    }

    /// `GET /v1/workspaces`
    pub(crate) async fn workspaces(&self) -> Result<Vec<Workspace>, ApiError> {
        self.list("/v1/workspaces", &[]).await
    }

    /// `GET /v1/workspaces/{handle}/{name}`
    pub(crate) async fn workspace(&self, address: &WorkspaceAddress) -> Result<Workspace, ApiError> {
        self.call(Method::GET, &self.workspace_path(address, &[]).await?, None).await
    }

    /// `PATCH /v1/workspaces/{handle}/{name}`
    pub(crate) async fn change_workspace(&self, address: &WorkspaceAddress, body: &Value) -> Result<Workspace, ApiError> {
        self.call(Method::PATCH, &self.workspace_path(address, &[]).await?, Some(body)).await
    }

    /// `DELETE /v1/workspaces/{handle}/{name}`, or of a snapshot.
    pub(crate) async fn delete_workspace(&self, address: &WorkspaceAddress) -> Result<Value, ApiError> {
        self.call(Method::DELETE, &self.workspace_path(address, &[]).await?, None).await
    }

    /// A workspace or a snapshot, whichever the address names.
    pub(crate) async fn place(&self, address: &WorkspaceAddress) -> Result<Value, ApiError> {
        self.call(Method::GET, &self.workspace_path(address, &[]).await?, None).await
    }

    /// `POST /v1/workspaces/{handle}/{name}/snapshots`
    pub(crate) async fn create_snapshot(&self, address: &WorkspaceAddress, body: &Value) -> Result<Snapshot, ApiError> {
        let path = self.workspace_path(address, &["snapshots"]).await?;
        self.call_within(COPY_TIMEOUT, Method::POST, &path, Some(body)).await
    }

    /// `GET /v1/workspaces/{handle}/{name}/snapshots`
    pub(crate) async fn snapshots(&self, address: &WorkspaceAddress) -> Result<Vec<Snapshot>, ApiError> {
        self.list(&self.workspace_path(address, &["snapshots"]).await?, &[]).await
    }

    /// `GET /v1/workspaces/{handle}/{name}/snapshots/{snapshot}`
    pub(crate) async fn snapshot(&self, address: &WorkspaceAddress) -> Result<Snapshot, ApiError> {
        self.call(Method::GET, &self.workspace_path(address, &[]).await?, None).await
    }

    /// `POST /v1/workspaces/{handle}/{name}/fork`, of a workspace or of a snapshot of it.
    pub(crate) async fn fork_workspace(&self, source: &WorkspaceAddress, mut body: Value) -> Result<Workspace, ApiError> {
        if let (Some(snapshot), Some(fields)) = (&source.snapshot, body.as_object_mut()) {
            fields.insert("snapshot".to_owned(), json!(snapshot));
        }
        let workspace = WorkspaceAddress { snapshot: None, ..source.clone() };
        let path = self.workspace_path(&workspace, &["fork"]).await?;
        self.call_within(COPY_TIMEOUT, Method::POST, &path, Some(&body)).await
    }

    /// `GET /v1/workspaces/{handle}/{name}/usage`
    pub(crate) async fn workspace_storage(&self, address: &WorkspaceAddress) -> Result<Storage, ApiError> {
        self.call(Method::GET, &self.workspace_path(address, &["usage"]).await?, None).await
    }

    /// `POST /v1/workspaces/{handle}/{name}/fsck`
    pub(crate) async fn check_workspace(&self, address: &WorkspaceAddress, repair: bool, data: bool) -> Result<Check, ApiError> {
        let path = self.workspace_path(address, &["fsck"]).await?;
        let body = json!({ "repair": repair, "data": data });
        self.call_within(CHECK_TIMEOUT, Method::POST, &path, Some(&body)).await
    }

    /// `GET /v1/usage`: the total, and all parts of the list.
    pub(crate) async fn usage(&self, tenant: Option<&str>) -> Result<(UsageTotal, Vec<UsageItem>), ApiError> {
        let limit = PAGE.to_string();
        let (mut total, mut items, mut cursor) = (None, Vec::new(), None::<String>);
        loop {
            let mut query = vec![("limit", limit.as_str())];
            query.extend(tenant.map(|tenant| ("tenant_slug", tenant)));
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page: UsagePage = self.call(Method::GET, &with_query("/v1/usage", &query), None).await?;
            total = total.or(page.total);
            items.extend(page.items);
            match page.next_cursor {
                // A cursor that does not move would never end.
                Some(next) if cursor.as_ref() != Some(&next) => cursor = Some(next),
                _ => break,
            }
        }
        Ok((total.ok_or_else(|| self.unreadable("there is no total"))?, items))
    }

    /// `POST /v1/workspaces/{handle}/{name}/grants`
    pub(crate) async fn create_grant(&self, address: &WorkspaceAddress, body: &Value) -> Result<Grant, ApiError> {
        self.post(&self.workspace_path(address, &["grants"]).await?, body).await
    }

    /// `GET /v1/grants`, those that match all of `filters` (`tenant_slug`, `runtime_id`, `workspace`).
    pub(crate) async fn grants(&self, filters: &[(&str, String)]) -> Result<Vec<Grant>, ApiError> {
        self.list("/v1/grants", filters).await
    }

    /// `DELETE /v1/grants/{id}`, with an answer that waits for mounts for as long as the node likes unless given.
    pub(crate) async fn revoke_grant(&self, id: &str, wait_ms: Option<u64>) -> Result<Revoked, ApiError> {
        let wait_ms = wait_ms.map(|ms| ms.to_string());
        let query: Vec<_> = wait_ms.as_deref().map(|ms| ("wait_ms", ms)).into_iter().collect();
        self.call(Method::DELETE, &with_query(&path(&["v1", "grants", id]), &query), None).await
    }

    /// `POST /v1/grants/revoke`
    pub(crate) async fn revoke_grants(&self, body: &Value) -> Result<Revoked, ApiError> {
        self.post("/v1/grants/revoke", body).await
    }

    /// `POST /v1/tenants/{slug}/runtimes/{runtime_id}/mount-tickets`
    pub(crate) async fn create_ticket(&self, tenant: &str, runtime: &str, body: &Value) -> Result<TicketCreated, ApiError> {
        self.post(&path(&["v1", "tenants", tenant, "runtimes", runtime, "mount-tickets"]), body).await
    }

    /// `GET /v1/sessions`, those that match all of `filters` (as for grants).
    pub(crate) async fn sessions(&self, filters: &[(&str, String)]) -> Result<Vec<Session>, ApiError> {
        self.list("/v1/sessions", filters).await
    }

    /// `DELETE /v1/sessions/{id}`
    pub(crate) async fn end_session(&self, id: &str) -> Result<Value, ApiError> {
        self.call(Method::DELETE, &path(&["v1", "sessions", id]), None).await
    }

    /// The path of a workspace or a snapshot; where the address names no account, the caller's own is asked for.
    pub(super) async fn workspace_path(&self, address: &WorkspaceAddress, below: &[&str]) -> Result<String, ApiError> {
        let handle = match &address.handle {
            Some(handle) => handle.to_string(),
            None => self.whoami().await?.account.handle,
        };
        let mut segments = vec!["v1", "workspaces", &handle, address.name.as_str()];
        if let Some(snapshot) = &address.snapshot {
            segments.extend(["snapshots", snapshot.as_str()]);
        }
        segments.extend_from_slice(below);
        Ok(path(&segments))
    }

    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, body: &(impl Serialize + Sync)) -> Result<T, ApiError> {
        let body = serde_json::to_value(body).unwrap_or_default();
        self.call(Method::POST, path, Some(&body)).await
    }

    /// All parts of a list.
    pub(super) async fn list<T: DeserializeOwned>(&self, path: &str, filters: &[(&str, String)]) -> Result<Vec<T>, ApiError> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let limit = PAGE.to_string();
            let mut query: Vec<(&str, &str)> = filters.iter().map(|(name, value)| (*name, value.as_str())).collect();
            query.push(("limit", &limit));
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page: Page<T> = self.call(Method::GET, &with_query(path, &query), None).await?;
            items.extend(page.items);
            match page.next_cursor {
                // A cursor that does not move would never end.
                Some(next) if cursor.as_ref() != Some(&next) => cursor = Some(next),
                _ => return Ok(items),
            }
        }
    }

    async fn call<T: DeserializeOwned>(&self, method: Method, path: &str, body: Option<&Value>) -> Result<T, ApiError> {
        self.call_within(ANSWER_TIMEOUT, method, path, body).await
    }

    pub(super) async fn call_within<T: DeserializeOwned>(
        &self,
        longest: Duration,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, ApiError> {
        let key = match method {
            Method::POST => Some(random::idempotency_key().map_err(|error| self.unreadable(error))?),
            _ => None,
        };
        let mut made = 0;
        loop {
            let mut request = self.http.request(method.clone(), format!("{}{path}", self.url)).timeout(longest).bearer_auth(&self.bearer);
            if let Some(key) = &key {
                request = request.header("Idempotency-Key", key);
            }
            if let Some(body) = body {
                request = request.json(body);
            }
            tracing::debug!(%method, path, "calling the API");
            let answer = request.send().await.map_err(|error| ApiError::unreachable(&self.url, &error))?;
            made += 1;
            let status = answer.status();
            let retry_after = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()).map(str::to_owned);
            let body = answer.bytes().await.map_err(|error| ApiError::unreachable(&self.url, &error))?;
            tracing::debug!(status = status.as_u16(), bytes = body.len(), "the API answered");
            if let Some(pause) = retry::pause(made, status.as_u16(), retry_after.as_deref()) {
                time::sleep(pause).await;
                continue;
            }
            return self.read(status, &body);
        }
    }

    pub(super) fn read<T: DeserializeOwned>(&self, status: StatusCode, body: &[u8]) -> Result<T, ApiError> {
        if !status.is_success() {
            return Err(ApiError::from_body(status.as_u16(), body).unwrap_or_else(|| ApiError::foreign(status.as_u16(), &self.url)));
        }
        // Deleting may answer without a body.
        let body = if body.is_empty() { b"{}" } else { body };
        serde_json::from_slice(body).map_err(|error| self.unreadable(error))
    }

    fn unreadable(&self, reason: impl std::fmt::Display) -> ApiError {
        ApiError::Unreadable { url: self.url.clone(), reason: reason.to_string() }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("url", &self.url).finish_non_exhaustive()
    }
}

fn authorities(path: &Path) -> Result<Vec<reqwest::Certificate>, String> {
    let pem = std::fs::read(path).map_err(|error| error.to_string())?;
    let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| error.to_string())?;
    if certificates.is_empty() { Err("the file holds no certificate".to_owned()) } else { Ok(certificates) }
}

/// A body of the fields that are given.
pub(crate) fn fields<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    Value::Object(fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect::<Map<_, _>>())
}

/// The filters of a list that are given.
pub(crate) fn filters<const N: usize>(filters: [(&'static str, Option<String>); N]) -> Vec<(&'static str, String)> {
    filters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// A path of `segments`, each escaped: a runtime id may hold a colon, and nobody's id may leave its place.
fn path(segments: &[&str]) -> String {
    segments.iter().fold(String::new(), |path, segment| path + "/" + &escaped(segment))
}

pub(super) fn with_query(path: &str, query: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = query.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
    format!("{path}?{}", pairs.join("&"))
}

/// Percent-encodes all but the unreserved characters of RFC 3986. A lone `.` or `..` is no segment that a URL can carry.
fn escaped(text: &str) -> String {
    let all_dots = text.bytes().all(|byte| byte == b'.');
    text.bytes().fold(String::new(), |mut escaped, byte| {
        if !all_dots && (byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_stay_in_their_place() {
        assert_eq!(path(&["v1", "tenants", "a/../b", "x:1"]), "/v1/tenants/a%2F..%2Fb/x%3A1");
        assert_eq!(path(&["v1", "tenants", ".."]), "/v1/tenants/%2E%2E");
        assert_eq!(with_query("/v1/grants", &[("workspace", "acme/x&y")]), "/v1/grants?workspace=acme%2Fx%26y");
    }

    #[test]
    fn absent_fields_are_left_out() {
        assert_eq!(fields([("a", Some(json!(1))), ("b", None)]), json!({"a": 1}));
    }

    #[test]
    fn an_address_that_is_none_is_refused() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        for url in ["", "127.0.0.1:7700", "ftp://host", "http://"] {
            assert!(matches!(Client::new(url, "k", None), Err(ApiError::Url { .. })), "{url}");
        }
        assert!(Client::new("http://[::1]:7700/", "k", None).is_ok());
    }
}
