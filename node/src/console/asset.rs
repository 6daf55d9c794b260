use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};

/// What a browser may do for a page of the console (Content Security Policy Level 3): run and show what this node serves, and call it.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                                 base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// In every answer.
const HEADERS: [(HeaderName, &str); 5] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    // Kept, but asked about each time: another release of the node has other files of the same name.
    (CACHE_CONTROL, "no-cache"),
];

/// A file of the console.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asset {
    media_type: &'static str,
    content: &'static [u8],
}

impl Asset {
    pub(super) const fn html(content: &'static [u8]) -> Self {
        Self { media_type: "text/html; charset=utf-8", content }
    }

    pub(super) const fn css(content: &'static [u8]) -> Self {
        Self { media_type: "text/css; charset=utf-8", content }
    }

    pub(super) const fn script(content: &'static [u8]) -> Self {
        Self { media_type: "text/javascript; charset=utf-8", content }
    }

    pub(super) const fn svg(content: &'static [u8]) -> Self {
        Self { media_type: "image/svg+xml", content }
    }

    /// What is in it.
    #[cfg(test)]
    pub(super) fn content(&self) -> &'static [u8] {
        self.content
    }

    /// Its entity tag (RFC 9110 section 8.8.3), by what is in it.
    pub(super) fn tag(&self) -> HeaderValue {
        let hash = blake3::hash(self.content).to_hex();
        // Hexadecimal digits are always good in a header.
        HeaderValue::from_str(&format!("\"{}\"", &hash[..32])).unwrap_or(HeaderValue::from_static("\"\""))
    }

    /// The answer to a request with these headers: the file, or that it is as the browser has it.
    pub(super) fn respond(&self, tag: &HeaderValue, asked: &HeaderMap) -> Response {
        let mut response = if is_known(tag, asked) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            ([(CONTENT_TYPE, self.media_type)], self.content).into_response()
        };
        let headers = response.headers_mut();
        headers.insert(ETAG, tag.clone());
        headers.extend(HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value))));
        response
    }
}

/// Whether `If-None-Match` (RFC 9110 section 13.1.2) names this tag.
fn is_known(tag: &HeaderValue, asked: &HeaderMap) -> bool {
    let lists = asked.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = lists.flat_map(|list| list.split(',')).map(str::trim);
    tags.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known).as_bytes() == tag.as_bytes())
}
