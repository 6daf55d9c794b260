use artifacts_core::name::{RuntimeId, Subpath, TenantSlug, WorkspaceAddress};
use artifacts_core::ticket::{Mode, TicketFile};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::body::JsonBody;
use super::caller::Caller;
use super::error::ErrorBody;
use super::path::PathParams;
use super::schema::{ModeSchema, TicketFileSchema};
use super::scope::{Action, Subject};
use super::{ApiError, ApiState, rules};
use crate::control::TicketOrder;
use crate::control::grant_rules::LONGEST_TICKET_SECONDS;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct RuntimePath {
    /// The tenant's slug; it is made if it is missing.
    #[param(value_type = String, pattern = "^[a-z0-9][a-z0-9-]{0,62}$")]
    slug: TenantSlug,
    /// The platform's own name for the runtime.
    #[param(value_type = String, pattern = "^[A-Za-z0-9._:-]{1,128}$")]
    runtime_id: RuntimeId,
}

/// The ticket that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateMountTicket {
    /// `name`, `handle/name` or `artifacts://handle/name`, and `@snapshot` behind it for a snapshot, which is mounted `ro`.
    #[schema(value_type = String, example = "acme/task-1")]
    workspace: WorkspaceAddress,
    /// What the mount may do.
    #[schema(value_type = ModeSchema)]
    mode: Mode,
    /// How long the ticket lives.
    #[schema(minimum = 1, maximum = 86_400)]
    ttl_seconds: u64,
    /// The directory that the mount sees as its root; absent: the whole workspace.
    #[schema(value_type = Option<String>)]
    subpath: Option<Subpath>,
    /// Whether a session may go on after the ticket has run out, for as long as the grant stands.
    renewable: Option<bool>,
}

/// A new mount ticket.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CreatedMountTicket {
    /// The file to inject into the runtime.
    #[schema(value_type = TicketFileSchema)]
    mount_ticket: TicketFile,
}

/// Signs a mount ticket for a runtime. Makes the tenant and a grant for this runtime if they are missing.
#[utoipa::path(post, path = "/v1/tenants/{slug}/runtimes/{runtime_id}/mount-tickets", tag = "tickets", operation_id = "create_mount_ticket", params(RuntimePath), request_body = CreateMountTicket, responses(
    (status = 201, description = "The ticket", body = CreatedMountTicket),
    (status = 404, description = "`workspace_not_found`, `snapshot_not_found`", body = ErrorBody),
    (status = 409, description = "`workspace_not_active`", body = ErrorBody),
))]
pub(super) async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    PathParams(path): PathParams<RuntimePath>,
    JsonBody(body): JsonBody<CreateMountTicket>,
) -> Result<(StatusCode, Json<CreatedMountTicket>), ApiError> {
    let workspace = caller.own(body.workspace.handle.as_ref(), &body.workspace.name)?;
    caller.may(Action::HandOut(Subject::access(workspace, &path.slug), body.mode))?;
    let order = TicketOrder {
        workspace: workspace.clone(),
        snapshot: body.workspace.snapshot.clone(),
        tenant: path.slug,
        runtime: path.runtime_id,
        mode: body.mode,
        subpath: body.subpath,
        ttl_seconds: rules::ttl(body.ttl_seconds, LONGEST_TICKET_SECONDS)?,
        renewable: body.renewable.unwrap_or(false),
    };
    let mount_ticket = state.control_for(&caller).create_ticket(caller.account(), order).await?;
    Ok((StatusCode::CREATED, Json(CreatedMountTicket { mount_ticket })))
}
