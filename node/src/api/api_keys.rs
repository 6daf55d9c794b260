use artifacts_core::name::{TenantSlug, WorkspaceAddress};
use artifacts_core::ticket::Mode;
use artifacts_core::{KeyId, Timestamp};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::body::JsonBody;
use super::caller::Caller;
use super::error::ErrorBody;
use super::fenced::{FencedSessions, WaitQuery};
use super::page::{ListQuery, PageBody};
use super::path::PathParams;
use super::query::QueryParams;
use super::schema::ModeSchema;
use super::scope::Action;
use super::{ApiError, ApiState, rules};
use crate::control::KeyWish;
use crate::records::{KeyRecord, KeyScope};

/// What an API key is confined to; absent fields confine nothing.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KeyScope)]
pub(super) struct ScopeBody {
    /// This workspace only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "acme/task-1")]
    workspace: Option<WorkspaceAddress>,
    /// This tenant only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9][a-z0-9-]{0,62}$")]
    tenant: Option<TenantSlug>,
    /// `ro`: reads and hands out `ro`, nothing more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ModeSchema>)]
    mode: Option<Mode>,
}

impl ScopeBody {
    /// A scope as callers see it; none for a key that is not confined.
    pub(super) fn of(scope: &KeyScope) -> Option<Self> {
        let KeyScope { workspace, tenant, mode, mesh: _ } = scope.clone();
        (*scope != KeyScope::default()).then_some(Self { workspace, tenant, mode })
    }

    /// The scope as it is kept: with the workspace's whole address.
    fn checked(self, caller: &Caller) -> Result<KeyScope, ApiError> {
        let workspace = match self.workspace {
            Some(address) => {
                let name = caller.own_address(&address)?.clone();
                Some(WorkspaceAddress { handle: Some(caller.account().handle.clone()), name, snapshot: None })
            }
            None => None,
        };
        Ok(KeyScope { workspace, tenant: self.tenant, mode: self.mode, mesh: false })
    }
}

/// An API key.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ApiKey {
    /// `key_…`
    #[schema(value_type = String, pattern = "^key_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    id: KeyId,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// What it is confined to; absent when it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<ScopeBody>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// From when it opens nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// When it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked_at: Option<Timestamp>,
}

impl From<KeyRecord> for ApiKey {
    fn from(record: KeyRecord) -> Self {
        Self {
            id: record.id,
            scope: ScopeBody::of(&record.scope),
            name: record.name,
            created_at: record.created_at,
            expires_at: record.expires_at,
            revoked_at: record.revoked_at,
        }
    }
}

/// Takes a JSON object and nothing else: a list would pass for a scope without any confinement.
fn object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ScopeBody>, D::Error> {
    let fields = Option::<serde_json::Map<String, serde_json::Value>>::deserialize(deserializer)?;
    fields.map(|fields| ScopeBody::deserialize(serde_json::Value::Object(fields)).map_err(D::Error::custom)).transpose()
}

/// The API key that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateApiKey {
    /// For people.
    #[schema(min_length = 1, max_length = 255)]
    name: Option<String>,
    /// What it is confined to.
    #[serde(default, deserialize_with = "object")]
    scope: Option<ScopeBody>,
    /// From when it opens nothing. Excludes `ttl_seconds`.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// How long it opens anything. Excludes `expires_at`.
    #[schema(minimum = 1, maximum = 315_360_000)]
    ttl_seconds: Option<u64>,
}

/// A new API key.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CreatedApiKey {
    /// The key.
    #[serde(flatten)]
    api_key: ApiKey,
    /// The secret; shown only here.
    key: String,
}

/// Makes an API key. Takes one without a scope.
#[utoipa::path(post, path = "/v1/api-keys", tag = "api-keys", operation_id = "create_api_key", request_body = CreateApiKey, responses(
    (status = 201, description = "The key with its secret", body = CreatedApiKey),
    (status = 404, description = "`workspace_not_found`: the scope names another account's workspace", body = ErrorBody),
))]
pub(super) async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    JsonBody(body): JsonBody<CreateApiKey>,
) -> Result<(StatusCode, Json<CreatedApiKey>), ApiError> {
    caller.may(Action::ManageKeys)?;
    let wish = KeyWish {
        name: rules::text("name", body.name)?,
        expires_at: rules::end(body.expires_at, body.ttl_seconds, state.context().clock.wall())?,
        scope: body.scope.map(|scope| scope.checked(&caller)).transpose()?.unwrap_or_default(),
    };
    let new = state.control_for(&caller).create_key(caller.account(), wish).await?;
    Ok((StatusCode::CREATED, Json(CreatedApiKey { api_key: new.record.into(), key: new.secret })))
}

/// Lists the API keys, oldest first, revoked ones included.
#[utoipa::path(get, path = "/v1/api-keys", tag = "api-keys", operation_id = "list_api_keys", params(ListQuery), responses(
    (status = 200, description = "A page of keys", body = PageBody<ApiKey>),
))]
pub(super) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    QueryParams(query): QueryParams<ListQuery>,
) -> Result<Json<PageBody<ApiKey>>, ApiError> {
    caller.may(Action::ManageKeys)?;
    let page = state.context().catalog.keys(caller.account().id, &query.request()?, |key| !key.scope.mesh).await?;
    Ok(Json(PageBody::new(page, |key| key.under(caller.account()).into())))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct KeyPath {
    /// `key_…`
    #[param(value_type = String, pattern = "^key_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    id: KeyId,
}

/// An API key that was revoked.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RevokedApiKey {
    /// The key.
    api_key: ApiKey,
    /// The sessions that it had opened.
    sessions: FencedSessions,
}

/// Revokes an API key and ends the sessions that were opened with it.
#[utoipa::path(delete, path = "/v1/api-keys/{id}", tag = "api-keys", operation_id = "revoke_api_key", params(KeyPath, WaitQuery), responses(
    (status = 200, description = "The revoked key", body = RevokedApiKey),
    (status = 404, description = "`key_not_found`", body = ErrorBody),
))]
pub(super) async fn revoke(
    State(state): State<ApiState>,
    caller: Caller,
    PathParams(path): PathParams<KeyPath>,
    QueryParams(query): QueryParams<WaitQuery>,
) -> Result<Json<RevokedApiKey>, ApiError> {
    caller.may(Action::ManageKeys)?;
    let (key, report) = state.control_for(&caller).revoke_key(caller.account(), path.id, false, query.wait()?).await?;
    Ok(Json(RevokedApiKey { api_key: key.into(), sessions: report.into() }))
}
