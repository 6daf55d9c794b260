use std::path::PathBuf;

use serde::Deserialize;

/// Why a call to the API brought no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The node answered with an error.
    #[error("{message}")]
    Answer {
        /// The HTTP status.
        status: u16,
        /// The stable name of what went wrong.
        code: String,
        /// For people.
        message: String,
        /// What to do about it.
        hint: Option<String>,
        /// Under which the node logged it.
        request_id: Option<String>,
    },
    /// No answer came.
    #[error("cannot reach {url}: {reason}")]
    Unreachable {
        /// The node's address.
        url: String,
        /// What the operating system or TLS said.
        reason: String,
    },
    /// What came is not an answer of this API.
    #[error("{url} sent an answer that is not one of the Artifacts API: {reason}")]
    Unreadable {
        /// The node's address.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The authorities to trust cannot be read.
    #[error("cannot use the CA certificates in {}: {reason}", path.display())]
    Authorities {
        /// The PEM file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The address is not one.
    #[error("`{url}` is not the address of a node: {reason}")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The body of an error.
#[derive(Deserialize)]
struct Body {
    code: String,
    message: String,
    #[serde(default)]
    hint: Option<String>,
    #[serde(default)]
    request_id: Option<String>,
}

impl ApiError {
    /// Reads the body of an answer with an error status; `None` when no node wrote it (a proxy did, say).
    pub(super) fn from_body(status: u16, body: &[u8]) -> Option<Self> {
        let Body { code, message, hint, request_id } = serde_json::from_slice(body).ok()?;
        Some(Self::Answer { status, code, message, hint, request_id })
    }

    /// An answer with an error status that no node wrote.
    pub(super) fn foreign(status: u16, url: &str) -> Self {
        Self::Answer {
            status,
            code: "failed".to_owned(),
            message: format!("{url} answered with HTTP status {status}"),
            hint: None,
            request_id: None,
        }
    }

    /// The innermost reason of what the HTTP library reports: the outer ones only repeat the address.
    pub(super) fn unreachable(url: &str, error: &reqwest::Error) -> Self {
        let mut reason: &dyn std::error::Error = error;
        while let Some(source) = reason.source() {
            reason = source;
        }
        let reason = if error.is_timeout() { "no answer in time".to_owned() } else { reason.to_string() };
        Self::Unreachable { url: url.to_owned(), reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_of_the_contract_is_read() {
        let body = br#"{"code":"workspace_not_found","message":"no","request_id":"req_1","new":1}"#;
        let Some(ApiError::Answer { status, code, hint, request_id, .. }) = ApiError::from_body(404, body) else { panic!("not read") };
        assert_eq!((status, code.as_str(), hint, request_id.as_deref()), (404, "workspace_not_found", None, Some("req_1")));
        assert!(ApiError::from_body(502, b"<html>").is_none());
    }
}
