#![allow(clippy::unwrap_used)]
use std::fs;
use std::path::Path;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use axum::response::Response;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use super::asset::POLICY;
use super::{PAGE, PARTS, router};

async fn ask(method: Method, path: &str, if_none_match: Option<&str>) -> Response {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(tags) = if_none_match {
        request = request.header("if-none-match", tags);
    }
    router(true).oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

async fn body(response: Response) -> Vec<u8> {
    response.into_body().collect().await.unwrap().to_bytes().to_vec()
}

#[tokio::test]
async fn every_file_is_answered_with_its_type_and_what_a_browser_may_do() {
    let parts = PARTS.iter().map(|(name, asset)| (format!("/console/{name}"), asset));
    for (path, asset) in parts.chain([("/console".to_owned(), &PAGE)]) {
        let response = ask(Method::GET, &path, None).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(header(&response, "content-security-policy"), POLICY, "{path}");
        assert_eq!(header(&response, "x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header(&response, "referrer-policy"), "no-referrer", "{path}");
        assert_eq!(header(&response, "cache-control"), "no-cache", "{path}");
        let expected = match path.rsplit('.').next() {
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            _ => "text/html; charset=utf-8",
        };
        assert_eq!(header(&response, "content-type"), expected, "{path}");
        assert_eq!(body(response).await, asset.content(), "{path}");
    }
}

#[tokio::test]
async fn what_the_browser_has_is_not_sent_again() {
    let tag = header(&ask(Method::GET, "/console/app.js", None).await, "etag").to_owned();
    assert!(tag.len() > 20 && tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let response = ask(Method::GET, "/console/app.js", Some(&known)).await;
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{known}");
        assert_eq!((header(&response, "etag"), header(&response, "content-security-policy")), (tag.as_str(), POLICY));
        assert!(body(response).await.is_empty());
    }
    for other in ["\"other\"", tag.trim_matches('"'), ""] {
        assert_eq!(ask(Method::GET, "/console/app.js", Some(other)).await.status(), StatusCode::OK, "{other}");
    }
    assert_ne!(header(&ask(Method::GET, "/console/dom.js", None).await, "etag"), tag);
}

#[tokio::test]
async fn head_and_other_methods() {
    let response = ask(Method::HEAD, "/console", None).await;
    assert_eq!((response.status(), header(&response, "content-type")), (StatusCode::OK, "text/html; charset=utf-8"));
    assert!(body(response).await.is_empty());
    assert_eq!(ask(Method::POST, "/console", None).await.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    for path in ["/console/nothing.js", "/console/assets/app.js", "/console/../console/app.js", "/console/%2e%2e/mod.rs", "/consoles"] {
        assert_eq!(ask(Method::GET, path, None).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let response = ask(Method::GET, "/console/", None).await;
    assert_eq!((response.status(), header(&response, "location")), (StatusCode::PERMANENT_REDIRECT, "../console"));
}

#[tokio::test]
async fn nothing_is_there_when_it_is_off() {
    let request = Request::builder().uri("/console").body(Body::empty()).unwrap();
    assert_eq!(router(false).oneshot(request).await.unwrap().status(), StatusCode::NOT_FOUND);
}

/// A file that is added and not named above would be missed only in a browser.
#[test]
fn every_file_in_the_folder_is_served_and_every_import_leads_to_one() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/console/assets");
    let mut there: Vec<String> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    there.retain(|name| name != "index.html");
    there.sort();
    let mut served: Vec<&str> = PARTS.iter().map(|(name, _)| *name).collect();
    served.sort_unstable();
    assert_eq!(served, there);
    for (name, asset) in PARTS.iter().filter(|(name, _)| name.ends_with(".js")) {
        let text = std::str::from_utf8(asset.content()).unwrap();
        for import in text.lines().filter(|line| line.starts_with("import ")) {
            let from = import.split("'./").nth(1).and_then(|rest| rest.split('\'').next());
            assert!(from.is_some_and(|from| served.contains(&from)), "{name}: {import}");
        }
    }
}

/// Text from the API must have no way to become markup or a script, whatever a browser would do about it.
#[test]
fn no_script_parses_markup_or_code() {
    for (name, asset) in PARTS {
        let text = std::str::from_utf8(asset.content()).unwrap();
        for sink in
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "DOMParser", "srcdoc", "localStorage"]
        {
            assert!(!text.contains(sink), "{name}: {sink}");
        }
    }
    let page = std::str::from_utf8(PAGE.content()).unwrap();
    assert!(!page.contains("style=") && !page.contains(" on") && !page.contains("http"), "{page}");
}
