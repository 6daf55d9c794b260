use std::time::Duration;

use artifacts_core::name::WorkspaceAddress;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Client, with_query};
use super::error::ApiError;
use super::events::Events;
use super::objects::{HeldLock, Lock};

/// How long an answer may take beyond the wait for the lock itself.
const BEYOND_THE_WAIT: Duration = Duration::from_secs(60);

impl Client {
    /// `POST …/locks/{name}/acquire`; `body` says `wait_ms`, too.
    pub(crate) async fn acquire_lock(
        &self,
        workspace: &WorkspaceAddress,
        lock: &str,
        body: &Value,
        wait: Duration,
    ) -> Result<HeldLock, ApiError> {
        let path = self.workspace_path(workspace, &["locks", lock, "acquire"]).await?;
        self.call_within(wait + BEYOND_THE_WAIT, Method::POST, &path, Some(body)).await
    }

    /// `POST …/locks/{name}/renew`
    pub(crate) async fn renew_lock(
        &self,
        workspace: &WorkspaceAddress,
        lock: &str,
        lock_id: &str,
        ttl_ms: u64,
    ) -> Result<HeldLock, ApiError> {
        let path = self.workspace_path(workspace, &["locks", lock, "renew"]).await?;
        self.post(&path, &json!({ "lock_id": lock_id, "ttl_ms": ttl_ms })).await
    }

    /// `POST …/locks/{name}/release`
    pub(crate) async fn release_lock(&self, workspace: &WorkspaceAddress, lock: &str, lock_id: &str) -> Result<Value, ApiError> {
        let path = self.workspace_path(workspace, &["locks", lock, "release"]).await?;
        self.post(&path, &json!({ "lock_id": lock_id })).await
    }

    /// `GET …/locks`
    pub(crate) async fn locks(&self, workspace: &WorkspaceAddress) -> Result<Vec<Lock>, ApiError> {
        let path = self.workspace_path(workspace, &["locks"]).await?;
        self.list(&path, &[]).await
    }

    /// `GET …/locks/events`, of one lock or of all, after the event `after` if that is remembered.
    pub(crate) async fn lock_events(
        &self,
        workspace: &WorkspaceAddress,
        lock: Option<&str>,
        after: Option<&str>,
    ) -> Result<Events, ApiError> {
        let mut path = self.workspace_path(workspace, &["locks", "events"]).await?;
        if let Some(lock) = lock {
            path = with_query(&path, &[("lock", lock)]);
        }
        self.events(&path, after).await
    }
}
