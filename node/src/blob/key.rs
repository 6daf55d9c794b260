//! The name of an object.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest key, in bytes: no component of it exceeds what a file name may be.
const MAX_BYTES: usize = 200;

/// A relative key such as `ws_…/seg_…`: components of `[a-z0-9_-]` with single slashes between them. Valid by
/// construction, so it can become a path or part of an address without a second look; ordered by its bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobKey(Arc<str>);

/// The text is not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid blob key: expected 1 to {MAX_BYTES} characters of [a-z0-9_/-], no empty component")]
pub struct InvalidBlobKey;

impl BlobKey {
    /// Checks a text.
    pub fn new(text: &str) -> Result<Self, InvalidBlobKey> {
        let is_component = |component: &str| {
            let is_allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
            !component.is_empty() && component.bytes().all(is_allowed)
        };
        if text.len() > MAX_BYTES || !text.split('/').all(is_component) {
            return Err(InvalidBlobKey);
        }
        Ok(Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parts between the slashes; at least one.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }
}

/// So that a map of keys can be searched by text; both are ordered by their bytes.
impl Borrow<str> for BlobKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for BlobKey {
    type Err = InvalidBlobKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl fmt::Display for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
