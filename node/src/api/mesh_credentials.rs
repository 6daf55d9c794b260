use artifacts_core::{KeyId, Timestamp};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

use super::body::JsonBody;
use super::caller::Caller;
use super::error::ErrorBody;
use super::page::{ListQuery, PageBody};
use super::path::PathParams;
use super::query::QueryParams;
use super::scope::Action;
use super::{ApiError, ApiState, rules};
use crate::control::KeyWish;
use crate::records::{KeyRecord, KeyScope};

/// How long a credential is good if nothing is said, in seconds.
const DEFAULT_TTL_SECONDS: u64 = 90 * 24 * 60 * 60;

/// What lets agents of hosts into the mesh.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MeshCredential {
    /// `key_…`
    #[schema(value_type = String, pattern = "^key_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    id: KeyId,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// From when it lets nobody in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// When it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked_at: Option<Timestamp>,
}

impl From<KeyRecord> for MeshCredential {
    fn from(record: KeyRecord) -> Self {
        let KeyRecord { id, name, created_at, expires_at, revoked_at, .. } = record;
        Self { id, name, created_at, expires_at, revoked_at }
    }
}

/// The mesh credential that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateMeshCredential {
    /// For people.
    #[schema(min_length = 1, max_length = 255)]
    name: Option<String>,
    /// From when it lets nobody in. Excludes `ttl_seconds`; without either it is good for 90 days.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// How long it lets anybody in. Excludes `expires_at`.
    #[schema(minimum = 1, maximum = 315_360_000)]
    ttl_seconds: Option<u64>,
}

/// A new mesh credential.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CreatedMeshCredential {
    /// The credential.
    #[serde(flatten)]
    mesh_credential: MeshCredential,
    /// The secret; shown only here.
    secret: String,
    /// Where agents connect to, `http(s)://…`.
    endpoints: Vec<String>,
}

/// Makes a mesh credential, with which agents of hosts take part in gossip. Takes an API key without a scope.
#[utoipa::path(post, path = "/v1/mesh-credentials", tag = "mesh-credentials", operation_id = "create_mesh_credential", request_body = CreateMeshCredential, responses(
    (status = 201, description = "The credential with its secret", body = CreatedMeshCredential),
))]
pub(super) async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    JsonBody(body): JsonBody<CreateMeshCredential>,
) -> Result<(StatusCode, Json<CreatedMeshCredential>), ApiError> {
    caller.may(Action::ManageKeys)?;
    let ttl_seconds = body.ttl_seconds.or(body.expires_at.is_none().then_some(DEFAULT_TTL_SECONDS));
    let wish = KeyWish {
        name: rules::text("name", body.name)?,
        expires_at: rules::end(body.expires_at, ttl_seconds, state.context().clock.wall())?,
        scope: KeyScope { mesh: true, ..KeyScope::default() },
    };
    let new = state.control_for(&caller).create_key(caller.account(), wish).await?;
    let endpoints = state.context().endpoints.read().clone();
    Ok((StatusCode::CREATED, Json(CreatedMeshCredential { mesh_credential: new.record.into(), secret: new.secret, endpoints })))
}

/// Lists the mesh credentials, oldest first, revoked ones included.
#[utoipa::path(get, path = "/v1/mesh-credentials", tag = "mesh-credentials", operation_id = "list_mesh_credentials", params(ListQuery), responses(
    (status = 200, description = "A page of credentials", body = PageBody<MeshCredential>),
))]
pub(super) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    QueryParams(query): QueryParams<ListQuery>,
) -> Result<Json<PageBody<MeshCredential>>, ApiError> {
    caller.may(Action::ManageKeys)?;
    let page = state.context().catalog.keys(caller.account().id, &query.request()?, |key| key.scope.mesh).await?;
    Ok(Json(PageBody::new(page, |key| key.under(caller.account()).into())))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct CredentialPath {
    /// `key_…`
    #[param(value_type = String, pattern = "^key_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    id: KeyId,
}

/// Revokes a mesh credential: the hosts that came with it leave the mesh, and their cells get new keys. Their mounts live on, by
/// their streams alone.
#[utoipa::path(delete, path = "/v1/mesh-credentials/{id}", tag = "mesh-credentials", operation_id = "revoke_mesh_credential", params(CredentialPath), responses(
    (status = 200, description = "The revoked credential", body = MeshCredential),
    (status = 404, description = "`key_not_found`", body = ErrorBody),
))]
pub(super) async fn revoke(
    State(state): State<ApiState>,
    caller: Caller,
    PathParams(path): PathParams<CredentialPath>,
) -> Result<Json<MeshCredential>, ApiError> {
    caller.may(Action::ManageKeys)?;
    // No session stands on it, so there is nothing to wait for.
    let (credential, _) = state.control_for(&caller).revoke_key(caller.account(), path.id, true, Duration::ZERO).await?;
    Ok(Json(credential.into()))
}
