use artifacts_core::{KeyId, Timestamp};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::JsonBody;
use super::caller::Caller;
use super::error::ErrorBody;
use super::fenced::{self, FencedSessions};
use super::scope::Action;
use super::{ApiError, ApiState};

/// How to revoke everything.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RevokeEverything {
    /// How long to wait for mounts to confirm, in milliseconds; 1000 unless given.
    #[schema(maximum = 10_000)]
    wait_ms: Option<u64>,
}

/// That everything was revoked.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EverythingRevoked {
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked_at: Option<Timestamp>,
    /// The only API key of the account that still opens anything: the one of this call.
    #[schema(value_type = String, pattern = "^key_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    kept_key_id: KeyId,
    /// The account's sessions.
    sessions: FencedSessions,
}

/// Takes away everything that the account has handed out: all grants with their tickets, all sessions, and all API keys but the
/// one of this call. What is granted afterwards stands. Takes a key without a scope.
///
/// For the moment in which a key or a backend is lost. Answers once that is durable and every session that can be reached is
/// fenced at the control nodes, however many there are.
#[utoipa::path(post, path = "/v1/account/revoke-everything", tag = "accounts", operation_id = "revoke_everything", request_body = RevokeEverything, responses(
    (status = 200, description = "What was taken away", body = EverythingRevoked),
    (status = 404, description = "`key_not_found`: the key was revoked meanwhile", body = ErrorBody),
))]
pub(super) async fn revoke(
    State(state): State<ApiState>,
    caller: Caller,
    JsonBody(body): JsonBody<RevokeEverything>,
) -> Result<Json<EverythingRevoked>, ApiError> {
    caller.may(Action::ManageKeys)?;
    let wait = fenced::wait(body.wait_ms)?;
    let key = caller.key().id;
    let (account, report) = state.control_for(&caller).revoke_everything(caller.account(), key, wait).await?;
    Ok(Json(EverythingRevoked { revoked_at: account.everything_revoked_at, kept_key_id: key, sessions: report.into() }))
}
