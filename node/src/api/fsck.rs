use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::JsonBody;
use super::caller::Caller;
use super::error::ErrorBody;
use super::path::PathParams;
use super::scope::{Action, Subject};
use super::workspaces::WorkspacePath;
use super::{ApiError, ApiState};
use crate::sessions::{CheckOptions, CheckReport};

/// What a check is to do.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckWorkspace {
    /// Put right what can be without losing anything: counts, marks of orphans, objects that nothing has named for a long time.
    #[serde(default)]
    repair: bool,
    /// Read every block and compare it with its checksum.
    #[serde(default)]
    data: bool,
}

/// What a check has seen.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Check {
    /// Whether nothing is wrong, or nothing any more.
    clean: bool,
    /// What is wrong: the first thousand of what cannot be repaired, and all that can.
    findings: Vec<Finding>,
    /// How many more there are.
    untold: u64,
    /// Files, directories and the like, counted.
    inodes: u64,
    /// Bytes of data, counted.
    bytes: u64,
    /// Segments on record.
    segments: u64,
    /// Objects in the workspace's place.
    objects: u64,
    /// Those of them in which nothing of this workspace lives, only of forks and snapshots.
    lent_objects: u64,
    /// Objects that nothing names; those that are young may still be named.
    unnamed_objects: u64,
    /// Bytes of data that were read and compared.
    verified_bytes: u64,
}

/// One thing that is wrong.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CheckFinding)]
struct Finding {
    /// What, for people.
    message: String,
    /// Whether `repair` can put it right.
    repairable: bool,
    /// Whether it was put right.
    repaired: bool,
}

impl From<CheckReport> for Check {
    fn from(report: CheckReport) -> Self {
        let clean = report.untold == 0 && report.findings.iter().all(|finding| finding.repaired);
        let show = |finding: crate::sessions::CheckFinding| Finding {
            message: finding.text,
            repairable: finding.repairable,
            repaired: finding.repaired,
        };
        Self {
            clean,
            findings: report.findings.into_iter().map(show).collect(),
            untold: report.untold,
            inodes: report.inodes,
            bytes: report.bytes,
            segments: report.segments,
            objects: report.objects,
            lent_objects: report.lent_objects,
            unnamed_objects: report.unnamed_objects,
            verified_bytes: report.verified_bytes,
        }
    }
}

/// Checks that a workspace's metadata and data agree, as of one moment, while it is in use. Answers when it is done.
#[utoipa::path(post, path = "/v1/workspaces/{handle}/{name}/fsck", tag = "workspaces", operation_id = "check_workspace", params(WorkspacePath), request_body = CheckWorkspace, responses(
    (status = 200, description = "What was found", body = Check),
    (status = 404, description = "`workspace_not_found`", body = ErrorBody),
    (status = 409, description = "`workspace_not_active`", body = ErrorBody),
))]
pub(super) async fn run(
    State(state): State<ApiState>,
    caller: Caller,
    PathParams(path): PathParams<WorkspacePath>,
    JsonBody(body): JsonBody<CheckWorkspace>,
) -> Result<Json<Check>, ApiError> {
    let name = caller.own(Some(&path.handle), &path.name)?;
    caller.may(Action::Change(Subject::workspace(name)))?;
    let workspace = state.control().active_workspace(caller.account(), name).await?;
    let options = CheckOptions { repair: body.repair, data: body.data };
    let report = state.control().data_plane().check(&workspace, options).await?;
    Ok(Json(report.into()))
}
