//! The web console at `/console`: pages for whoever operates an account or the cluster.
//!
//! It owns the files in `assets`, which are part of the program, and how they are answered. What is always true:
//!
//! - **It has no rights.** The pages call the same API as everybody else, with the credential that is typed into them; what is
//!   answered here is the same for all, and takes none.
//! - **A browser runs what is in these files and nothing else**, and speaks to this node alone: the content security policy says
//!   so, and no file holds markup in a script or a style in markup.
//! - **Names are hostile.** Scripts make text nodes and attributes of what the API answers, and never parse it.
//!
//! `docs/console.md` tells what it shows.

mod asset;
#[cfg(test)]
mod tests;

use artifacts_core::ErrorCode;
use axum::Router;
use axum::http::HeaderMap;
use axum::response::Redirect;
use axum::routing::{MethodRouter, get};

use self::asset::Asset;
use crate::api::ApiError;

/// The page. It names the files below relative to its own address, so that a proxy may put a prefix in front.
const PAGE: Asset = Asset::html(include_bytes!("assets/index.html"));

/// What the page consists of, by its name below `/console/`.
const PARTS: [(&str, Asset); 27] = [
    ("icon.svg", Asset::svg(include_bytes!("assets/icon.svg"))),
    ("style.css", Asset::css(include_bytes!("assets/style.css"))),
    ("api.js", Asset::script(include_bytes!("assets/api.js"))),
    ("app.js", Asset::script(include_bytes!("assets/app.js"))),
    ("audit.js", Asset::script(include_bytes!("assets/audit.js"))),
    ("cells.js", Asset::script(include_bytes!("assets/cells.js"))),
    ("create_workspace.js", Asset::script(include_bytes!("assets/create_workspace.js"))),
    ("dialog.js", Asset::script(include_bytes!("assets/dialog.js"))),
    ("dom.js", Asset::script(include_bytes!("assets/dom.js"))),
    ("format.js", Asset::script(include_bytes!("assets/format.js"))),
    ("going.js", Asset::script(include_bytes!("assets/going.js"))),
    ("grants.js", Asset::script(include_bytes!("assets/grants.js"))),
    ("health.js", Asset::script(include_bytes!("assets/health.js"))),
    ("issue_ticket.js", Asset::script(include_bytes!("assets/issue_ticket.js"))),
    ("live.js", Asset::script(include_bytes!("assets/live.js"))),
    ("locks.js", Asset::script(include_bytes!("assets/locks.js"))),
    ("mounts.js", Asset::script(include_bytes!("assets/mounts.js"))),
    ("overview.js", Asset::script(include_bytes!("assets/overview.js"))),
    ("parts.js", Asset::script(include_bytes!("assets/parts.js"))),
    ("revoke.js", Asset::script(include_bytes!("assets/revoke.js"))),
    ("ring.js", Asset::script(include_bytes!("assets/ring.js"))),
    ("ring_picture.js", Asset::script(include_bytes!("assets/ring_picture.js"))),
    ("sign_in.js", Asset::script(include_bytes!("assets/sign_in.js"))),
    ("tenants.js", Asset::script(include_bytes!("assets/tenants.js"))),
    ("usage.js", Asset::script(include_bytes!("assets/usage.js"))),
    ("workspace.js", Asset::script(include_bytes!("assets/workspace.js"))),
    ("workspaces.js", Asset::script(include_bytes!("assets/workspaces.js"))),
];

/// The console, or nothing if it is off.
pub(crate) fn router(is_on: bool) -> Router {
    if !is_on {
        return Router::new();
    }
    let parts = PARTS.into_iter().fold(Router::new(), |router, (name, asset)| router.route(&format!("/console/{name}"), answer(asset)));
    parts
        .route("/console", answer(PAGE))
        .route("/console/", get(|| async { Redirect::permanent("../console") }))
        .route("/console/{*part}", get(|| async { ApiError::new(ErrorCode::NotFound, "the console has no such part; open /console") }))
}

fn answer(asset: Asset) -> MethodRouter {
    let tag = asset.tag();
    get(move |asked: HeaderMap| async move { asset.respond(&tag, &asked) })
}
