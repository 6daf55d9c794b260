use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How the data of a workspace travels between agent and object store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataPath {
    /// Through the node.
    #[default]
    Proxied,
    /// With a [`DirectUrl`] for each segment, straight to the object store; through the node where that cannot be reached.
    Direct,
}

/// The longest that a [`DirectUrl`] is good for, in milliseconds: so long may a holder go on with that one segment
/// after its session has ended.
pub const DIRECT_URL_MAX_MS: u64 = 60_000;

/// A signed request for one segment, which whoever has it may make at the object store until it runs out. The answer to
/// `GET /v1/data/{segment}/url`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectUrl {
    /// Where to, signature included.
    pub url: String,
    /// `GET` or `PUT`.
    pub method: String,
    /// Headers that are part of the signature and have to be sent as they are; others may be added.
    pub headers: BTreeMap<String, String>,
    /// How long it is good for, counted from the moment it was asked for.
    pub expires_in_ms: u64,
}

/// Without the signature, which is as good as a password.
impl std::fmt::Debug for DirectUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let address = self.url.split('?').next().unwrap_or_default();
        write!(f, "{} {address} for {} ms", self.method, self.expires_in_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_signature_shows() {
        let url = "http://store/bucket/object?X-Amz-Signature=hush".to_owned();
        let direct = DirectUrl { url, method: "GET".to_owned(), headers: BTreeMap::new(), expires_in_ms: 5 };
        assert_eq!(format!("{direct:?}"), "GET http://store/bucket/object for 5 ms");
    }
}
