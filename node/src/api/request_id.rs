use std::fmt;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::random::SharedEntropy;

/// The header that carries it, in both directions.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST: usize = 128;

/// Names one request in its answer and in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RequestId(Arc<str>);

impl RequestId {
    /// The caller's own, if it is harmless in a log: 1–128 bytes of `[A-Za-z0-9._-]`. Otherwise a new one.
    pub(super) fn of(headers: &HeaderMap, entropy: &SharedEntropy) -> Self {
        let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let given = headers.get(X_REQUEST_ID).and_then(|value| value.to_str().ok());
        match given.filter(|text| (1..=LONGEST).contains(&text.len()) && text.bytes().all(harmless)) {
            Some(text) => Self(text.into()),
            None => {
                let mut bits = [0; 16];
                entropy.fill(&mut bits);
                Self(format!("req_{:032x}", u128::from_be_bytes(bits)).into())
            }
        }
    }

    /// As the value of the header.
    pub(super) fn header(&self) -> HeaderValue {
        // Only harmless bytes get in here.
        HeaderValue::from_str(&self.0).unwrap_or(HeaderValue::from_static("invalid"))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::random::SystemEntropy;

    #[test]
    fn only_a_harmless_id_is_taken_over() {
        let entropy: SharedEntropy = Arc::new(SystemEntropy);
        let long = "a".repeat(129);
        for (given, kept) in
            [("abc-1._Z", true), ("", false), ("a b", false), ("a\"b", false), (&long[..128], true), (long.as_str(), false)]
        {
            let headers = HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::from_str(given).unwrap())]);
            assert_eq!(RequestId::of(&headers, &entropy).to_string() == given, kept, "{given}");
        }
        assert!(RequestId::of(&HeaderMap::new(), &entropy).to_string().starts_with("req_"));
    }
}
