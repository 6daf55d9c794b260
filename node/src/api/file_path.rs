//! Paths in addresses. Names are bytes, so they are read from the address itself, where each byte can be written as `%XX`.

use artifacts_core::ErrorCode;
use artifacts_core::namespace::Name;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::ApiError;
use super::workspaces::WorkspacePath;

/// The longest path, in bytes.
const LONGEST: usize = 16 << 10;
/// What stands before a path: `/v1/workspaces/{handle}/{name}/files/`.
const BEFORE: usize = 6;

/// `…/files/{path}`.
pub(super) struct FilePath {
    pub(super) workspace: WorkspacePath,
    pub(super) names: Vec<Name>,
}

impl<S: Send + Sync> FromRequestParts<S> for FilePath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let path = parts.uri.path();
        let names = path.splitn(BEFORE + 1, '/').nth(BEFORE).unwrap_or_default();
        Ok(Self { workspace: workspace_of(path)?, names: encoded(names)? })
    }
}

/// The workspace that an address names.
///
/// # Errors
/// `invalid_request`.
pub(super) fn workspace_of(path: &str) -> Result<WorkspacePath, ApiError> {
    let mut parts = path.split('/').skip(3);
    let mut part = || String::from_utf8(decode(parts.next().unwrap_or_default())).unwrap_or_default();
    let (handle, name) = (part(), part());
    let handle = handle.parse().map_err(|error: artifacts_core::name::InvalidName| ApiError::invalid("handle", error))?;
    let name = name.parse().map_err(|error: artifacts_core::name::InvalidName| ApiError::invalid("name", error))?;
    Ok(WorkspacePath { handle, name })
}

/// A path as it stands in an address.
///
/// # Errors
/// `invalid_request` for what is no path of names.
pub(super) fn encoded(path: &str) -> Result<Vec<Name>, ApiError> {
    names(path.split('/').map(decode), path.len())
}

/// A path as it stands in JSON or behind the question mark; the empty one is the root.
///
/// # Errors
/// As [`encoded`].
pub(super) fn plain(path: &str) -> Result<Vec<Name>, ApiError> {
    let trimmed = path.trim_matches('/');
    if trimmed.is_empty() {
        return Ok(Vec::new());
    }
    names(trimmed.split('/').map(|name| name.as_bytes().to_vec()), path.len())
}

fn names(parts: impl Iterator<Item = Vec<u8>>, len: usize) -> Result<Vec<Name>, ApiError> {
    if len > LONGEST {
        return Err(ApiError::new(ErrorCode::InvalidRequest, format!("a path holds at most {LONGEST} bytes")));
    }
    let rule = "must be names of 1 to 255 bytes with single slashes between them, without `.` and `..`";
    parts.map(|part| Name::new(part).map_err(|_| ApiError::invalid("path", rule))).collect()
}

/// Percent-decoding (RFC 3986 section 2.1). A percent sign that begins nothing stands for itself.
fn decode(text: &str) -> Vec<u8> {
    let (bytes, mut at) = (text.as_bytes(), 0);
    let mut decoded = Vec::with_capacity(bytes.len());
    while let Some(&byte) = bytes.get(at) {
        let hex = |at: usize| bytes.get(at).and_then(|&digit| char::from(digit).to_digit(16));
        match (byte, hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((16 * high + low) as u8);
                at += 3;
            }
            _ => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    decoded
}

/// A path as it goes into an address.
pub(super) fn encode<'a>(names: impl IntoIterator<Item = &'a Name>) -> String {
    let mut text = String::new();
    for name in names {
        if !text.is_empty() {
            text.push('/');
        }
        for &byte in name.as_bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                text.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    text
}

/// A path for people and programs: what is no UTF-8 shows as U+FFFD.
pub(super) fn show<'a>(names: impl IntoIterator<Item = &'a Name>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| String::from_utf8_lossy(name.as_bytes())).collect();
    names.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str) -> Option<Vec<Vec<u8>>> {
        encoded(path).ok().map(|names| names.iter().map(|name| name.as_bytes().to_vec()).collect())
    }

    #[test]
    fn every_name_has_an_address_and_no_other_thing_does() {
        assert_eq!(text("a/b%20c"), Some(vec![b"a".to_vec(), b"b c".to_vec()]));
        assert_eq!(text("%FF%fe%"), Some(vec![vec![0xff, 0xfe, b'%']]));
        for bad in ["", "/a", "a//b", "a/", ".", "a/%2e%2e/b", "a%2Fb", "a%00", &"x".repeat(256), &"a/".repeat(20_000)] {
            assert_eq!(text(bad), None, "{bad:.20}");
        }
        for name in [&b"plain-1.txt"[..], b"with space", b"100%", b"\xff", "é".as_bytes()] {
            let names = [Name::new(name.to_vec()).unwrap(), Name::new(&b"x"[..]).unwrap()];
            assert_eq!(encoded(&encode(&names)).unwrap(), names);
        }
        assert_eq!(plain("/").unwrap(), []);
        assert_eq!(plain("a/b%20/").unwrap().last().unwrap().as_bytes(), b"b%20");
    }

    #[test]
    fn an_address_says_its_workspace() {
        let path = workspace_of("/v1/workspaces/acme/task-1/files/%FF").unwrap();
        assert_eq!((path.handle.as_str(), path.name.as_str()), ("acme", "task-1"));
        assert!(workspace_of("/v1/workspaces/ACME/task-1/files").is_err());
    }
}
