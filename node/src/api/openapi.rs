//! The description of the API, made from the handlers and completed with what all calls have in common.

use std::sync::OnceLock;

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use utoipa::OpenApi as _;
use utoipa::openapi::path::{HttpMethod, Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, HeaderBuilder, OpenApi, PathItem, Ref, RefOr, Required, ResponseBuilder};

use super::error::ErrorBody;
use super::routes;
use super::schema::ErrorCodeSchema;

const API_KEY: &str = "api_key";
const ADMIN_TOKEN: &str = "admin_token";
const MOUNT_TICKET: &str = "mount_ticket";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Artifacts",
        description = "Isolated, persistent, shared storage for the runtimes of a platform's customers.",
        license(name = "Apache-2.0")
    ),
    components(schemas(ErrorBody, ErrorCodeSchema))
)]
struct Base;

/// What every call with a credential may answer beside what its handler names.
const COMMON_ERRORS: [(&str, &str); 8] = [
    ("401", "`unauthorized`: the credential is missing, unknown, expired or revoked"),
    ("403", "`forbidden`: outside the credential's scope"),
    ("413", "`payload_too_large`: the body is longer than 64 KiB"),
    ("415", "`unsupported_media_type`: the body is not JSON"),
    ("422", "`invalid_request`: a value breaks its rule; the message names it"),
    ("429", "`rate_limited`: too many calls with this credential; see `Retry-After`"),
    ("500", "`internal`: the node failed"),
    ("503", "`unavailable`: the node cannot answer at the moment; see `Retry-After`"),
];

/// Serves the description.
#[utoipa::path(get, path = "/openapi.json", tag = "monitoring", operation_id = "openapi", security(()), responses(
    (status = 200, description = "This document", body = Object),
))]
pub(crate) async fn show() -> Response {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    let document = DOCUMENT.get_or_init(|| document().to_json().unwrap_or_default().into());
    ([(CONTENT_TYPE, "application/json")], document.clone()).into_response()
}

/// The whole description.
pub(super) fn document() -> OpenApi {
    let mut document = Base::openapi();
    let all = [routes::open(), routes::of_keys(), routes::of_locks(), routes::of_files(), routes::waiting_for_locks(), routes::of_admin()];
    for described in all {
        document.merge(described.into_openapi());
    }
    // A parameter that spans slashes has no form of its own in a description.
    let paths = std::mem::take(&mut document.paths.paths);
    document.paths.paths = paths.into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect();
    let components = document.components.get_or_insert_default();
    for (name, description) in [
        (API_KEY, "An API key"),
        (ADMIN_TOKEN, "The admin token of the node's data directory"),
        (MOUNT_TICKET, "The `token` of a mount ticket of the workspace"),
    ] {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(description)).build();
        components.add_security_scheme(name, SecurityScheme::Http(scheme));
    }
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            complete(path, &method, operation);
        }
    }
    document
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (HttpMethod, &mut Operation)> {
    let all = [
        (HttpMethod::Get, &mut item.get),
        (HttpMethod::Post, &mut item.post),
        (HttpMethod::Patch, &mut item.patch),
        (HttpMethod::Put, &mut item.put),
        (HttpMethod::Delete, &mut item.delete),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

fn complete(path: &str, method: &HttpMethod, operation: &mut Operation) {
    if path.starts_with("/v1/") {
        let schemes: &[&str] = match path {
            "/v1/accounts" | "/v1/signing-keys/rotate" => &[ADMIN_TOKEN],
            _ if ["locks", "files"].iter().any(|of| path.starts_with(&format!("/v1/workspaces/{{handle}}/{{name}}/{of}"))) => {
                &[API_KEY, MOUNT_TICKET]
            }
            _ => &[API_KEY],
        };
        operation.security = Some(schemes.iter().map(|scheme| SecurityRequirement::new::<_, [&str; 0], &str>(*scheme, [])).collect());
        for (status, description) in COMMON_ERRORS {
            let needs_body = matches!(status, "413" | "415");
            let has_json = operation.request_body.as_ref().is_some_and(|body| body.content.contains_key("application/json"));
            if !needs_body || has_json {
                operation.responses.responses.entry(status.to_owned()).or_insert_with(|| error(description));
            }
        }
        if *method == HttpMethod::Post {
            operation.parameters.get_or_insert_default().push(idempotency_key());
            let conflict = "`idempotency_conflict`: the `Idempotency-Key` was used for another request";
            match operation.responses.responses.entry("409".to_owned()).or_insert_with(|| error("")) {
                RefOr::T(response) if response.description.is_empty() => conflict.clone_into(&mut response.description),
                RefOr::T(response) => response.description = format!("{}; {conflict}", response.description),
                RefOr::Ref(_) => {}
            }
        }
    }
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            let header = HeaderBuilder::new().schema(ObjectBuilder::new().schema_type(Type::String).build());
            response.headers.insert("x-request-id".to_owned(), header.description(Some("Names the request in the node's log")).build());
        }
    }
}

fn error(description: &str) -> RefOr<utoipa::openapi::Response> {
    let body = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorBody"))).build();
    ResponseBuilder::new().description(description).content("application/json", body).build().into()
}

fn idempotency_key() -> Parameter {
    let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(255)).build();
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .schema(Some(text))
        .description(Some("The same key and body within 24 hours get the same answer, with the header `idempotent-replayed: true`"))
        .build()
}
