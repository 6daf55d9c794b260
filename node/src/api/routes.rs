//! Every call, by who may make it. The description of the API is made from the same lists.

use axum::routing;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{
    ApiState, accounts, api_keys, audit, audit_events, cells, cluster, everything, file_list, file_moves, files, fsck, grants, jwks,
    lock_events, lock_list, locks, mesh_credentials, monitoring, mount_tickets, openapi, sessions, signing_keys, snapshots, tenants, usage,
    workspaces,
};

/// The calls that take no credential.
pub(super) fn open() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(monitoring::healthz))
        .routes(routes!(monitoring::readyz))
        .routes(routes!(monitoring::metrics))
        .routes(routes!(jwks::show))
        .routes(routes!(openapi::show))
}

/// The calls that take the admin token.
pub(super) fn of_admin() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(accounts::create)).routes(routes!(cluster::show)).routes(routes!(signing_keys::rotate))
}

/// The calls that take an API key, or a mount ticket of the workspace.
pub(super) fn of_locks() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(locks::renew))
        .routes(routes!(locks::release))
        .routes(routes!(lock_list::list))
        .routes(routes!(lock_events::stream))
}

/// As [`of_locks`], about files.
pub(super) fn of_files() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(file_list::list))
        .routes(routes!(files::get, files::put, files::delete))
        .routes(routes!(file_moves::run))
        // A file may have this name, too.
        .route("/v1/workspaces/{handle}/{name}/files/move", routing::get(files::get).put(files::put).delete(files::delete))
}

/// Those of them that wait for others.
pub(super) fn waiting_for_locks() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(locks::acquire))
}

/// The calls that take an API key.
pub(super) fn of_keys() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(accounts::whoami))
        .routes(routes!(everything::revoke))
        .routes(routes!(audit::list))
        .routes(routes!(audit_events::stream))
        .routes(routes!(api_keys::create, api_keys::list))
        .routes(routes!(api_keys::revoke))
        .routes(routes!(mesh_credentials::create, mesh_credentials::list))
        .routes(routes!(mesh_credentials::revoke))
        .routes(routes!(cells::show))
        .routes(routes!(tenants::create, tenants::list))
        .routes(routes!(tenants::show, tenants::change, tenants::delete))
        .routes(routes!(tenants::usage))
        .routes(routes!(workspaces::create, workspaces::list))
        .routes(routes!(workspaces::show, workspaces::change, workspaces::delete))
        .routes(routes!(snapshots::create, snapshots::list))
        .routes(routes!(snapshots::show, snapshots::delete))
        .routes(routes!(snapshots::fork))
        .routes(routes!(fsck::run))
        .routes(routes!(usage::list))
        .routes(routes!(usage::show))
        .routes(routes!(grants::create))
        .routes(routes!(grants::list))
        .routes(routes!(grants::show, grants::revoke_one))
        .routes(routes!(grants::revoke))
        .routes(routes!(mount_tickets::create))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::end))
}
