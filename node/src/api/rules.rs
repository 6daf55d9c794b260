//! The rules for values that have no type of their own.

use artifacts_core::Timestamp;
use artifacts_core::cluster::Regions;

use super::ApiError;

/// The longest life of a grant or an API key: ten years. A longer one is a mistake; leave it out for one without end.
pub(super) const LONGEST_TTL_SECONDS: u64 = 10 * 365 * 24 * 3600;
const LONGEST_TEXT_CHARS: usize = 255;
const LONGEST_METADATA_BYTES: usize = 16 * 1024;
/// Beyond it JSON numbers lose digits in many clients (RFC 8259 section 6).
const LARGEST_QUOTA: u64 = (1 << 53) - 1;

/// What is asked for would live where nothing can.
pub(super) fn no_such_region(regions: &Regions) -> ApiError {
    let names: Vec<String> = regions.all().iter().map(|region| format!("`{region}`")).collect();
    ApiError::invalid("region", format!("must be {}; or leave it out", names.join(" or ")))
}

/// A life in seconds.
///
/// # Errors
/// `invalid_request` outside 1 to `longest`.
pub(super) fn ttl(seconds: u64, longest: u64) -> Result<u64, ApiError> {
    if (1..=longest).contains(&seconds) {
        Ok(seconds)
    } else {
        Err(ApiError::invalid("ttl_seconds", format!("must be a number from 1 to {longest}")))
    }
}

/// The end of something that is given as an instant, as a life, or not at all.
///
/// # Errors
/// `invalid_request` when both are given or one is out of range.
pub(super) fn end(expires_at: Option<Timestamp>, ttl_seconds: Option<u64>, now: Timestamp) -> Result<Option<Timestamp>, ApiError> {
    match (expires_at, ttl_seconds) {
        (Some(_), Some(_)) => Err(ApiError::invalid("expires_at", "and `ttl_seconds` exclude each other; give one of them")),
        (Some(end), None) if end <= now => Err(ApiError::invalid("expires_at", "must lie in the future")),
        (Some(end), None) => Ok(Some(end)),
        (None, Some(seconds)) => Ok(Some(now.plus_ms(ttl(seconds, LONGEST_TTL_SECONDS)? * 1000))),
        (None, None) => Ok(None),
    }
}

/// A short text for people.
///
/// # Errors
/// `invalid_request` when it is empty, too long, or holds control characters.
pub(super) fn text(field: &str, text: Option<String>) -> Result<Option<String>, ApiError> {
    let good = |text: &String| (1..=LONGEST_TEXT_CHARS).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    match text {
        Some(text) if !good(&text) => {
            Err(ApiError::invalid(field, format!("must be 1 to {LONGEST_TEXT_CHARS} characters without control characters")))
        }
        text => Ok(text),
    }
}

/// A platform's own data.
///
/// # Errors
/// `invalid_request` when it is too large.
pub(super) fn metadata(
    metadata: Option<serde_json::Map<String, serde_json::Value>>,
) -> Result<Option<serde_json::Map<String, serde_json::Value>>, ApiError> {
    let bytes = metadata.as_ref().map_or(0, |metadata| serde_json::to_vec(metadata).map_or(usize::MAX, |json| json.len()));
    if bytes <= LONGEST_METADATA_BYTES {
        Ok(metadata)
    } else {
        Err(ApiError::invalid("metadata", format!("must be at most {LONGEST_METADATA_BYTES} bytes as JSON")))
    }
}

/// A hard limit.
///
/// # Errors
/// `invalid_request` when it is zero or too large to be written down.
pub(super) fn quota(field: &str, quota: Option<u64>) -> Result<Option<u64>, ApiError> {
    match quota {
        None | Some(1..=LARGEST_QUOTA) => Ok(quota),
        Some(_) => Err(ApiError::invalid(field, format!("must be a number from 1 to {LARGEST_QUOTA}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_ms(1_000_000);

    #[test]
    fn lives_at_their_edges() {
        for (seconds, good) in [(0, false), (1, true), (86_400, true), (86_401, false), (u64::MAX, false)] {
            assert_eq!(ttl(seconds, 86_400).is_ok(), good, "{seconds}");
        }
        let later = NOW.plus_ms(1);
        for (expires_at, ttl_seconds, expected) in [
            (None, None, Some(None)),
            (Some(later), None, Some(Some(later))),
            (Some(NOW), None, None),
            (None, Some(1), Some(Some(NOW.plus_ms(1_000)))),
            (None, Some(LONGEST_TTL_SECONDS + 1), None),
            (Some(later), Some(1), None),
        ] {
            assert_eq!(end(expires_at, ttl_seconds, NOW).ok(), expected, "{expires_at:?} {ttl_seconds:?}");
        }
    }

    #[test]
    fn texts_and_numbers_at_their_edges() {
        let long = "é".repeat(255);
        for (given, good) in [("a", true), (long.as_str(), true), (&format!("{long}a"), false), ("", false), ("a\nb", false)] {
            assert_eq!(text("name", Some(given.to_owned())).is_ok(), good, "{given}");
        }
        for (given, good) in [(None, true), (Some(0), false), (Some(1), true), (Some((1 << 53) - 1), true), (Some(1 << 53), false)] {
            assert_eq!(quota("quota_bytes", given).is_ok(), good, "{given:?}");
        }
        let of = |bytes: usize| serde_json::Map::from_iter([("k".to_owned(), "x".repeat(bytes - r#"{"k":""}"#.len()).into())]);
        assert!(metadata(Some(of(16 * 1024))).is_ok());
        assert!(metadata(Some(of(16 * 1024 + 1))).is_err());
    }
}
