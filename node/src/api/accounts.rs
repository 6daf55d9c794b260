use artifacts_core::name::Handle;
use artifacts_core::{AccountId, KeyId, Timestamp};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::api_keys::ScopeBody;
use super::body::JsonBody;
use super::caller::Caller;
use super::error::ErrorBody;
use super::{ApiError, ApiState, rules};
use crate::audit::By;
use crate::records::AccountRecord;

/// A root user: owns everything else.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Account {
    /// `acc_…`
    #[schema(value_type = String, pattern = "^acc_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    id: AccountId,
    /// The first half of a workspace's address.
    #[schema(value_type = String, pattern = "^[a-z0-9][a-z0-9-]{0,38}$")]
    handle: Handle,
    /// Its home: where it lives, and its workspaces unless they are to live elsewhere.
    region: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl Account {
    /// An account of this region.
    fn of(state: &ApiState, record: AccountRecord) -> Self {
        let region = state.context().regions.here().to_string();
        Self { id: record.id, handle: record.handle, region, created_at: record.created_at }
    }
}

/// The account that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateAccount {
    /// Unique in the cluster.
    #[schema(value_type = String, pattern = "^[a-z0-9][a-z0-9-]{0,38}$")]
    handle: Handle,
    /// Its home; the region of the node that is called unless given.
    region: Option<String>,
}

/// A new account.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CreatedAccount {
    /// The account.
    account: Account,
    /// Its first API key.
    api_key: FirstKey,
}

/// The first API key of an account.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FirstKey {
    /// `key_…`
    #[schema(value_type = String, pattern = "^key_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    id: KeyId,
    /// The secret; shown only here.
    key: String,
}

/// Makes an account and its first API key. Takes the admin token.
#[utoipa::path(post, path = "/v1/accounts", tag = "accounts", operation_id = "create_account", request_body = CreateAccount, responses(
    (status = 201, description = "The account and its first key", body = CreatedAccount),
    (status = 409, description = "`handle_exists`", body = ErrorBody),
    (status = 503, description = "`unavailable`: also while the region that keeps the handles is out of reach", body = ErrorBody),
))]
pub(super) async fn create(
    State(state): State<ApiState>,
    JsonBody(body): JsonBody<CreateAccount>,
) -> Result<(StatusCode, Json<CreatedAccount>), ApiError> {
    let regions = &state.context().regions;
    // Whoever passed it on has read this, too.
    if body.region.as_deref().is_some_and(|region| region != regions.here().as_str()) {
        return Err(rules::no_such_region(regions));
    }
    let (account, key) = state.control().by(By::Operator).create_account(body.handle).await?;
    let api_key = FirstKey { id: key.record.id, key: key.secret };
    Ok((StatusCode::CREATED, Json(CreatedAccount { account: Account::of(&state, account), api_key })))
}

/// Who the caller is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Whoami {
    /// The account.
    account: Account,
    /// The API key that was used.
    #[schema(value_type = String, pattern = "^key_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    key_id: KeyId,
    /// What the key is confined to; absent when it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<ScopeBody>,
}

/// Says whose key this is.
#[utoipa::path(get, path = "/v1/whoami", tag = "accounts", operation_id = "whoami", responses(
    (status = 200, description = "The caller", body = Whoami),
))]
pub(super) async fn whoami(State(state): State<ApiState>, caller: Caller) -> Json<Whoami> {
    let key = caller.key();
    Json(Whoami { account: Account::of(&state, caller.account().clone()), key_id: key.id, scope: ScopeBody::of(&key.scope) })
}
